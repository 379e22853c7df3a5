"""The rig's sshd serves Git and nothing else, is found again, and leaves nothing."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.rig.cluster.processes import Process
from tests.rig.servers.sshd import Sshd


def ssh(server: Sshd, folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    """Runs something on the server with the client's key."""
    key, hosts = folder / "key", folder / "hosts"
    key.touch(mode=0o600)
    key.write_bytes(server.secret()["identity"])
    hosts.write_text(server.known_hosts())
    user = server.url("x").partition("://")[2].partition("@")[0]
    options = [f"UserKnownHostsFile={hosts}", "StrictHostKeyChecking=yes", "BatchMode=yes"]
    flags = [part for option in options for part in ("-o", option)]
    target = ["-p", str(server.port), f"{user}@{server.address}"]
    return subprocess.run(
        ["ssh", "-F", "/dev/null", "-i", key, *flags, *target, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("command", [["id"], [], ["git-upload-pack", "'/x'; touch /tmp/x"]])
def test_nothing_but_git_is_served(tmp_path: Path, command: list[str]) -> None:
    with Sshd(tmp_path / "sshd") as server:
        done = ssh(server, tmp_path, *command)
        assert done.returncode != 0
        assert b"uid=" not in done.stdout


def test_it_is_found_again_and_ended_by_another_process(tmp_path: Path) -> None:
    folder = tmp_path / "sshd"
    first = Sshd(folder)
    first.start()
    first.start()
    port, line, secret = first.port, first.known_hosts(), first.secret()
    again = Sshd(folder)
    again.create("manifests")
    assert (again.port, again.known_hosts(), again.secret()) == (port, line, secret)
    again.stop()
    again.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    again.start()
    try:
        assert (again.port, again.known_hosts()) == (port, line)
        assert again.path("manifests").is_dir()
    finally:
        first.stop()


def test_an_end_leaves_no_process_and_no_folder_outside(tmp_path: Path) -> None:
    before = set(Path("/run").iterdir())
    server = Sshd(tmp_path / "sshd")
    server.start()
    running = server._process()
    assert isinstance(running, Process)
    server.stop()
    assert not running.alive()
    assert {path.name for path in set(Path("/run").iterdir()) - before} <= {"lock", "utmp"}
