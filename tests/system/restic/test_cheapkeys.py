"""A repository with a cheap key is the same repository to restic."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from reconciler.model.errors import WrongPassword
from tests.rig import cheapkeys
from tests.rig.servers import s3objects
from tests.rig.servers.seaweedfs import SeaweedFS
from tests.system.restic.conftest import PASSWORD, Restic


def test_its_snapshots_and_its_password_stay(restic: Restic, tmp_path: Path) -> None:
    repository, volume = tmp_path / "repository", tmp_path / "volume"
    volume.mkdir()
    (volume / "page").write_text("boats")
    identity = restic.open(repository).initialise()
    made = restic.open(repository).backup_folder(volume, host="prod/shop", tags=("policy:shop",))
    cheapkeys.cheapen(repository, PASSWORD)
    shutil.rmtree(restic.cache)
    assert restic.open(repository).open() == identity
    (volume / "page").unlink()
    restic.open(repository).restore_folder(made.snapshot, str(volume), volume)
    assert (volume / "page").read_text() == "boats"
    with pytest.raises(WrongPassword):
        restic.open(repository, password="another-password").open()
    with pytest.raises(InvalidSignature):
        cheapkeys.cheapen(repository, "another-password")


def test_so_it_is_on_s3(restic: Restic, s3: SeaweedFS) -> None:
    repository = restic.open(s3.repository("cheap", "prod", "shop"), keys=s3.writer)
    identity = repository.initialise()
    (old,) = s3objects.keys(s3, "cheap", "prod/shop/keys/")
    cheapkeys.cheapen_object(s3, "cheap", old, PASSWORD)
    (new,) = s3objects.keys(s3, "cheap", "prod/shop/keys/")
    assert new != old
    assert json.loads(s3objects.read(s3, "cheap", new))["N"] == 2
    assert repository.open() == identity
