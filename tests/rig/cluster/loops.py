"""Loop devices of a cluster's block volumes: the kernel's, so they do not end with a machine.

The driver's own vanish when nobody has them open. The kubelet puts another on top of each, as a
lock, which has to be taken off when the kubelet was killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import shell

FIELDS = "NAME,BACK-INO,BACK-MAJ:MIN"
Identity = tuple[int, str]
"""An inode, and major:minor of the file system that has it."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A device, and the file or device behind it."""

    name: str
    inode: int
    device: str  # major:minor of the file system that has it


def release(files: Iterable[Path]) -> None:
    """Detach the devices that stand on these files."""
    for loop in standing_on(files):
        shell.run(["losetup", "--detach", loop.name], check=False)


def standing_on(files: Iterable[Path]) -> list[Loop]:
    """The devices behind which one of the files is, and those behind which one of these is."""
    behind = {_identity(path) for path in files if path.is_file()}
    return above(attached(), behind, lambda loop: _identity(Path(loop.name))) if behind else []


def above(
    loops: Sequence[Loop], behind: Iterable[Identity], identity: Callable[[Loop], Identity]
) -> list[Loop]:
    """The devices that stand on these files, and on each other; those on top come first."""
    known = set(behind)
    found: list[Loop] = []
    while more := [one for one in loops if one not in found and (one.inode, one.device) in known]:
        found += more
        known |= {identity(loop) for loop in more}
    return found[::-1]


def attached() -> list[Loop]:
    """All of this machine."""
    return parsed(shell.run(["losetup", "--list", "--json", "--output", FIELDS]))


def parsed(said: str) -> list[Loop]:
    """The devices of losetup's JSON; of one that went while it was asked there is a name only."""
    found = json.loads(said)["loopdevices"] if said.strip() else []
    return [
        Loop(one["name"], int(one["back-ino"]), one["back-maj:min"].strip())
        for one in found
        if one["back-ino"] and one["back-maj:min"]
    ]


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_ino, f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
