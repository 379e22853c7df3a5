"""A lock between processes that leaves no file behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock; it ends with the process at the latest, and the file goes with its holder."""
    with _acquire(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _acquire(path: Path) -> IO[str]:
    """Who waited for a file that was removed meanwhile holds a lock nobody sees: look again."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = path.open("a")
        except FileNotFoundError:  # the folder was removed in between
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if _names(path, handle):
            return handle
        handle.close()


def _names(path: Path, handle: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False
