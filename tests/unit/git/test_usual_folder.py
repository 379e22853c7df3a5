"""A repository of the usual shape is opened as GitPython would open it, and without loading it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.gitprocess import GitFolder, NotARepository
from reconciler.adapters.gitpythonrepo import Repository


def made(folder: Path) -> Path:
    """What git makes, as far as anybody looks."""
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    return folder


def bare(root: Path) -> Path:
    return made(root / "bare.git")


def clone(root: Path) -> Path:
    return made(root / "clone" / ".git").parent


def clone_of_a_bare_name(root: Path) -> Path:
    """A bare repository that somebody put another one into."""
    folder = made(root / "both")
    made(folder / ".git")
    return folder


def worktree(root: Path) -> Path:
    kept = made(clone(root) / ".git" / "worktrees" / "w")
    (kept / "commondir").write_text("../..\n")
    (root / "w").mkdir()
    (root / "w" / ".git").write_text(f"gitdir: {kept}\n")
    return root / "w"


def submodule(root: Path) -> Path:
    kept = made(clone(root) / ".git" / "modules" / "m")
    (root / "m").mkdir()
    (root / "m" / ".git").write_text(f"gitdir: {kept}\n")
    return root / "m"


def of_a_worktree(root: Path) -> Path:
    """The worktree's own folder, which is not all of the repository."""
    worktree(root)
    return root / "clone" / ".git" / "worktrees" / "w"


@pytest.mark.parametrize(
    "make", [bare, clone, clone_of_a_bare_name, worktree, submodule, of_a_worktree]
)
def test_the_folder_is_the_one_that_gitpython_finds(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    with Repository(path, expand_vars=False) as found:
        expected = Path(found.common_dir).resolve()
    folder = GitFolder(path, None, deadline=1)
    assert folder.folder.resolve() == expected
    folder.close()


def test_a_folder_in_a_clone_and_half_a_repository_are_none(tmp_path: Path) -> None:
    inside = clone(tmp_path) / "shop"
    inside.mkdir()
    for lacking in ("objects", "refs", "HEAD"):
        half = made(tmp_path / f"without-{lacking}")
        (half / lacking).rename(half / "elsewhere")
        with pytest.raises(NotARepository):
            GitFolder(half, None, deadline=1)
    for path in (inside, tmp_path, tmp_path / "none"):
        with pytest.raises(NotARepository):
            GitFolder(path, None, deadline=1)
