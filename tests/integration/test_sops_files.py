"""What we write in SOPS' format opens with the real `sops`, for each recipient; and the reverse."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyrage
import pytest

from reconciler.adapters.agekeys import AgeOpener, AgeSealer
from reconciler.capture import canonical, emitter, sealedsecrets, sops
from reconciler.capture.kept import FINGERPRINTS
from tests.unit.capture.test_sops import KEY, PASSWORD, PLAIN, view

ALICE, BOB, EVE = (pyrage.x25519.Identity.generate() for _ in range(3))


def run_sops(folder: Path, *arguments: str, key: object = "") -> subprocess.CompletedProcess[str]:
    """The binary of the development environment, with no key but this."""
    return subprocess.run(
        [str(Path(sys.executable).parent / "sops"), "--disable-version-check", *arguments],
        env={"HOME": str(folder), "SOPS_AGE_KEY": str(key)},
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A Secret for two recipients, with every kind of value that one can have."""
    sealer = AgeSealer()
    key = sealer.random(sops.KEY_SIZE)
    recipients = sorted(str(one.to_public()) for one in (ALICE, BOB))
    sealing = sops.Sealing(
        key=key,
        wrapped=[sops.Wrapped(one, sealer.wrap(key, one)) for one in recipients],
        when="2026-11-21T04:17:03Z",
        draw=sealer.random,
    )
    path = tmp_path / "db.yaml"
    path.write_bytes(sealedsecrets.seal(PLAIN, view(), sealing, KEY))
    return path


@pytest.mark.parametrize("identity", [ALICE, BOB])
def test_sops_opens_it_for_each_recipient(sealed: Path, identity: object) -> None:
    done = run_sops(sealed.parent, "decrypt", sealed.name, key=identity)
    assert (done.returncode, done.stderr) == (0, "")
    opened = canonical.read_manifest(done.stdout.encode())
    del opened["metadata"]["annotations"][FINGERPRINTS]
    assert opened == PLAIN


def test_sops_refuses_it_without_the_key_and_after_a_change(sealed: Path) -> None:
    assert run_sops(sealed.parent, "decrypt", sealed.name, key=EVE).returncode != 0
    sealed.write_text(sealed.read_text().replace("name: db", "name: dc"))
    done = run_sops(sealed.parent, "decrypt", sealed.name, key=ALICE)
    assert "MAC mismatch" in done.stderr
    assert PASSWORD not in done.stdout


def test_what_sops_encrypted_opens_here(tmp_path: Path) -> None:
    """So both mean the same by the format: keys, additional data, order, MAC."""
    plain = {**PLAIN, "metadata": {**PLAIN["metadata"], "annotations": {FINGERPRINTS: "{}"}}}
    (tmp_path / "plain.yaml").write_bytes(emitter.emit(plain))
    asked = ("encrypt", "--age", str(BOB.to_public()), "--encrypted-regex", "^(data|stringData)$")
    done = run_sops(tmp_path, *asked, "plain.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    opener = AgeOpener({"SOPS_AGE_KEY": str(BOB), "HOME": str(tmp_path)})

    def unwrap(wrapped: Sequence[sops.Wrapped]) -> bytes:
        return opener.unwrap({one.recipient: one.text for one in wrapped})

    found = sealedsecrets.open_sealed(canonical.read_manifest(done.stdout.encode()), unwrap)
    assert found["data"] == PLAIN["data"]
