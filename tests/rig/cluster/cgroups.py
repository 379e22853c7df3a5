"""The one cgroup folder of a node, below which the kubelet keeps its pods' groups."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def hierarchies() -> list[Path]:
    """The mounted hierarchies: one with cgroup v2, one per controller with v1."""
    with Path("/proc/self/mounts").open() as mounts:
        fields = [line.split() for line in mounts]
    return [Path(entry[1]) for entry in fields if entry[2] in {"cgroup", "cgroup2"}]


def make(path: str) -> None:
    """Make it in every hierarchy."""
    for hierarchy in hierarchies():
        folder = hierarchy
        for part in path.strip("/").split("/"):
            _enable_controllers(folder)
            folder /= part
            folder.mkdir(exist_ok=True)
            _inherit_cpuset(folder)


def _enable_controllers(folder: Path) -> None:
    """With v2, children have the controllers their parent hands on."""
    with contextlib.suppress(FileNotFoundError):
        for name in (folder / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # busy: the kubelet says what it misses
                (folder / "cgroup.subtree_control").write_text(f"+{name}")


def _inherit_cpuset(folder: Path) -> None:
    """A v1 cpuset starts empty and then takes no process."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        with contextlib.suppress(FileNotFoundError):
            if not (folder / name).read_text().strip():
                (folder / name).write_text((folder.parent / name).read_text())


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
