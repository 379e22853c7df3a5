"""The one cgroup folder of a node, below which the kubelet keeps its pods' groups."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """The mounted hierarchies: one with cgroup v2, one per controller with v1."""
    with Path("/proc/self/mounts").open() as mounts:
        fields = [line.split() for line in mounts]
    return [Path(entry[1]) for entry in fields if entry[2] in {"cgroup", "cgroup2"}]


def make(path: str) -> None:
    """Make it in every hierarchy."""
    for hierarchy in hierarchies():
        (hierarchy / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _inherit_cpuset(hierarchy / path.lstrip("/"))


def _inherit_cpuset(folder: Path) -> None:
    """A v1 cpuset starts empty and then takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(FileNotFoundError):
            if not (folder / name).read_text().strip():
                for level in (folder.parent, folder):
                    value = (level.parent / name).read_text()
                    if not (level / name).read_text().strip():
                        (level / name).write_text(value)


def remove(path: str) -> None:
    """Remove it and everything below, everywhere; its processes are dead already."""
    for hierarchy in hierarchies():
        top = hierarchy / path.lstrip("/")
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(folder).rmdir()
        with contextlib.suppress(OSError):  # another instance is still in there
            if top.parent != hierarchy:
                top.parent.rmdir()
