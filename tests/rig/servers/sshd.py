"""A real sshd that serves bare Git repositories through git-shell, and nothing else.

It listens on one address with its own host key; clients get that key as ``known_hosts`` and one
pair of keys of their own. It runs as whoever starts it: root beside a cluster, anybody on
loopback. All its state lies in one folder, where another process finds it again (`Sshd(folder)`).
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.processes import TIE, Process, kill
from tests.rig.cluster.shell import SYSTEM_PATH, environment, run

START_SECONDS = 300.0
_PRIVILEGE_FOLDER = Path("/run/sshd")


class Sshd:
    """One server. `start` does nothing if it runs; `stop` keeps keys and repositories.

    Without ``modern`` it does not let clients ask for version 2 of git's protocol. ``tied``: it
    dies with the thread that starts it, however that ends.
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        modern: bool = True,
        tied: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.address = address
        self._port = port
        self._modern = modern
        self._tie = TIE if tied else ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port, the same after a restart."""
        file = self.folder / "port"
        if not file.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_text(str(self._port or _free_port(self.address)))
        return int(file.read_text())

    def start(self) -> None:
        """Starts it and waits until it takes connections."""
        if self._process() is not None:
            return
        self._make_keys()
        config = self._write_config()
        program = shutil.which("sshd", path=SYSTEM_PATH)
        if program is None:
            raise RigError("sshd is not installed", hint="apt-get install openssh-server")
        argv = [*self._tie, *_own_run_folder(), program, "-D", "-e", "-f", str(config)]
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=environment({}),
            )
        record = json.dumps(Process.of(child.pid).record())
        (self.folder / "process.json").write_text(record)
        self._wait(child)

    def stop(self) -> None:
        """Ends it and every connection at once; no effect if it does not run."""
        main = self._process()
        if main is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(main.pid, signal.SIGSTOP)  # no new connections while we look
            kill([main, *_descendants(main.pid)])
        (self.folder / "process.json").unlink(missing_ok=True)

    def create(self, name: str) -> Path:
        """An empty bare repository that takes pushes and partial clones, or the one there is."""
        path = self.path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run(["git", "init", "--quiet", "--bare", "--initial-branch=main", path])
            run(["git", "-C", path, "config", "uploadpack.allowFilter", "true"])
        return path

    def path(self, name: str) -> Path:
        """Where a repository lies on this machine."""
        return self.folder / "git" / f"{name}.git"

    def url(self, name: str, *, by: str = "") -> str:
        """The URL of a repository for clients; ``by`` is HOST:PORT of a proxy that they use."""
        return f"ssh://{getpass.getuser()}@{by or self._place}{self.path(name)}"

    def secret(self, *, by: str = "") -> dict[str, bytes]:
        """The data of a Secret, with Flux's keys, that gets clients in."""
        self._make_keys()
        return {
            "identity": (self.folder / "client_key").read_bytes(),
            "known_hosts": self.known_hosts(by=by).encode(),
        }

    def known_hosts(self, *, by: str = "") -> str:
        """The line that proves this server to clients, and one more for a proxy at ``by``."""
        self._make_keys()
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        places = [place.rpartition(":") for place in (self._place, by) if place]
        return "".join(f"[{host}]:{port} {key}\n" for host, _, port in places)

    @property
    def _place(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def log(self) -> str:
        """What sshd said so far."""
        return (self.folder / "log").read_text(errors="replace")

    def _make_keys(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("host_key", "client_key"):
            path = self.folder / name
            if not path.exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "backstay", "-f", path])

    def _write_config(self) -> Path:
        shutil.copyfile(self.folder / "client_key.pub", self.folder / "authorized_keys")
        shell = shutil.which("git-shell", path=SYSTEM_PATH)
        if shell is None:
            raise RigError("git-shell is not installed", hint="apt-get install git")
        path = self.folder / "sshd_config"
        lines = {
            "ListenAddress": f"{self.address}:{self.port}",
            "HostKey": self.folder / "host_key",
            "PidFile": "none",
            "AuthorizedKeysFile": self.folder / "authorized_keys",
            "AuthenticationMethods": "publickey",
            "PermitRootLogin": "yes",
            "StrictModes": "no",
            "UsePAM": "no",
            "UseDNS": "no",
            "PermitTTY": "no",
            "PermitUserRC": "no",
            "DisableForwarding": "yes",
            "MaxStartups": "100",
            "AcceptEnv": "GIT_PROTOCOL" if self._modern else "NONE",
            # SHLVL: a bash below sshd would read ~/.bashrc of whoever runs the tests, each time.
            "SetEnv": "GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null SHLVL=1",
            "ForceCommand": f'{shell} -c "$SSH_ORIGINAL_COMMAND"',
        }
        path.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        return path

    def _process(self) -> Process | None:
        file = self.folder / "process.json"
        if not file.exists():
            return None
        process = Process(**json.loads(file.read_text()))
        return process if process.alive() else None

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise RigError(f"sshd ended with {child.returncode}", hint=self.log[-500:])
            with (
                contextlib.suppress(OSError),
                socket.create_connection((self.address, self.port), timeout=1) as connection,
            ):
                if connection.recv(4) == b"SSH-":
                    child.returncode = 0  # it outlives us; nobody waits for this object
                    return
            time.sleep(0.02)
        self.stop()
        raise RigError(f"sshd does not answer on {self.address}:{self.port}", hint=self.log[-500:])


def _own_run_folder() -> list[str]:
    """As root sshd wants /run/sshd: it gets one in a mount namespace of its own, not the host's."""
    if os.geteuid() != 0 or _PRIVILEGE_FOLDER.is_dir():
        return []
    script = 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _descendants(pid: int) -> list[Process]:
    """Every process below this one, whatever its session."""
    alive = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                alive.append(Process.of(int(folder.name)))
    parents = {process.pid: process.parent() for process in alive}
    found, size = {pid}, 0
    while len(found) > size:
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return [process for process in alive if process.pid in found - {pid}]
