"""What every RepositoryUpkeep keeps, held against the one in memory and against restic."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.resticupkeep import KeptRepository
from reconciler.model.errors import Refused, RepositoryLocked, UsageError
from reconciler.model.volumes import RepositoryAccess
from reconciler.ports import RepositoryUpkeep
from tests.contract.test_restic_arguments import ID, Recorder
from tests.contract.test_volume_backend import HOST, NOWHERE, PASSWORD, TAGS
from tests.fakes.upkeep import FakeUpkeep
from tests.fakes.volumebackend import FakeStorage
from tests.rig import cheapkeys, tools


@dataclass(frozen=True, slots=True)
class World:
    """A repository; `spoil` loses the data of the newest snapshot."""

    backend: RepositoryUpkeep
    spoil: Callable[[], None]
    lock: Callable[[], AbstractContextManager[None]]


def _access(url: str) -> RepositoryAccess:
    environment = {"RESTIC_PASSWORD": PASSWORD}
    return RepositoryAccess(
        name="main", namespace="shop", url=url, secret="restic-main", environment=environment
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Empty repositories, each made once, whose password is cheap to check."""
    made: dict[str, Path] = {}

    def make(binary: str) -> Path:
        if binary not in made:
            folder = tmp_path_factory.mktemp("template")
            access = _access(str(folder / "repository"))
            KeptRepository(access, cache_dir=folder / "cache", binary=binary).initialise()
            made[binary] = folder / "repository"
            cheapkeys.cheapen(made[binary], PASSWORD)
        return made[binary]

    return make


@pytest.fixture(
    params=["memory", "restic", pytest.param("restic next", marks=pytest.mark.one_in(3))]
)
def world(request: pytest.FixtureRequest, tmp_path: Path, template: Callable[[str], Path]) -> World:
    """An empty repository."""
    url = str(tmp_path / "repository")
    if request.param == "memory":
        storage = FakeStorage()
        fake = FakeUpkeep(_access(url), storage)
        fake.initialise()
        return World(fake, lambda: _spoil(storage, url), lambda: _locked(storage, url))
    suite = tools.SUITE if request.param == "restic" else tools.NEXT_SUITE
    binary, cache = str(tools.restic_path(suite)), tmp_path / "cache"
    shutil.copytree(template(binary), url)
    kept = KeptRepository(_access(url), cache_dir=cache, retry_lock="0s", binary=binary)
    return World(kept, lambda: _spoil_packs(Path(url)), lambda: _locked_by_another(Path(url)))


def _spoil(storage: FakeStorage, url: str) -> None:
    storage.repositories[url].trees.popitem()


def _spoil_packs(repository: Path) -> None:
    for pack in (repository / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(b"\0" * pack.stat().st_size)


@contextlib.contextmanager
def _locked(storage: FakeStorage, url: str) -> Iterator[None]:
    storage.repositories[url].locked = True
    yield
    storage.repositories[url].locked = False


@contextlib.contextmanager
def _locked_by_another(repository: Path) -> Iterator[None]:
    """The lock of a restic on another machine, as one writes it."""
    (key,) = (repository / "keys").iterdir()
    holder = {"hostname": "another", "username": "root", "pid": 7, "uid": 0, "gid": 0}
    lock = {"time": datetime.now(UTC).isoformat(), "exclusive": True, **holder}
    secret = cheapkeys.open_master(key.read_bytes(), PASSWORD)
    text = cheapkeys.seal(secret, json.dumps(lock).encode())
    file = repository / "locks" / hashlib.sha256(text).hexdigest()
    file.write_bytes(text)
    yield
    file.unlink()


def _fill(world: World, count: int) -> list[str]:
    """Snapshots that look alike, so that restic's own rules would take them for one group."""
    return [
        world.backend.backup_stream(
            [b"%d" % number * 3000], host=HOST, path="/files", tags=TAGS
        ).id
        for number in range(count)
    ]  # fmt: skip


def _ids(world: World) -> list[str]:
    return [found.id for found in world.backend.snapshots()]


def test_exactly_the_named_ones_go_and_the_others_stay_whole(world: World) -> None:
    first, second, third = _fill(world, 3)
    world.backend.forget([first, third, NOWHERE])
    assert _ids(world) == [second]
    world.backend.forget([first])
    world.backend.prune()
    assert world.backend.check() == ()
    assert b"".join(world.backend.read_file(second, "/files")) == b"1" * 3000
    with pytest.raises(Refused):
        list(world.backend.read_file(first, "/files"))


def test_nothing_goes_without_full_ids(world: World) -> None:
    (first,) = _fill(world, 1)
    for wrong in ("latest", "", "0" * 8, "--keep-last=1", "0" * 64 + "\n"):
        with pytest.raises(UsageError, match="not the full id"):
            world.backend.forget([first, wrong])
    world.backend.forget([])
    assert _ids(world) == [first]


def test_damage_is_told_and_is_no_error(world: World) -> None:
    _fill(world, 1)
    assert world.backend.check(part=1, parts=1) == ()
    world.spoil()
    assert world.backend.check(part=1, parts=1)


def test_a_part_that_there_is_not_is_refused(world: World) -> None:
    for part, parts in ((0, 4), (5, 4)):
        with pytest.raises(UsageError, match="no part"):
            world.backend.check(part=part, parts=parts)


def test_while_somebody_else_is_at_it_nothing_goes(world: World) -> None:
    (first,) = _fill(world, 1)
    with world.lock():
        with pytest.raises(RepositoryLocked):
            world.backend.forget([first])
        with pytest.raises(RepositoryLocked):
            world.backend.prune()
        with pytest.raises(RepositoryLocked):
            world.backend.check()
    assert _ids(world) == [first]


def _recorder(folder: Path) -> tuple[Recorder, KeptRepository]:
    """A restic that says yes to all, and does nothing."""
    recorder = Recorder(folder)
    for verb in ("forget", "prune", "check"):
        (folder / "answers" / verb).write_text("[]\n")
    access = RepositoryAccess(
        name="m", namespace="n", url="s3:https://s3/b", secret="s", environment={}
    )
    binary = str(folder / "restic")
    return recorder, KeptRepository(access, cache_dir=folder / "cache", binary=binary)


def test_a_success_that_removed_nothing_is_refused(tmp_path: Path) -> None:
    recorder, kept = _recorder(tmp_path)
    with pytest.raises(Refused, match="1 of 1 snapshots are still there") as caught:
        kept.forget([ID, NOWHERE, ID])
    assert "append-only" in caught.value.hint
    assert recorder.calls() == [["snapshots"], ["forget", ID], ["snapshots"]]


def test_the_command_lines(tmp_path: Path) -> None:
    recorder, kept = _recorder(tmp_path)
    kept.forget([NOWHERE])
    kept.prune()
    kept.check(part=3, parts=20)
    kept.check(read_data=False)
    assert recorder.calls() == [
        ["snapshots"],
        ["prune"],
        ["check", "--read-data-subset=3/20"],
        ["check"],
    ]
