"""Passwords of repositories come from one master, and the master goes nowhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.credentials import CredentialsResolver
from reconciler.adapters.keyring import SecretKeyring
from reconciler.adapters.resticerrors import make_error
from reconciler.capture import fingerprints
from reconciler.model.config import Credentials
from reconciler.model.errors import Stalled
from tests.fakes.keyring import FakeKeyring
from tests.fakes.volumebackend import FakeStorage
from tests.unit.engine.run_world import CLUSTER, CONFIG, SYSTEM

KEY = "correct-horse-battery-staple-0123456789"
URL = "s3:https://s3.example.org/backups/prod-eu/shop"


def keyring(tmp_path: Path, master: str = KEY) -> SecretKeyring:
    folder = tmp_path / "secrets" / "restic-main"
    folder.mkdir(parents=True)
    (folder / "RESTIC_PASSWORD").write_text(master)
    (folder / "AWS_ACCESS_KEY_ID").write_text("id")
    resolver = CredentialsResolver(
        reader=None, namespace=SYSTEM, mounted=tmp_path / "secrets", environment={}
    )
    return SecretKeyring(CONFIG, resolver, cache=tmp_path)


def test_a_namespaces_password_is_derived_and_the_storage_keys_are_passed_on(
    tmp_path: Path,
) -> None:
    access = keyring(tmp_path).access(name="main", secret="restic-main", url=URL, namespace="shop")
    expected = fingerprints.repository_password(KEY.encode(), CLUSTER, "shop")
    assert access.environment == {"RESTIC_PASSWORD": expected, "AWS_ACCESS_KEY_ID": "id"}
    assert (access.url, access.namespace, access.name) == (URL, "shop", "main")
    assert KEY not in str(dict(access.environment))
    assert expected not in repr(access)


def test_the_fingerprint_key_is_another_one(tmp_path: Path) -> None:
    key = keyring(tmp_path).fingerprint_key(secret="restic-main", url=URL)
    assert key == fingerprints.fingerprint_key(KEY.encode(), CLUSTER)


def test_the_fake_derives_the_same(tmp_path: Path) -> None:
    fake = FakeKeyring(FakeStorage(), CLUSTER, {"restic-main": KEY})
    real = keyring(tmp_path)
    for namespace in ("shop", "_cluster"):
        one = fake.access(name="main", secret="restic-main", url=URL, namespace=namespace)
        two = real.access(name="main", secret="restic-main", url=URL, namespace=namespace)
        assert one.environment["RESTIC_PASSWORD"] == two.environment["RESTIC_PASSWORD"]
    assert fake.fingerprint_key(secret="restic-main", url=URL) == real.fingerprint_key(
        secret="restic-main", url=URL
    )


def test_a_short_master_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(Stalled, match="needs 32") as caught:
        keyring(tmp_path, "short").access(name="m", secret="restic-main", url=URL, namespace="n")
    assert "short" not in caught.value.message
    assert caught.value.hint


def from_folder(tmp_path: Path, master: str) -> SecretKeyring:
    """As on a laptop, where Config names a folder."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "RESTIC_PASSWORD").write_text(master)
    config = replace(CONFIG, secrets={"restic-main": Credentials(file=str(folder))})
    resolver = CredentialsResolver(reader=None, namespace=SYSTEM, environment={})
    return SecretKeyring(config, resolver, cache=tmp_path)


def test_a_short_master_in_a_folder_names_it_and_asks_for_no_new_one_first(tmp_path: Path) -> None:
    with pytest.raises(Stalled) as caught:
        from_folder(tmp_path, "short").fingerprint_key(secret="restic-main", url=URL)
    assert f"RESTIC_PASSWORD of folder {tmp_path}/keys has 5 bytes" in caught.value.message
    assert caught.value.hint.startswith("repositories open with the one that they began with")


def test_a_wrong_password_names_the_folder_that_it_was_read_from(tmp_path: Path) -> None:
    access = from_folder(tmp_path, KEY).access(
        name="main", secret="restic-main", url=URL, namespace="shop"
    )
    assert access.source == f"folder {tmp_path}/keys"
    told = make_error(12, "wrong password", where="main", keys=access.source).hint
    assert told.startswith(f"RESTIC_PASSWORD of folder {tmp_path}/keys, or the cluster's name")


def test_of_a_secret_its_place_is_in_the_cluster(tmp_path: Path) -> None:
    access = keyring(tmp_path).access(name="m", secret="restic-main", url=URL, namespace="shop")
    assert access.source == ""
