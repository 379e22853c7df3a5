"""What goes wrong with a repository in a folder: rights, processes that die, versions, time."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.resticrepo import ResticRepository
from reconciler.model import jsonform
from reconciler.model.errors import (
    BackstayError,
    NotSupported,
    Refused,
    Transient,
    WrongPassword,
)
from reconciler.model.volumes import MoveResult, MoveState, RepositoryAccess
from tests.system.restic.conftest import PASSWORD, Restic

HOST = "prod/shop"
TAGS = ("policy:shop", "run:1")
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


def as_nobody(world: Path, work: Callable[[ResticRepository], MoveResult]) -> MoveResult:
    """Works on the repository of `open_world` as a plain user.

    Root may do everything, so it becomes nobody in a process of its own; forked, because a plain
    user may not reach the Python that root runs.
    """
    access = RepositoryAccess(
        name="m",
        namespace="n",
        url=str(world / "repository"),
        secret="s",
        environment={"RESTIC_PASSWORD": PASSWORD},
    )
    backend = ResticRepository(access, cache_dir=world / "cache", binary=str(world / "restic"))
    if not ROOT:
        return work(backend)
    answer = world / "answer"
    answer.touch()
    answer.chmod(0o666)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            answer.write_text(jsonform.dumps(jsonform.to_json(work(backend))))
            code = 0
        except BackstayError as error:
            answer.write_text(repr(error))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, answer.read_text()
    return jsonform.from_json(MoveResult, json.loads(answer.read_text()))


@pytest.fixture
def open_world(template: Path, binary: str) -> Iterator[Path]:
    """A folder that a plain user reaches, with a repository that is theirs."""
    folder = Path("/tmp") / f"backstay-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(mode=0o755)
    shutil.copytree(template, folder / "repository")
    (folder / "data" / "web").mkdir(parents=True)
    (folder / "cache").mkdir()
    Path(shutil.copy2(binary, folder / "restic")).chmod(0o755)
    if ROOT:
        for base, folders, files in os.walk(folder):
            for name in [".", *folders, *files]:
                os.chown(Path(base) / name, NOBODY.pw_uid, NOBODY.pw_gid)
    yield folder
    shutil.rmtree(folder)


def test_a_file_that_a_plain_user_cannot_read_is_partial_and_has_a_snapshot(
    open_world: Path,
) -> None:
    volume = open_world / "data" / "web"
    (volume / "readable").write_text("x")
    (volume / "secret").write_text("never in a message")
    (volume / "closed").mkdir()
    for name in ("secret", "closed"):
        (volume / name).chmod(0)
        if ROOT:
            os.chown(volume / name, 0, 0)
    result = as_nobody(open_world, lambda r: r.backup_folder(volume, host=HOST, tags=TAGS))
    assert (result.state, result.exit_code) == (MoveState.PARTIALLY_FAILED, 3)
    assert len(result.snapshot) == 64
    assert result.error_count == 2, result.errors
    errors = " ".join(result.errors)
    assert "secret: permission denied" in errors
    assert "closed: permission denied" in errors
    assert "never in a message" not in repr(result)
    (volume / "closed").chmod(0o700)


@pytest.mark.skipif(not ROOT, reason="only root can make a volume that belongs to somebody else")
def test_a_plain_user_restores_into_a_volume_whose_top_folder_is_roots(open_world: Path) -> None:
    volume = open_world / "data" / "web"
    (volume / "file").write_text("x")
    os.chown(volume / "file", NOBODY.pw_uid, NOBODY.pw_gid)
    os.chown(volume, 0, 0)
    volume.chmod(0o1777)
    made = as_nobody(open_world, lambda r: r.backup_folder(volume, host=HOST, tags=TAGS))
    target = open_world / "target"
    target.mkdir()
    target.chmod(0o1777)

    def restore(repository: ResticRepository) -> MoveResult:
        return repository.restore_folder(made.snapshot, "/data/web", target)

    result = as_nobody(open_world, restore)
    assert (result.state, result.errors) == (MoveState.COMPLETED, ())
    target.chmod(0o1757)
    result = as_nobody(open_world, restore)
    assert result.state is MoveState.PARTIALLY_FAILED
    assert "mode not set" in " ".join(result.errors)


@pytest.mark.skipif(not ROOT, reason="only root can give files to somebody else")
def test_owners_that_a_plain_user_cannot_set_make_a_restore_partial(open_world: Path) -> None:
    volume = open_world / "data" / "web"
    (volume / "file").write_text("x")
    os.chown(volume / "file", 1234, 5678)
    (volume / "file").chmod(0o644)
    made = as_nobody(open_world, lambda r: r.backup_folder(volume, host=HOST, tags=TAGS))
    assert made.state is MoveState.COMPLETED
    target = open_world / "target"
    target.mkdir()
    os.chown(target, NOBODY.pw_uid, NOBODY.pw_gid)
    result = as_nobody(open_world, lambda r: r.restore_folder(made.snapshot, "/data/web", target))
    assert (target / "file").read_text() == "x"
    assert (result.state, result.error_count) == (MoveState.PARTIALLY_FAILED, 1)
    assert "/web/file: owner 1234:5678 not set" in result.errors[0]


def test_a_killed_restic_is_an_error_and_the_next_one_succeeds(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    volume = _big_volume(tmp_path)
    backend = restic.open(repository)
    killed = _kill_when_packing(repository, signal.SIGKILL)
    with pytest.raises(Transient, match="signal 9"):
        backend.backup_folder(volume, host=HOST, tags=TAGS)
    killed.join()
    assert backend.snapshots() == ()
    result = backend.backup_folder(volume, host=HOST, tags=TAGS)
    assert result.state is MoveState.COMPLETED
    target = tmp_path / "target"
    target.mkdir()
    assert backend.restore_folder(result.snapshot, str(volume), target).state is result.state
    assert (target / "b7").read_bytes() == (volume / "b7").read_bytes()


def test_a_copy_that_takes_too_long_is_ended_and_stores_nothing(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    volume = _big_volume(tmp_path)
    begin = time.monotonic()
    with pytest.raises(Transient, match="did not end within"):
        restic.open(repository, timeout=1.0).backup_folder(volume, host=HOST, tags=TAGS)
    assert time.monotonic() - begin < 600
    assert restic.open(repository).snapshots() == ()


def test_a_repository_that_lost_data_does_not_restore_silently(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "data" / "web"
    volume.mkdir(parents=True)
    (volume / "file").write_bytes(os.urandom(1 << 20))
    backend = restic.open(repository)
    made = backend.backup_folder(volume, host=HOST, tags=TAGS)
    packs = [path for path in (repository / "data").rglob("*") if path.is_file()]
    biggest = max(packs, key=lambda path: path.stat().st_size)
    biggest.chmod(0o600)
    biggest.write_bytes(os.urandom(biggest.stat().st_size))
    target = tmp_path / "target"
    target.mkdir()
    try:
        state = backend.restore_folder(made.snapshot, str(volume), target).state
    except BackstayError:
        return
    assert state is MoveState.PARTIALLY_FAILED


def test_a_full_disk_is_said(restic: Restic, repository: Path) -> None:
    with pytest.raises((Refused, BackstayError), match="not a directory"):
        restic.open("/dev/full/repository").initialise()


def test_a_folder_that_cannot_be_read_is_refused(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused, match="Not a directory"):
        restic.open(repository).backup_folder(tmp_path / "file", host=HOST, tags=TAGS)


def test_an_old_restic_is_refused_with_a_hint(tmp_path: Path, repository: Path) -> None:
    old = tmp_path / "restic"
    old.write_text("#!/bin/sh\necho 'restic 0.14.0 compiled with go1.19.8 on linux/amd64'\n")
    old.chmod(0o755)
    with pytest.raises(NotSupported, match=r"restic 0\.14\.0 is too old") as caught:
        Restic(str(old), tmp_path / "cache").open(repository).open()
    assert caught.value.exit_code == 4
    assert "0.18" in caught.value.hint


def test_a_missing_restic_is_refused(tmp_path: Path) -> None:
    missing = Restic(str(tmp_path / "no-restic"), tmp_path / "cache")
    with pytest.raises(Refused, match="not installed"):
        missing.open(tmp_path / "repository").open()


def test_an_exit_code_that_nobody_knows_is_a_failure(tmp_path: Path, repository: Path) -> None:
    strange = tmp_path / "restic"
    strange.write_text(
        "#!/bin/sh\n"
        'case "$*" in *" version") echo \'{"version":"0.99.0","go_version":"go2",'
        '"go_os":"linux","go_arch":"amd64"}\'; exit 0;; esac\n'
        'echo \'{"message_type":"initialized","id":"x"}\'; echo strange words >&2; exit 42\n'
    )
    strange.chmod(0o755)
    with pytest.raises(BackstayError, match=r"exit code 42: strange words"):
        Restic(str(strange), tmp_path / "cache").open(repository).initialise()


def test_two_repositories_in_two_threads_never_meet(
    restic: Restic, template: Path, tmp_path: Path
) -> None:
    urls = [Path(shutil.copytree(template, tmp_path / name)) for name in ("one", "two")]
    failures: list[BaseException] = []

    def work(url: Path, password: str, expected: type[BackstayError] | None) -> None:
        try:
            for _ in range(3):
                try:
                    restic.open(url, password=password).snapshots(tags=TAGS)
                    assert expected is None
                except WrongPassword:
                    assert expected is WrongPassword
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(urls[0], PASSWORD, None)),
        threading.Thread(target=work, args=(urls[1], "wrong-password", WrongPassword)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _big_volume(tmp_path: Path) -> Path:
    volume = tmp_path / "data" / "big"
    volume.mkdir(parents=True)
    for number in range(24):
        (volume / f"b{number}").write_bytes(os.urandom(16 << 20))
    return volume


def _kill_when_packing(repository: Path, number: signal.Signals) -> threading.Thread:
    """Signals the restic of this process when its first packs are written."""

    def work() -> None:
        while not any(path.is_file() for path in (repository / "data").rglob("*")):
            time.sleep(0.01)
        for child in _children():
            os.kill(child, number)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def _children() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and name == "restic":
            found.append(int(folder.name))
    return found
