"""Folders that are watched, as editors, git, git-sync and the kubelet write them."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import (
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedNoWriteEvent,
    FileModifiedEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from reconciler.adapters.folderwatch import MOST_FOLDERS, FolderWatch, folders_of
from tests.rig.policyrepo import PolicyRepository

PATIENCE = 60.0


class Bell:
    """Rung by a watch."""

    def __init__(self) -> None:
        self.rung = threading.Event()
        self.watch = FolderWatch(self.rung.set)

    def after(self, source: Path, act: Callable[[], object], path: str = "") -> bool:
        """Whether it rings once something is done to a source that is watched."""
        assert self.watch.watch(folders_of(source, path)) == ""
        self.rung.clear()
        act()
        return self.rung.wait(PATIENCE)


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    yield bell
    bell.watch.close()


def publish(root: Path, link: str, revision: str) -> None:
    """Swap a link to a new folder, as git-sync and the kubelet do."""
    (root / revision).mkdir(parents=True)
    (root / revision / "shop.yaml").write_text(revision)
    (root / "new").symlink_to(revision)
    (root / "new").replace(root / link)


def test_a_file_that_is_written_or_removed(bell: Bell, tmp_path: Path) -> None:
    folder = tmp_path / "policies" / "team"
    folder.mkdir(parents=True)
    file = folder / "shop.yaml"
    assert bell.after(tmp_path, lambda: file.write_text("a"), "policies")
    assert bell.after(tmp_path, lambda: file.write_text("b"), "policies")
    assert bell.after(tmp_path, file.unlink, "policies")


def test_a_link_that_is_swapped_again_and_again(bell: Bell, tmp_path: Path) -> None:
    publish(tmp_path, "current", "one")
    for revision in ("two", "three"):
        assert bell.after(tmp_path / "current", partial(publish, tmp_path, "current", revision))


def test_a_mounted_configmap(bell: Bell, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()
    publish(mount, "..data", "..one")
    (mount / "shop.yaml").symlink_to("..data/shop.yaml")
    for revision in ("..two", "..three"):
        assert bell.after(mount, partial(publish, mount, "..data", revision))


def test_a_commit_in_a_repository_next_door(bell: Bell, tmp_path: Path) -> None:
    repository = PolicyRepository(tmp_path / "policies.git")
    repository.push({"a.yaml": b"a"})
    for text in (b"b", b"c"):
        assert bell.after(repository.path, partial(repository.push, {"a.yaml": text}))


def test_of_a_repository_only_its_refs_are_watched(tmp_path: Path) -> None:
    for name in ("refs/heads/team", "objects/ab", "logs"):
        (tmp_path / ".git" / name).mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "many").mkdir()
    watched = {str(folder.relative_to(tmp_path)) for folder in folders_of(tmp_path)}
    assert watched == {".git", ".git/refs/heads", ".git/refs/heads/team"}


def test_a_huge_folder_costs_a_bounded_number_of_watches(tmp_path: Path) -> None:
    for number in range(MOST_FOLDERS + 20):
        (tmp_path / f"d{number}").mkdir()
    assert len(folders_of(tmp_path)) == MOST_FOLDERS


def test_a_folder_that_is_not_there_yet_is_seen_when_it_comes(bell: Bell, tmp_path: Path) -> None:
    late = tmp_path / "late"
    assert folders_of(late) == (tmp_path,)
    assert bell.after(late, late.mkdir)
    assert bell.after(late, lambda: (late / "a.yaml").write_text("a"))


@pytest.mark.parametrize("names", [("policies",), ("", "policies")])
def test_a_folder_that_is_removed_and_made_again_is_not_deaf(
    bell: Bell, tmp_path: Path, names: tuple[str, ...]
) -> None:
    watched = [tmp_path / name for name in names]
    folder = tmp_path / "policies"
    folder.mkdir()
    assert bell.watch.watch(watched) == ""
    folder.rmdir()
    folder.mkdir()
    assert bell.rung.wait(PATIENCE)
    assert bell.watch.watch(watched) == ""
    bell.rung.clear()
    (folder / "shop.yaml").write_text("a")
    assert bell.rung.wait(PATIENCE)


class Observed(BaseObserver):
    """Keeps what it is asked for, and sees nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def join(self, timeout: float | None = None) -> None: ...

    def schedule(
        self, event_handler: FileSystemEventHandler, path: str | Path, **_more: Any
    ) -> ObservedWatch:
        assert isinstance(event_handler, FolderWatch)
        self.asked.append(("watch", Path(path).name))
        return ObservedWatch(path, recursive=False)

    def unschedule(self, watch: ObservedWatch) -> None:
        self.asked.append(("leave", Path(watch.path).name))

    def take(self) -> list[tuple[str, str]]:
        asked, self.asked = self.asked, []
        return asked


