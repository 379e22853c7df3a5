"""Processes by pid and start time: a pid that was given to somebody else is never killed."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.rig.cluster.errors import RigError

PARENT, STATE, STARTED = 1, 0, 19  # fields of /proc/PID/stat behind the command's name (proc(5))
TIE = ("setpriv", "--pdeathsig", "KILL")
"""In front of a command: the kernel kills it when the thread that started it is gone."""
KILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine; `started` in clock ticks since the kernel's start."""

    pid: int
    started: int

    @staticmethod
    def of(pid: int) -> Process:
        """The process that has this pid now."""
        return Process(pid, int(_stat(pid)[STARTED]))

    def alive(self) -> bool:
        """Whether it is still the same process, and not only a name waiting for its parent."""
        try:
            fields = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(fields[STARTED]) == self.started and fields[STATE] not in "ZX"

    def parent(self) -> int:
        """Its parent's pid, 0 when it is gone."""
        try:
            return int(_stat(self.pid)[PARENT])
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def name(self) -> str:
        """Its program's name, cut to 15 characters; empty when it is gone."""
        try:
            return Path(f"/proc/{self.pid}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def record(self) -> dict[str, int]:
        """The form that goes into a state file."""
        return asdict(self)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def everything() -> list[Process]:
    """Every process there is; those that end meanwhile are left out."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(Process.of(int(folder.name)))
    return found


def processes_with(variable: str, value: str) -> list[Process]:
    """Every process that was started with this environment variable set to this value."""
    wanted = f"{variable}={value}".encode()
    found = []
    for process in everything():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


def kill(processes: Iterable[Process]) -> None:
    """SIGKILL each that is still itself, and wait until it is gone."""
    pending = [process for process in processes if process.alive()]
    for process in pending:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + KILL_SECONDS
    while any(process.alive() for process in pending):
        if time.monotonic() > deadline:
            raise RigError(f"could not kill {[p.pid for p in pending if p.alive()]}")
        _reap(pending)
        time.sleep(0.01)
    _reap(pending)


def _reap(processes: Iterable[Process]) -> None:
    """Take leave of those that are our own children."""
    for process in processes:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
