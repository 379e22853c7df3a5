"""Folders with policies, published as git-sync does it: a folder per commit and a swapped link."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes the folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def publish(root: Path, commit: str, files: Mapping[str, bytes], *, link: str = "current") -> None:
    """A new revision below ``root``; the one before is removed after the swap, as git-sync does."""
    made = root / ".worktrees" / commit
    write_files(made, files)
    (made / ".git").write_text("gitdir: ../../.git/worktrees/x\n")
    before = (root / link).resolve() if (root / link).is_symlink() else None
    swapped = root / f".{link}.tmp"
    swapped.symlink_to(os.path.relpath(made, root))
    swapped.replace(root / link)
    if before is not None and before != made:
        shutil.rmtree(before)
