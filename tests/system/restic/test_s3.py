"""restic on a real S3 server: rights, a server that is away, and one that goes away half-way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.errors import Refused, RepositoryMissing, Transient
from reconciler.model.volumes import MoveState
from tests.rig.servers.seaweedfs import Keys, SeaweedFS
from tests.system.restic.conftest import Restic

HOST = "prod/shop"
TAGS = ("policy:shop", "run:1")
Start = Callable[[], SeaweedFS]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A volume of one small file."""
    folder = tmp_path / "data" / "web"
    folder.mkdir(parents=True)
    (folder / "page").write_text("boats")
    return folder


def test_a_bucket_is_made_with_the_repository(
    restic: Restic, s3: SeaweedFS, volume: Path, tmp_path: Path
) -> None:
    backend = restic.open(s3.repository("made-with-it", "prod", "shop"), keys=s3.writer)
    begin = time.monotonic()
    with pytest.raises(RepositoryMissing, match="bucket does not exist"):
        backend.open()
    assert time.monotonic() - begin < 600  # restic alone would try for 15 minutes
    identity = backend.initialise()
    assert backend.open() == identity
    made = backend.backup_folder(volume, host=HOST, tags=TAGS)
    target = tmp_path / "target"
    target.mkdir()
    restored = backend.restore_folder(made.snapshot, str(volume), target)
    assert restored.state is MoveState.COMPLETED
    assert (target / "page").read_text() == "boats"
    other = restic.open(s3.repository("made-with-it", "prod", "other"), keys=s3.writer)
    with pytest.raises(RepositoryMissing, match="no restic repository at 'main'"):
        other.open()


@pytest.mark.parametrize("wrong", ["key", "secret", "both"])
def test_keys_that_the_storage_does_not_know_are_refused_at_once(
    restic: Restic, s3: SeaweedFS, wrong: str
) -> None:
    url = s3.repository("wrong-keys")
    marker = "marker-storage-key-77c1"
    keys = Keys(
        marker if wrong != "secret" else s3.writer.access_key,
        marker if wrong != "key" else s3.writer.secret_key,
    )
    begin = time.monotonic()
    for call in (restic.open(url, keys=keys).open, restic.open(url, keys=keys).initialise):
        with pytest.raises(Refused) as caught:
            call()
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint
        assert marker not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
        assert "'main' (s3:http" in caught.value.message
    assert time.monotonic() - begin < 600


def test_missing_keys_are_refused(restic: Restic, s3: SeaweedFS) -> None:
    with pytest.raises(Refused, match="no credentials found"):
        restic.open(s3.repository("no-keys")).open()


def test_keys_that_may_only_read_are_refused(restic: Restic, s3: SeaweedFS, volume: Path) -> None:
    url = s3.repository("read-only")
    restic.open(url, keys=s3.writer).initialise()
    with pytest.raises(Refused, match="Access Denied"):
        restic.open(url, keys=s3.reader).backup_folder(volume, host=HOST, tags=TAGS)


def test_a_server_that_is_away_is_transient_within_the_patience(
    restic: Restic, own_s3: Start, volume: Path
) -> None:
    server = own_s3()
    url = server.repository("bucket")
    server.kill()
    begin = time.monotonic()
    for call in (
        restic.open(url, keys=server.writer).open,
        restic.open(url, keys=server.writer).initialise,
        restic.open(url, keys=server.writer).snapshots,
        # A copy is patient only with a storage that it began on.
        lambda: restic.open(url, keys=server.writer).backup_folder(volume, host=HOST, tags=TAGS),
    ):
        with pytest.raises(Transient, match="connection refused") as caught:
            call()
        assert "reachable" in caught.value.hint
    assert time.monotonic() - begin < 600


def test_a_server_that_answers_nothing_is_transient_too(restic: Restic, own_s3: Start) -> None:
    server = own_s3()
    url = server.repository("bucket")
    restic.open(url, keys=server.writer).initialise()
    server.freeze()
    begin = time.monotonic()
    try:
        with pytest.raises(Transient):
            restic.open(url, keys=server.writer, patience=2).open()
    finally:
        server.thaw()
    assert time.monotonic() - begin < 600
    assert restic.open(url, keys=server.writer).open()


def test_a_server_that_comes_back_costs_nothing(
    restic: Restic, own_s3: Start, tmp_path: Path
) -> None:
    server, folder = own_s3(), _big_volume(tmp_path)
    backend = restic.open(server.repository("bucket"), keys=server.writer)
    backend.initialise()

    def interrupt() -> None:
        _wait_for_bytes(server)
        server.kill()
        time.sleep(1)
        own_s3()

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    thread.join()
    assert result.state is MoveState.COMPLETED
    assert [s.id for s in backend.snapshots()] == [result.snapshot]


def test_a_server_that_dies_half_way_fails_the_copy_and_the_next_one_succeeds(
    restic: Restic, own_s3: Start, tmp_path: Path
) -> None:
    server, folder = own_s3(), _big_volume(tmp_path)
    url = server.repository("bucket")
    restic.open(url, keys=server.writer).initialise()

    def die() -> None:
        _wait_for_bytes(server)
        server.kill()

    thread = threading.Thread(target=die)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(Transient, match=r"connection|EOF|refused"):
        restic.open(url, keys=server.writer, copy_patience=3).backup_folder(
            folder, host=HOST, tags=TAGS
        )
    thread.join()
    assert time.monotonic() - begin < 600
    own_s3()
    backend = restic.open(url, keys=server.writer)
    assert backend.snapshots() == ()
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    assert [s.id for s in backend.snapshots(tags=TAGS)] == [result.snapshot]
    target = tmp_path / "target"
    target.mkdir()
    backend.restore_folder(result.snapshot, str(folder), target)
    assert (target / "b3").read_bytes() == (folder / "b3").read_bytes()


def test_the_storage_never_sees_what_is_stored(restic: Restic, own_s3: Start, volume: Path) -> None:
    marker = b"marker-secret-value-0f3d"
    server = own_s3()
    (volume / "secret").write_bytes(marker)
    backend = restic.open(server.repository("bucket"), keys=server.writer)
    backend.initialise()
    backend.backup_folder(volume, host=HOST, tags=TAGS)
    made = backend.backup_stream([marker * 100], host=HOST, path="/secrets.jsonl", tags=TAGS)
    assert b"".join(backend.read_file(made.id, "/secrets.jsonl")) == marker * 100
    server.stop()
    searched = list(server.data_files())
    assert sum(path.stat().st_size for path in searched) > 1000
    assert [path for path in searched if marker in path.read_bytes()] == []


def test_a_stream_needs_no_memory(restic: Restic, s3: SeaweedFS) -> None:
    backend = restic.open(s3.repository("stream"), keys=s3.writer)
    backend.initialise()
    before = _resident()
    made = backend.backup_stream(
        (os.urandom(1024) * 1024 for _ in range(100)), host=HOST, path="/s", tags=TAGS
    )
    assert made.size == 100 << 20
    assert sum(len(chunk) for chunk in backend.read_file(made.id, "/s")) == made.size
    assert _resident() - before < 30 << 20


def _wait_for_bytes(server: SeaweedFS) -> None:
    """Until the server has some megabytes of what restic sends."""
    deadline = time.monotonic() + 300
    while sum(path.stat().st_blocks for path in server.data_files()) * 512 < 24 << 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _big_volume(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "big"
    folder.mkdir(parents=True)
    for number in range(12):
        (folder / f"b{number}").write_bytes(os.urandom(16 << 20))
    return folder
