"""What restic's restore leaves undone, or unsaid, about the files it put back.

It restores what is in a folder, but not the mode, owner and time of the folder itself. And run by
a plain user it says nothing of owners that it could not set, as ``cp -p`` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

_MODE_BITS = 0o777
# restic shows modes as Go does: the three special bits lie far above the nine others.
_GO_BITS = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))


def parse_nodes(lines: Iterable[bytes | str]) -> Iterator[Mapping[str, Any]]:
    """The nodes of ``ls --json``; its first line is about the snapshot."""
    for line in lines:
        node = json.loads(line)
        if "node" in (node.get("message_type"), node.get("struct_type")):
            yield node


def set_metadata(folder: Path, node: Mapping[str, Any]) -> Iterator[str]:
    """Gives the folder the owner, mode and time of a restic node; yields what could not be set.

    Owner before mode, because a change of owner clears the special bits.
    """
    uid, gid = owner_of(node)
    now = folder.stat()
    # What is right already is left alone: a plain user may not even set it to what it is.
    try:
        if (now.st_uid, now.st_gid) != (uid, gid):
            os.chown(folder, uid, gid)
    except OSError as error:
        yield f"{folder}: owner {uid}:{gid} not set: {error.strerror}"
    try:
        mode = file_mode(int(node.get("mode", 0o755)))
        if stat.S_IMODE(folder.stat().st_mode) != mode:
            folder.chmod(mode)
    except OSError as error:
        yield f"{folder}: mode not set: {error.strerror}"
    with contextlib.suppress(ValueError, OSError):
        moment = datetime.fromisoformat(str(node.get("mtime"))).timestamp()
        os.utime(folder, (moment, moment))


def lost_owners(nodes: Iterable[Mapping[str, Any]], name: str, folder: Path) -> Iterator[str]:
    """One line for each file below ``/<name>`` that has another owner now than in the snapshot."""
    top = f"/{name}/"
    for node in nodes:
        path = str(node.get("path") or "")
        if not path.startswith(top):
            continue
        with contextlib.suppress(OSError):  # a file that is not there was told by restic
            seen = (folder / path.removeprefix(top)).lstat()
            uid, gid = owner_of(node)
            if (seen.st_uid, seen.st_gid) != (uid, gid):
                yield f"{path}: owner {uid}:{gid} not set: only root may give files away"


def owner_of(node: Mapping[str, Any]) -> tuple[int, int]:
    """Numbers of user and group; restic leaves out a zero."""
    return int(node.get("uid", 0)), int(node.get("gid", 0))


def file_mode(go_mode: int) -> int:
    """Go's file mode as chmod takes it."""
    special = sum(bit for mask, bit in _GO_BITS if go_mode & mask)
    return (go_mode & _MODE_BITS) | special