@pytest.mark.parametrize(
    "event",
    [
        lambda path: DirDeletedEvent(path),
        lambda path: DirMovedEvent(path, f"{path}-old"),
        lambda path: DirMovedEvent(f"{path}-new", path),
        lambda path: DirDeletedEvent(os.fsencode(path)),
    ],
)
def test_what_was_removed_or_moved_is_watched_anew_with_all_that_is_in_it(
    tmp_path: Path, event: Callable[[str], FileSystemEvent]
) -> None:
    folders = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "ab"]
    for folder in folders:
        folder.mkdir()
    observer = Observed()
    watch = FolderWatch(lambda: None, observer=lambda: observer)
    watch.watch(folders)
    assert observer.take() == [("watch", "a"), ("watch", "b"), ("watch", "ab")]
    watch.watch(folders)
    assert observer.take() == []
    watch.on_any_event(event(os.fspath(tmp_path / "a")))
    watch.watch(folders)
    assert observer.take() == [("leave", "a"), ("leave", "b"), ("watch", "a"), ("watch", "b")]
    watch.watch(folders)
    assert observer.take() == []


def test_another_folder_at_the_same_path_is_watched_anew_though_nothing_was_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    observer = Observed()
    watch = FolderWatch(lambda: None, observer=lambda: observer)
    watch.watch([tmp_path / "a"])
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    observer.take()
    watch.watch([tmp_path / "a"])
    assert observer.take() == [("leave", "a"), ("watch", "a")]


def test_what_cannot_be_watched_is_told_and_stops_nothing(bell: Bell, tmp_path: Path) -> None:
    why = bell.watch.watch([tmp_path / "nowhere", tmp_path])
    assert "nowhere" in why
    bell.rung.clear()
    (tmp_path / "a.yaml").write_text("a")
    assert bell.rung.wait(PATIENCE)
    assert bell.watch.watch([]) == ""


def test_a_node_without_another_inotify_instance_stops_nothing(tmp_path: Path) -> None:
    refusals = [OSError(errno.EMFILE, "Too many open files"), RuntimeError("no new thread")]

    def observer() -> BaseObserver:
        if refusals:
            raise refusals.pop(0)
        return Observer()

    rung = threading.Event()
    watch = FolderWatch(rung.set, observer=observer)
    try:
        assert watch.watch([tmp_path]) == "no folder can be watched: Too many open files"
        assert watch.watch([tmp_path]) == "no folder can be watched: no new thread"
        assert watch.watch([tmp_path]) == ""
        (tmp_path / "a.yaml").write_text("a")
        assert rung.wait(PATIENCE)
    finally:
        watch.close()


def test_a_folder_that_the_disk_refuses_to_look_at_is_not_watched(tmp_path: Path) -> None:
    assert folders_of(tmp_path / ("x" * 300)) == (tmp_path,)
    (tmp_path / "loop").symlink_to("loop")
    assert folders_of(tmp_path / "loop") == (tmp_path,)


def test_reading_is_no_reason_to_look(bell: Bell, tmp_path: Path) -> None:
    path = os.fspath(tmp_path / "a.yaml")
    bell.watch.on_any_event(FileOpenedEvent(path))
    bell.watch.on_any_event(FileClosedNoWriteEvent(path))
    assert not bell.rung.is_set()
    bell.watch.on_any_event(FileModifiedEvent(path))
    assert bell.rung.is_set()


def test_it_ends_though_it_never_began() -> None:
    FolderWatch(lambda: None).close()
