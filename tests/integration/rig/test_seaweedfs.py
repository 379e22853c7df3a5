"""The S3 server of the rig: keeps its data and keys, leaves nothing running."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.rig.cluster.processes import processes_with
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
