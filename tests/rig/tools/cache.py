"""The folder that outlives test runs: downloads, builds, images. Never inside the project."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """Return `$BACKSTAY_CACHE`, or `backstay` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("BACKSTAY_CACHE") or f"{base}/backstay").absolute()


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process at a time do what `name` stands for; others wait."""
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
