"""Process 1 of a machine: prepares its private mounts, then keeps services running.

Runs alone (`python -I init.py STATE BINARIES SHARED NAME`), already inside fresh mount, pid,
network, uts and ipc namespaces; so it imports nothing of the rig. Everything a machine mounts or
starts ends with this process: the kernel kills the pid namespace with it, and the mounts go with
the last process.

Services are files `services/NAME.json` = {"argv": […], "env": {…}}; SIGHUP reads them again. A
service that exits is started again after a pause, as a service manager would.
`services.json` says what runs: {NAME: {"pid": inside the namespace, "starts": n}}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MS_BIND, MS_REC, MS_SHARED = 4096, 16384, 1 << 20
RIG = Path("/run/rig")
SHOWN = (RIG, Path("/run/rig-bin"), Path("/run/rig-shared"))  # state, binaries, shared
RESTART_AFTER = 1.0  # seconds
WAKE = {signal.SIGCHLD, signal.SIGHUP}
# The kubelet writes these to the whole machine's kernel; here it reads the values it wants instead.
SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0) -> None:
    """mount(2)."""
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {source} on {target}: {os.strerror(error)}")


def prepare(*folders: str) -> None:
    """Private /run, /var/lib, /var/log and /proc; the three folders of the host on SHOWN."""
    handles = [os.open(path, os.O_PATH | os.O_DIRECTORY) for path in folders]
    mount("none", "/", flags=MS_REC | MS_SHARED)
    mount("proc", "/proc", "proc")
    mount("tmpfs", "/run", "tmpfs")
    for handle, target in zip(handles, SHOWN, strict=True):
        target.mkdir()
        mount(f"/proc/self/fd/{handle}", str(target), flags=MS_BIND)
        os.close(handle)
    mount("tmpfs", "/var/lib", "tmpfs")
    for name in ("kubelet", "containerd", "cni", "etcd", "local-path"):
        bind(RIG / "lib" / name, Path("/var/lib") / name)
    (RIG / "log").mkdir(exist_ok=True)
    mount(str(RIG / "log"), "/var/log", flags=MS_BIND)
    for name, value in SYSCTLS.items():
        pretend(Path("/proc/sys") / name, value)


def bind(source: Path, target: Path) -> None:
    """Make both folders and show the first at the second."""
    source.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    mount(str(source), str(target), flags=MS_BIND)


def pretend(sysctl: Path, value: str) -> None:
    """Let the file hold the value inside this machine only."""
    if not sysctl.exists():
        return
    shadow = Path("/run/sysctl") / sysctl.name
    shadow.parent.mkdir(exist_ok=True)
    shadow.write_text(f"{value}\n")
    mount(str(shadow), str(sysctl), flags=MS_BIND)


@dataclass(slots=True)
class Running:
    """One service: pid 0 while it is not running."""

    argv: list[str]
    env: dict[str, str]
    pid: int = 0
    starts: int = 0
    last: float = 0.0


@dataclass(slots=True)
class Services:
    """What the files ask for against what runs."""

    known: dict[str, Running] = field(default_factory=dict)

    def read(self) -> None:
        """Take up new files; stop what has none any more, or another command line."""
        wanted = specs(RIG / "services")
        for name, running in list(self.known.items()):
            spec = wanted.get(name)
            if spec is None or spec["argv"] != running.argv or spec["env"] != running.env:
                if running.pid:
                    os.kill(running.pid, signal.SIGKILL)
                del self.known[name]
        for name, spec in sorted(wanted.items()):
            self.known.setdefault(name, Running(spec["argv"], spec["env"]))

    def start(self) -> None:
        """Start what does not run, each at most once per RESTART_AFTER."""
        changed = False
        for name, service in self.known.items():
            if service.pid or time.monotonic() - service.last < RESTART_AFTER:
                continue
            service.last = time.monotonic()
            service.starts += 1
            try:
                service.pid = spawn(name, service)
            except OSError as error:
                print(f"{name} could not be started: {error}", flush=True)
            changed = True
        if changed:
            self.publish()

    def reap(self) -> None:
        """Collect every dead child, also orphans of the containers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name, service in self.known.items():
                if service.pid == pid:
                    service.pid = 0
                    code = os.waitstatus_to_exitcode(status)
                    print(f"{name} ended with {code}", flush=True)

    def publish(self) -> None:
        """Say what runs, for `scripts/cluster status`."""
        now = {name: {"pid": s.pid, "starts": s.starts} for name, s in self.known.items()}
        aside = RIG / "services.json.new"
        aside.write_text(json.dumps(now))
        aside.rename(RIG / "services.json")


def specs(folder: Path) -> dict[str, Any]:
    """What the files ask for; one that is taken away between the listing and the reading is gone.

    Nothing of this may raise: all that the machine runs ends with this process.
    """
    found = {}
    for path in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            found[path.stem] = json.loads(path.read_text())
    return found


def spawn(name: str, service: Running) -> int:
    """Start a service in a session of its own, its output appended to its log."""
    log = str(RIG / "log" / f"{name}.log")
    return os.posix_spawnp(
        service.argv[0],
        service.argv,
        service.env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
    )


def main() -> None:
    """Never returns; the machine is up once the file `booted` is there."""
    signal.pthread_sigmask(signal.SIG_BLOCK, WAKE)
    *folders, name = sys.argv[1:]
    os.chdir("/")
    prepare(*folders)
    socket.sethostname(name)
    (RIG / "booted").touch()
    services = Services()
    while True:
        services.read()
        services.start()
        signal.sigtimedwait(WAKE, RESTART_AFTER / 2)
        services.reap()


if __name__ == "__main__":
    main()
