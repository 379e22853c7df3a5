"""Who holds a Lease: this process, named so that the next one can tell whether it still lives.

Only the machine that a process ran on knows, so a name has the machine's boot and its space of
process ids in it (a container has its own): where these differ nobody is called dead.
"""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

_PROC = Path("/proc")


def this_process() -> str:
    """``laptop/4711@1f0c9a2b/88123``: host, process, boot and process space, its start."""
    return f"{socket.gethostname()}/{os.getpid()}@{_place()}/{_started(os.getpid())}"


def is_dead(holder: str) -> bool:
    """Whether a holder of this very place has ended; a name of another form is never dead."""
    who, _, rest = holder.partition("@")
    host, _, process = who.rpartition("/")
    place, _, started = rest.partition("/")
    if not place or not started or not process.isdigit():
        return False
    if (host, place) != (socket.gethostname(), _place()):
        return False
    return _started(int(process)) != started


def _place() -> str:
    """Of this boot and process space; empty where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
        space = (_PROC / "self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:8]


def _started(process: int) -> str:
    """Field 22 of ``/proc/<pid>/stat`` (proc(5)): a process id may be used again."""
    try:
        text = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]
