"""What every VolumeBackend keeps, held against the one in memory and against restic.

restic in two versions: the one that the image ships, and the next one of Debian.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.resticrepo import ResticRepository
from reconciler.model.errors import (
    BackstayError,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    UsageError,
    WrongPassword,
)
from reconciler.model.volumes import MoveState, RepositoryAccess
from reconciler.ports import VolumeBackend
from tests.fakes.volumebackend import FakeStorage, FakeVolumeBackend
from tests.rig import cheapkeys, tools

PASSWORD = "a-password-of-some-length"
HOST = "prod/shop"
TAGS = ("policy:shop", "run:shop-20261121-041703-aaaaa", "claim:web")
NOWHERE = "0" * 64


@dataclass(frozen=True, slots=True)
class World:
    """Backends on one storage; `prepare` makes the repository, `lock` holds an exclusive lock.

    Those that `look` makes only read.
    """

    make: Callable[[str], VolumeBackend]
    look: Callable[[str], VolumeBackend]
    prepare: Callable[[], None]
    lock: Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Empty repositories, each made once, whose password is cheap to check."""
    made: dict[str, Path] = {}

    def make(binary: str) -> Path:
        if binary not in made:
            folder = tmp_path_factory.mktemp("template")
            access = _access(str(folder / "repository"), PASSWORD)
            ResticRepository(access, cache_dir=folder / "cache", binary=binary).initialise()
            made[binary] = folder / "repository"
            cheapkeys.cheapen(made[binary], PASSWORD)
        return made[binary]

    return make


@pytest.fixture(
    params=["memory", "restic", pytest.param("restic next", marks=pytest.mark.one_in(3))]
)
def world(request: pytest.FixtureRequest, tmp_path: Path, template: Callable[[str], Path]) -> World:
    """A storage without a repository."""
    url = str(tmp_path / "storage" / "repository")
    if request.param == "memory":
        storage = FakeStorage()
        return World(
            lambda password: FakeVolumeBackend(_access(url, password), storage),
            lambda password: FakeVolumeBackend(_access(url, password), storage, read_only=True),
            lambda: _ignore(FakeVolumeBackend(_access(url, PASSWORD), storage).initialise()),
            lambda: _locked_in_memory(storage, url),
        )
    suite = tools.SUITE if request.param == "restic" else tools.NEXT_SUITE
    binary = str(tools.restic_path(suite))

    def make(password: str, *, read_only: bool = False) -> VolumeBackend:
        return ResticRepository(
            _access(url, password),
            cache_dir=tmp_path / "cache",
            retry_lock="1s",
            read_only=read_only,
            binary=binary,
        )

    def look(password: str) -> VolumeBackend:
        return make(password, read_only=True)

    def prepare() -> None:
        shutil.copytree(template(binary), url)

    return World(make, look, prepare, lambda: held_lock(binary, Path(url), tmp_path / "cache"))


