"""Private keys, from where sops takes them; and what is said where none fits."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.agekeys import AgeOpener, AgeSealer
from reconciler.model.errors import Refused, Stalled

KEY = bytes(range(32))
ALICE, BOB, EVE = (pyrage.x25519.Identity.generate() for _ in range(3))


def wrapped(*identities: pyrage.x25519.Identity) -> dict[str, str]:
    names = [str(one.to_public()) for one in identities]
    return {name: AgeSealer().wrap(KEY, name) for name in names}


def opener(tmp_path: Path, **environment: str) -> AgeOpener:
    return AgeOpener({"HOME": str(tmp_path), **environment})


def test_a_key_in_the_environment(tmp_path: Path) -> None:
    found = opener(tmp_path, SOPS_AGE_KEY=f"# a comment\n{EVE}\n {BOB} \n")
    assert found.unwrap(wrapped(ALICE, BOB)) == KEY


def test_keys_in_a_file_and_in_the_usual_place(tmp_path: Path) -> None:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"# public key: {ALICE.to_public()}\n{ALICE}\nAGE-PLUGIN-YUBIKEY-1XXX\n")
    assert opener(tmp_path, SOPS_AGE_KEY_FILE=str(keys)).unwrap(wrapped(ALICE)) == KEY
    usual = tmp_path / ".config/sops/age"
    usual.mkdir(parents=True)
    keys.rename(usual / "keys.txt")
    assert opener(tmp_path).unwrap(wrapped(ALICE)) == KEY
    assert (
        opener(Path("/"), XDG_CONFIG_HOME=str(tmp_path / ".config")).unwrap(wrapped(ALICE)) == KEY
    )


def test_without_a_key_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no private key of age is at hand") as found:
        opener(tmp_path).unwrap(wrapped(ALICE))
    assert str(ALICE.to_public()) in found.value.message
    assert "SOPS_AGE_KEY_FILE=" in found.value.hint
    with pytest.raises(Refused, match="none of 1 private keys of age opens"):
        opener(tmp_path, SOPS_AGE_KEY=str(EVE)).unwrap(wrapped(ALICE, BOB))


def test_what_can_not_be_read_is_named_and_never_shown(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"keys.txt can't be read: No such file"):
        opener(tmp_path, SOPS_AGE_KEY_FILE=f"{tmp_path}/keys.txt").unwrap(wrapped(ALICE))
    broken = str(ALICE)[:-1] + "x"
    with pytest.raises(Refused, match="SOPS_AGE_KEY holds a key that age can't read") as found:
        opener(tmp_path, SOPS_AGE_KEY=broken).unwrap(wrapped(ALICE))
    assert broken not in f"{found.value.message}{found.value.hint}{found.value.__cause__}"
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="can't be read: it is no text"):
        opener(tmp_path, SOPS_AGE_KEY_FILE=str(tmp_path / "binary")).unwrap(wrapped(ALICE))


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    good = wrapped(ALICE, BOB)
    good[next(iter(good))] = "no armour at all"
    found = opener(tmp_path, SOPS_AGE_KEY=f"{ALICE}\n{BOB}")
    assert found.unwrap(good) == KEY


def test_a_recipient_that_is_none() -> None:
    with pytest.raises(Stalled, match="age can't encrypt for age1nobody"):
        AgeSealer().wrap(KEY, "age1nobody")


def test_random_bytes_are_as_many_as_asked_for() -> None:
    sealer = AgeSealer()
    assert len(sealer.random(32)) == 32
    assert sealer.random(32) != sealer.random(32)
