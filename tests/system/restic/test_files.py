"""What a volume may hold, and what of it comes back."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from pathlib import Path

import pytest

from reconciler.model.volumes import MoveState
from tests.system.restic.conftest import Restic

HOST = "prod/shop"
TAGS = ("policy:shop",)
ROOT = os.geteuid() == 0
NAMES = (
    b"two\nlines",
    b"tab\there",
    b"\"double\" 'single' `back`",
    b"latin-\xe9\xff",
    b"-rf",
    b"--exclude=x",
    b" leading and trailing ",
    b"$HOME;#&|*?[a]",
    b"back\\slash",
    "\N{SNOWMAN}\N{GRINNING FACE}".encode(),
    b"a" * 255,
)
SPARSE = 100 << 20


def describe(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that must be equal after a restore, by relative path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [folder, *folder.rglob("*")]:
        seen = path.lstat()
        what, time = "", seen.st_mtime_ns // 10**6
        if stat.S_ISREG(seen.st_mode):
            with path.open("rb") as file:
                what = hashlib.file_digest(file, "sha256").hexdigest()
        elif stat.S_ISLNK(seen.st_mode):
            what, time = str(path.readlink()), 0
        about = (seen.st_mode, seen.st_uid, seen.st_gid, what, time)
        found[str(path.relative_to(folder))] = about
    return found


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Everything that is odd and allowed."""
    folder = tmp_path / "data" / "web"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / os.fsdecode(name)).write_text(str(number))
    (folder / "empty file").touch()
    (folder / "empty").mkdir()
    (folder / "closed").mkdir()
    (folder / "closed" / "inside").write_text("x")
    (folder / "closed").chmod(0o500)
    (folder / "dangling").symlink_to("nowhere/at/all")
    (folder / "absolute").symlink_to("/etc/hostname")
    (folder / "to-bytes").symlink_to(os.fsdecode(b"latin-\xe9\xff"))
    (folder / "original").write_text("linked twice")
    (folder / "hard link").hardlink_to(folder / "original")
    modes = (("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1644), ("none", 0o000))
    for title, mode in modes:
        (folder / title).write_text(title)
        if ROOT:
            os.chown(folder / title, 1234, 5678)
        (folder / title).chmod(mode if ROOT else mode | 0o400)
    os.mkfifo(folder / "pipe")
    os.utime(folder / "empty file", (1_000_000_000, 1_000_000_000))
    if ROOT:
        os.chown(folder, 999, 998)
    folder.chmod(0o2750)
    os.utime(folder, (1_500_000_000, 1_500_000_000))
    return folder


def _round_trip(restic: Restic, repository: Path, volume: Path, target: Path) -> None:
    backend = restic.open(repository)
    made = backend.backup_folder(volume, host=HOST, tags=TAGS)
    assert (made.state, made.errors) == (MoveState.COMPLETED, ())
    target.mkdir()
    restored = backend.restore_folder(made.snapshot, str(volume), target)
    assert (restored.state, restored.errors) == (MoveState.COMPLETED, ())


def test_every_name_mode_owner_and_link_comes_back(
    restic: Restic, repository: Path, volume: Path, tmp_path: Path
) -> None:
    before = describe(volume)
    _round_trip(restic, repository, volume, tmp_path / "target")
    assert describe(tmp_path / "target") == before
    first, second = tmp_path / "target" / "original", tmp_path / "target" / "hard link"
    assert first.stat().st_ino == second.stat().st_ino


def test_the_top_folder_keeps_its_mode_owner_and_time(
    restic: Restic, repository: Path, volume: Path, tmp_path: Path
) -> None:
    _round_trip(restic, repository, volume, tmp_path / "target")
    seen = (tmp_path / "target").stat()
    assert stat.S_IMODE(seen.st_mode) == 0o2750
    assert seen.st_mtime == 1_500_000_000
    assert (seen.st_uid, seen.st_gid) == ((999, 998) if ROOT else (os.getuid(), os.getgid()))


def test_a_sparse_file_stays_sparse(restic: Restic, repository: Path, tmp_path: Path) -> None:
    volume = tmp_path / "data" / "db"
    volume.mkdir(parents=True)
    with (volume / "sparse").open("wb") as file:
        file.truncate(SPARSE)
        file.seek(SPARSE // 2)
        file.write(b"in the middle")
    _round_trip(restic, repository, volume, tmp_path / "target")
    seen = (tmp_path / "target" / "sparse").stat()
    assert seen.st_size == SPARSE
    assert seen.st_blocks * 512 < 4 << 20
    assert describe(tmp_path / "target") == describe(volume)


def test_extended_attributes_come_back(restic: Restic, repository: Path, tmp_path: Path) -> None:
    volume = tmp_path / "data" / "db"
    volume.mkdir(parents=True)
    (volume / "file").write_text("x")
    os.setxattr(volume / "file", "user.backstay", b"\x00\xffvalue")
    _round_trip(restic, repository, volume, tmp_path / "target")
    assert os.getxattr(tmp_path / "target" / "file", "user.backstay") == b"\x00\xffvalue"


def test_one_changed_file_adds_about_that_file(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "data" / "db"
    volume.mkdir(parents=True)
    for number in range(300):
        (volume / f"{number:03}").write_bytes(os.urandom(4096))
    backend = restic.open(repository)
    backend.backup_folder(volume, host=HOST, tags=TAGS)
    (volume / "007").write_bytes(os.urandom(4096))
    second = backend.backup_folder(volume, host=HOST, tags=TAGS)
    assert 4096 <= second.added < 64 << 10
    assert second.files == 300


def test_a_socket_does_not_make_a_backup_partial(
    restic: Restic, repository: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "data" / "db"
    volume.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        # A path to a socket may have 107 bytes only.
        here = Path.cwd()
        os.chdir(volume)
        try:
            listener.bind("s")
        finally:
            os.chdir(here)
        made = restic.open(repository).backup_folder(volume, host=HOST, tags=TAGS)
    assert made.state is MoveState.COMPLETED