@pytest.fixture
def backend(world: World) -> VolumeBackend:
    """A backend whose repository is there."""
    made = world.make(PASSWORD)
    world.prepare()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small volume."""
    volume = tmp_path / "data" / "web"
    (volume / "sub").mkdir(parents=True)
    (volume / "empty").mkdir(mode=0o700)
    (volume / "sub" / "page.html").write_text("<h1>Boats</h1>")
    (volume / "run.sh").write_text("#!/bin/sh\n")
    (volume / "run.sh").chmod(0o750)
    (volume / "current").symlink_to("sub/page.html")
    volume.chmod(0o2770)
    return volume


def _ignore(_made: str) -> None:
    return None


def _access(url: str, password: str) -> RepositoryAccess:
    return RepositoryAccess(
        name="main",
        namespace="shop",
        url=url,
        secret="restic-main",
        environment={"RESTIC_PASSWORD": password},
    )


@contextlib.contextmanager
def _locked_in_memory(storage: FakeStorage, url: str) -> Iterator[None]:
    storage.repositories[url].locked = True
    yield
    storage.repositories[url].locked = False


@contextlib.contextmanager
def held_lock(binary: str, repository: Path, cache: Path) -> Iterator[None]:
    """A real check, stopped while it holds its exclusive lock."""
    env = {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(repository), "HOME": str(cache)}
    checker = subprocess.Popen(
        [binary, "check", "--read-data", f"--cache-dir={cache}"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not any(len(lock.name) == 64 for lock in (repository / "locks").iterdir()):
            assert time.monotonic() < deadline
            assert checker.poll() is None
            time.sleep(0.002)
        checker.send_signal(19)  # SIGSTOP
        yield
    finally:
        checker.kill()
        checker.wait()
        for lock in (repository / "locks").iterdir():
            lock.unlink()


def test_there_is_no_repository_before_it_is_made(world: World) -> None:
    with pytest.raises(RepositoryMissing) as caught:
        world.make(PASSWORD).open()
    assert caught.value.exit_code == 10
    assert "storage/repository" in caught.value.message


def test_a_repository_is_made_once(world: World) -> None:
    identity = world.make(PASSWORD).initialise()
    assert len(identity) == 64
    assert world.make(PASSWORD).open() == identity
    with pytest.raises(Refused):
        world.make(PASSWORD).initialise()
    assert world.make(PASSWORD).open() == identity


def test_another_password_does_not_open_it(world: World, backend: VolumeBackend) -> None:
    with pytest.raises(WrongPassword) as caught:
        world.make("another-password").open()
    assert caught.value.exit_code == 12
    assert "another-password" not in str(caught.value)


def test_an_exclusive_lock_of_somebody_else_is_named(
    world: World, backend: VolumeBackend, folder: Path
) -> None:
    with world.lock():
        with pytest.raises(RepositoryLocked) as caught:
            backend.open()
        assert caught.value.exit_code == 11
        assert caught.value.retry_after > 0
        with pytest.raises(RepositoryLocked):
            backend.backup_folder(folder, host=HOST, tags=TAGS)
    assert backend.snapshots() == ()


def test_locks_are_told_and_stop_nobody_who_only_looks(
    world: World, backend: VolumeBackend
) -> None:
    assert backend.locks() == ()
    with world.lock():
        (lock,) = world.make(PASSWORD).locks()
        assert lock.exclusive
        assert lock.host
        assert datetime.now(UTC) - lock.time < timedelta(minutes=5)
        looking = world.look(PASSWORD)
        assert looking.open() == world.look(PASSWORD).open()
        assert looking.snapshots() == ()
        assert len(looking.locks()) == 1, "whoever only looks leaves no lock"
    with pytest.raises(WrongPassword):
        world.make("another-password").locks()


def test_a_folder_comes_back_as_it_was(
    backend: VolumeBackend, folder: Path, tmp_path: Path
) -> None:
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    assert result.state is MoveState.COMPLETED
    assert (result.exit_code, result.error_count, result.errors) == (0, 0, ())
    assert result.files == 2
    assert datetime.fromisoformat(result.started) - datetime.now(UTC) < timedelta(minutes=1)

    target = tmp_path / "elsewhere" / "web"
    target.mkdir(parents=True)
    restored = backend.restore_folder(result.snapshot, str(folder), target)
    assert restored.state is MoveState.COMPLETED
    assert _describe(target) == _describe(folder)


def test_the_snapshot_says_where_it_came_from(backend: VolumeBackend, folder: Path) -> None:
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    (listed,) = backend.snapshots()
    assert listed.id == result.snapshot
    assert len(listed.id) == 64
    assert (listed.host, listed.paths, set(listed.tags)) == (HOST, (str(folder),), set(TAGS))
    assert (listed.files, listed.size, listed.added) == (result.files, result.size, result.added)
    assert listed.time.tzinfo is not None


def test_an_unchanged_folder_gives_a_snapshot_that_adds_nothing(
    backend: VolumeBackend, folder: Path
) -> None:
    first = backend.backup_folder(folder, host=HOST, tags=TAGS)
    second = backend.backup_folder(folder, host=HOST, tags=TAGS)
    assert first.snapshot != second.snapshot
    assert first.added > 0
    assert second.added == 0
    old, new = backend.snapshots()
    assert (old.parent, new.parent) == ("", first.snapshot)


def test_snapshots_are_found_by_all_their_tags_and_host(
    backend: VolumeBackend, folder: Path
) -> None:
    ids = [
        backend.backup_folder(folder, host=host, tags=tags).snapshot
        for host, tags in (
            (HOST, ("policy:shop", "run:1")),
            (HOST, ("policy:shop", "run:2")),
            ("prod/other", ("policy:shop", "run:1")),
        )
    ]
    assert [s.id for s in backend.snapshots()] == ids
    assert [s.id for s in backend.snapshots(tags=["run:1"])] == [ids[0], ids[2]]
    assert [s.id for s in backend.snapshots(tags=["policy:shop", "run:2"])] == [ids[1]]
    assert [s.id for s in backend.snapshots(tags=["run:1"], host=HOST)] == [ids[0]]
    assert backend.snapshots(tags=["run:3"]) == ()


def test_what_is_excluded_is_not_stored(
    backend: VolumeBackend, folder: Path, tmp_path: Path
) -> None:
    (folder / "sub" / "noise.tmp").write_text("noise")
    result = backend.backup_folder(folder, host=HOST, tags=TAGS, exclude=["*.tmp", "empty"])
    target = tmp_path / "target"
    target.mkdir()
    backend.restore_folder(result.snapshot, str(folder), target)
    assert sorted(path.name for path in target.rglob("*")) == [
        "current",
        "page.html",
        "run.sh",
        "sub",
    ]


def test_a_folder_that_is_not_there_is_an_error_and_no_empty_success(
    backend: VolumeBackend, tmp_path: Path
) -> None:
    with pytest.raises(BackstayError, match="gone"):
        backend.backup_folder(tmp_path / "gone", host=HOST, tags=TAGS)
    assert backend.snapshots() == ()


def test_an_empty_folder_is_a_backup(backend: VolumeBackend, tmp_path: Path) -> None:
    empty, target = tmp_path / "empty", tmp_path / "target"
    empty.mkdir()
    target.mkdir()
    result = backend.backup_folder(empty, host=HOST, tags=TAGS)
    assert (result.state, result.files) == (MoveState.COMPLETED, 0)
    assert backend.restore_folder(result.snapshot, str(empty), target).state is MoveState.COMPLETED
    assert list(target.iterdir()) == []


def test_restoring_twice_gives_the_same_and_leaves_other_files_alone(
    backend: VolumeBackend, folder: Path
) -> None:
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    before = _describe(folder)
    (folder / "run.sh").write_text("changed")
    (folder / "sub" / "page.html").unlink()
    for _ in range(2):
        restored = backend.restore_folder(result.snapshot, str(folder), folder)
        assert restored.state is MoveState.COMPLETED
        assert _describe(folder) == before
    (folder / "later").write_text("mine")
    backend.restore_folder(result.snapshot, str(folder), folder)
    assert (folder / "later").read_text() == "mine"


def test_a_snapshot_that_does_not_fit_restores_nothing(
    backend: VolumeBackend, folder: Path, tmp_path: Path
) -> None:
    result = backend.backup_folder(folder, host=HOST, tags=TAGS)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(Refused):
        backend.restore_folder(result.snapshot, "/data/other", target)
    with pytest.raises(Refused):
        backend.restore_folder(NOWHERE, str(folder), target)
    assert list(target.iterdir()) == []


def test_a_stream_comes_back_byte_by_byte(backend: VolumeBackend) -> None:
    lines = [b"%d\n" % number * 100 for number in range(1000)]
    made = backend.backup_stream(iter(lines), host="prod/_cluster", path="/s.jsonl", tags=TAGS)
    assert (made.host, made.paths, set(made.tags)) == ("prod/_cluster", ("/s.jsonl",), set(TAGS))
    assert made.size == sum(len(line) for line in lines)
    assert [s.id for s in backend.snapshots(tags=TAGS)] == [made.id]
    assert b"".join(backend.read_file(made.id, "/s.jsonl")) == b"".join(lines)


def test_an_empty_stream_is_refused_because_restic_would_lose_the_file(
    backend: VolumeBackend,
) -> None:
    with pytest.raises(UsageError, match="nothing to store"):
        backend.backup_stream([b"", b""], host=HOST, path="/s.jsonl", tags=TAGS)
    assert backend.snapshots() == ()


@pytest.mark.parametrize("source_error", [RuntimeError("boom"), BrokenPipeError("lost")])
def test_a_stream_whose_source_fails_leaves_nothing(
    backend: VolumeBackend, source_error: Exception
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half of it" * 100_000
        raise source_error

    with pytest.raises(type(source_error)):
        backend.backup_stream(chunks(), host=HOST, path="/s.jsonl", tags=TAGS)
    assert backend.snapshots() == ()


def test_a_file_that_is_not_in_a_snapshot_is_an_error(backend: VolumeBackend) -> None:
    made = backend.backup_stream([b"x"], host=HOST, path="/s.jsonl", tags=TAGS)
    with pytest.raises(Refused):
        list(backend.read_file(made.id, "/other"))
    with pytest.raises(Refused):
        list(backend.read_file(NOWHERE, "/s.jsonl"))


def test_a_tag_that_restic_would_split_is_refused(backend: VolumeBackend, folder: Path) -> None:
    with pytest.raises(UsageError, match="tag"):
        backend.backup_folder(folder, host=HOST, tags=["policy:a,b"])
    assert backend.snapshots() == ()


def _describe(folder: Path) -> dict[str, tuple[str, str]]:
    found = {".": (oct(folder.stat().st_mode), "")}
    for path in sorted(folder.rglob("*")):
        what = str(path.readlink()) if path.is_symlink() else ""
        what = path.read_text() if path.is_file() and not path.is_symlink() else what
        found[str(path.relative_to(folder))] = (oct(path.lstat().st_mode), what)
    return found
