"""Where the rig keeps things: what may be kept (builds) and what `down` removes (state)."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
GO_MODULES = REPOSITORY / "tests" / "rig" / "go"


def cache() -> Path:
    """Builds, images and tools: shared by all instances, outside the repository."""
    given = os.environ.get("BACKSTAY_CACHE")
    if given:
        return Path(given).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").absolute() / "backstay"


def state() -> Path:
    """One folder per instance lies below; nothing of an instance is anywhere else on disk."""
    return Path(os.environ.get("BACKSTAY_STATE", "/var/lib/backstay-rig")).absolute()
