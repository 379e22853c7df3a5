"""Loop devices of a cluster's block volumes: the kernel's, so they do not end with a machine.

The driver's own vanish when nobody has them open. The kubelet puts another on top of each, as a
lock, which has to be taken off when the kubelet was killed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import shell

FIELDS = "NAME,BACK-INO,BACK-MAJ:MIN"


@dataclass(frozen=True, slots=True)
class Loop:
    """A device, and the file or device behind it."""

    name: str
    inode: int
    device: str  # major:minor of the file system that has it


def release(folder: Path) -> list[str]:
    """Detach the devices behind which a file below the folder is; returns their names."""
    found = attached()
    behind = {_identity(path) for path in folder.rglob("*") if path.is_file()}
    ours: list[Loop] = []
    while more := [loop for loop in found if loop not in ours and _key(loop) in behind]:
        ours += more
        behind |= {_identity(Path(loop.name)) for loop in more}
    for loop in reversed(ours):  # those on top come first
        shell.run(["losetup", "--detach", loop.name], check=False)
    return [loop.name for loop in ours]


def attached() -> list[Loop]:
    """All of this machine."""
    said = shell.run(["losetup", "--list", "--json", "--output", FIELDS])
    found = json.loads(said)["loopdevices"] if said.strip() else []
    return [Loop(one["name"], int(one["back-ino"]), one["back-maj:min"].strip()) for one in found]


def _key(loop: Loop) -> tuple[int, str]:
    return loop.inode, loop.device


def _identity(path: Path) -> tuple[int, str]:
    status = path.stat()
    return status.st_ino, f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
