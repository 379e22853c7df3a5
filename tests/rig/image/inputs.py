"""What the image is made of: a copy of those files, and one digest over all of them.

The copy is what is built, so a file that changes during the build can't end in an image that
carries the digest of its old content.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[3]
LONG_AGO = 1_577_836_800  # 2020-01-01: a wheel cannot hold times before 1980
FILES = ("Dockerfile", "pyproject.toml", "README.md", "LICENSE")


def _sources(project: Path) -> Iterator[Path]:
    yield from (project / name for name in FILES)
    yield from (project / "requirements").glob("*.txt")
    for path in (project / "reconciler").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def copy_inputs(into: Path, project: Path = PROJECT) -> None:
    """Copy the inputs of the image into an empty folder, with the same modes and times everywhere.

    The builder's layer cache looks at both, not only at what the files hold.
    """
    for source in _sources(project):
        target = into / source.relative_to(project)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.parent.chmod(0o755)
        shutil.copyfile(source, target)
        target.chmod(0o644)
    for path in [into, *into.rglob("*")]:
        os.utime(path, (LONG_AGO, LONG_AGO))


def digest(folder: Path, *more: str) -> str:
    """Return 16 hex digits over names and contents below the folder, and over `more`."""
    state = hashlib.sha256("\0".join(more).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        state.update(f"{path.relative_to(folder)}\0{content}\n".encode())
    return state.hexdigest()[:16]
