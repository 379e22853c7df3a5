"""What this process took of the machine: memory at its peak, CPU seconds with its children's."""

from __future__ import annotations

import os
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mib() -> float:
    """The most memory that this process had since it began its program (VmHWM in proc(5)).

    Not ``ru_maxrss``: a process inherits that from the one that started it, so a small program
    started by a large one seems to be as large.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"{_STATUS} tells no VmHWM")


def cpu_seconds() -> float:
    """User and system time of this process and of every child that it has waited for."""
    return sum(os.times()[:4])
