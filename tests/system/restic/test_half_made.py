"""A repository whose making was killed half-way: restic writes the key first, the config last."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.model.errors import Refused, RepositoryMissing
from tests.system.restic.conftest import Restic


def test_a_repository_that_was_made_by_half_says_how_to_mend_it(
    tmp_path: Path, restic: Restic
) -> None:
    folder = tmp_path / "half"
    repository = restic.open(folder)
    repository.initialise()
    (folder / "config").unlink()
    with pytest.raises(RepositoryMissing):
        repository.open()
    with pytest.raises(Refused, match="has keys and no config") as caught:
        repository.initialise()
    assert "remove its folder keys/ and run again" in caught.value.hint
    shutil.rmtree(folder / "keys")
    assert repository.initialise() == repository.open()
