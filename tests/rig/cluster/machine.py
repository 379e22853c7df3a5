"""A machine: one process' namespaces, in which parts of a cluster run as on their own host.

Network, mounts, processes, host name and /run are private, so two clusters, or two nodes of one,
meet neither each other nor the host: no port to pick, no rule or mount on the host, no line in
/etc/hosts. Killing the machine's process 1 ends everything in it (init.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tests.rig.cluster import shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.processes import Process, kill, processes_with

INIT = Path(__file__).with_name("init.py")
MARK = "BACKSTAY_RIG_MACHINE"
INSIDE_PATH = f"/run/rig-bin:{shell.SYSTEM_PATH}"
BOOT_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine: its name is its host name and, for a node, the node's name."""

    name: str
    state: Path  # on the host; /run/rig inside
    binaries: Path  # on the host; /run/rig-bin inside
    shared: Path  # on the host; /run/rig-shared inside all machines of a cluster
    address: IPv4Address

    def boot(self, *, tied: bool) -> None:
        """Start process 1; `tied`: it dies with the process that called this."""
        for folder in ("services", "log", "etc"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        self.shared.mkdir(parents=True, exist_ok=True)
        (self.state / "booted").unlink(missing_ok=True)
        tie = ["setpriv", "--pdeathsig", "KILL"] if tied else []
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child"]
        folders = [str(self.state), str(self.binaries), str(self.shared)]
        init = [sys.executable, "-I", str(INIT), *folders, self.name]
        with (self.state / "log" / "init.log").open("ab") as log:
            leader = subprocess.Popen(
                [*tie, "unshare", *spaces, *init],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": INSIDE_PATH, MARK: str(self.state)},
                start_new_session=True,
            )
        self._wait_until_booted(leader)

    def _wait_until_booted(self, leader: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while not (self.state / "booted").exists():
            if leader.poll() is not None or time.monotonic() > deadline:
                kill(processes_with(MARK, str(self.state)))
                raise RigError(f"machine {self.name} did not boot", hint=self.log("init"))
            time.sleep(0.01)
        leader.returncode = 0  # its life is followed by pid and start time from now on
        init = next(p for p in processes_with(MARK, str(self.state)) if p.parent() == leader.pid)
        record = {"leader": Process.of(leader.pid).record(), "init": init.record()}
        write_json(self.state / "processes.json", record)

    def _recorded(self, role: str) -> Process | None:
        try:
            record = json.loads((self.state / "processes.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        process = Process(**record[role])
        return process if process.alive() else None

    @property
    def init(self) -> Process | None:
        """The machine's process 1 as the host sees it; None when the machine is down."""
        return self._recorded("init")

    def kill(self) -> None:
        """End the machine: the kernel ends every process in it, and its mounts go with them."""
        found = [p for p in (self._recorded("init"), self._recorded("leader")) if p]
        kill([*found, *processes_with(MARK, str(self.state))])

    def start(
        self, service: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> None:
        """Let process 1 run the service and keep it running."""
        inside = {"PATH": INSIDE_PATH, "HOME": "/run", **(env or {})}
        write_json(self.state / "services" / f"{service}.json", {"argv": list(argv), "env": inside})
        self._wake()

    def stop(self, service: str) -> None:
        """Kill the service and do not start it again."""
        (self.state / "services" / f"{service}.json").unlink(missing_ok=True)
        self._wake()

    def _wake(self) -> None:
        init = self.init
        if init is None:
            raise RigError(f"machine {self.name} is down", hint=self.log("init"))
        os.kill(init.pid, signal.SIGHUP)

    def enter(self, argv: Sequence[str | Path], *, stdin: str = "", timeout: float = 300) -> str:
        """Run a command inside, and return its output; the host's files are visible to it."""
        return shell.run([*self.nsenter(), *argv], stdin=stdin, timeout=timeout)

    def nsenter(self) -> list[str]:
        """The command line that brings a command into the machine."""
        init = self.init
        if init is None:
            raise RigError(f"machine {self.name} is down", hint=self.log("init"))
        return [
            "nsenter",
            "--target",
            str(init.pid),
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--",
        ]

    def log(self, service: str) -> str:
        """The last lines of a service's log, to be shown in an error."""
        path = self.state / "log" / f"{service}.log"
        if not path.exists():
            return f"no log at {path}"
        return f"{path}:\n  {shell.tail(path.read_text(errors='replace'))}"

    def services(self) -> dict[str, dict[str, Any]]:
        """What process 1 keeps running: {name: {"pid": inside, "starts": n}}."""
        try:
            found = json.loads((self.state / "services.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return dict(found)

    def remove(self) -> None:
        """Delete the state; nothing is mounted below it once the machine is dead."""
        shutil.rmtree(self.state, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Write aside, then rename: a reader never sees half a file."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(json.dumps(value, indent=1))
    aside.rename(path)
