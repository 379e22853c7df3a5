"""A repository with a cheap key is the same repository to restic."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from reconciler.adapters.resticrepo import ResticRepository
from reconciler.model.errors import WrongPassword
from reconciler.model.volumes import RepositoryAccess
from tests.rig import cheapkeys, tools

PASSWORD = "a-password-of-some-length"


def opened(folder: Path, password: str = PASSWORD) -> ResticRepository:
    access = RepositoryAccess(
        name="main",
        namespace="shop",
        url=str(folder / "repository"),
        secret="restic-main",
        environment={"RESTIC_PASSWORD": password},
    )
    return ResticRepository(access, cache_dir=folder / "cache", binary=str(tools.restic_path()))


def test_its_snapshots_and_its_password_stay(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "page").write_text("boats")
    identity = opened(tmp_path).initialise()
    made = opened(tmp_path).backup_folder(volume, host="prod/shop", tags=("policy:shop",))
    cheapkeys.cheapen(tmp_path / "repository", PASSWORD)
    shutil.rmtree(tmp_path / "cache")
    assert opened(tmp_path).open() == identity
    (volume / "page").unlink()
    opened(tmp_path).restore_folder(made.snapshot, str(volume), volume)
    assert (volume / "page").read_text() == "boats"
    with pytest.raises(WrongPassword):
        opened(tmp_path, "another-password").open()
    with pytest.raises(InvalidSignature):
        cheapkeys.cheapen(tmp_path / "repository", "another-password")
