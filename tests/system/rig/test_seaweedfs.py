"""The S3 server of the rig: keeps its data and keys, leaves nothing running."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rig.cluster.processes import Process, processes_with
from tests.rig.servers import seaweedfs


def test_it_stops_and_starts_again_with_its_keys_and_port(tmp_path: Path) -> None:
    mark = {"BACKSTAY_TEST_MARK": str(tmp_path)}
    first = seaweedfs.start(tmp_path, environment=mark)
    try:
        assert seaweedfs.start(tmp_path) == first  # it runs already
        assert seaweedfs.load(tmp_path) == first
        assert first.writer != first.reader
        assert (tmp_path / "server.json").stat().st_mode & 0o077 == 0
        assert (tmp_path / "s3.json").stat().st_mode & 0o077 == 0
        assert [p.pid for p in processes_with(*next(iter(mark.items())))] == [first.process.pid]
        first.stop()
        assert not first.process.alive()
        second = seaweedfs.start(tmp_path)
        assert (second.writer, second.port) == (first.writer, first.port)
        assert second.process != first.process
        second.kill()
    finally:
        first.kill()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", first.port)):
        pass
    first.stop()  # no effect


def test_a_folder_without_a_server_has_none(tmp_path: Path) -> None:
    assert seaweedfs.load(tmp_path) is None


TIED = """
import sys
from pathlib import Path
from tests.rig.servers import seaweedfs
from tests.rig.servers.sshd import Sshd
folder = Path(sys.argv[1])
seaweedfs.start(folder / "s3", tied=True).kill()
server = seaweedfs.start(folder / "s3")
sshd = Sshd(folder / "sshd", tied=True)
sshd.start()
print(server.process.pid, (folder / "sshd" / "process.json").read_text(), flush=True)
sys.stdin.read()
"""


def test_tied_servers_die_with_their_process(tmp_path: Path) -> None:
    """Also one that was started again without a word."""
    with subprocess.Popen(
        [sys.executable, "-c", TIED, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[3],
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        pid, _, record = owner.stdout.readline().partition(" ")
        servers = [Process.of(int(pid)), Process(**json.loads(record))]
        assert [server.alive() for server in servers] == [True, True]
        owner.kill()
    while any(server.alive() for server in servers):
        time.sleep(0.05)
