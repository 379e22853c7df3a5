"""Wakes the loop when something is written where policies lie on this machine. A hint, no more.

Each folder is watched by itself, never a tree: a Git work tree gives a hundred thousand events for
one commit (every file is opened), and what publishers do is to swap a link, which shows in the
folder that holds the link. So the link's parent, the folder and some of its subfolders are watched,
of a Git repository only where its refs are. Which these are is asked again before each cycle; on
network file systems nothing is ever told, and the timer does the work.

A watch is of a folder, not of its path: when the folder is removed and made again, the watch would
hear of nothing any more. So what is told of as gone, or is another folder than it was, is watched
anew before the next cycle, which the same event wakes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

MOST_FOLDERS = 100
_WRITES = (
    events.FileCreatedEvent, events.FileModifiedEvent, events.FileMovedEvent,
    events.FileDeletedEvent, events.DirCreatedEvent, events.DirModifiedEvent,
    events.DirMovedEvent, events.DirDeletedEvent,
)  # fmt: skip
"""Not that something was opened or read: our own look would wake us again."""
_ENDS = (events.DirDeletedEvent, events.DirMovedEvent)
_Identity = tuple[int, int]


def folders_of(source: Path, path: str = "") -> tuple[Path, ...]:
    """What to watch of a policy source on this machine; at most `MOST_FOLDERS`.

    ``source`` is a Git repository, or a folder or a link to one; ``path`` the policies' folder.
    """
    git = source / ".git" if _is_folder(source / ".git") else source
    if _is_folder(git / "objects") and (git / "HEAD").is_file():
        found = [git, *_below(git / "refs" / "heads")]
    else:
        # What holds the link that is swapped, and where it leads now.
        whole = Path(os.path.realpath(source))
        found = [source.parent, whole, *_below(whole / path)]
    unique = dict.fromkeys(folder for folder in found if _is_folder(folder))
    return tuple(unique)[:MOST_FOLDERS]


def _is_folder(path: Path) -> bool:
    """Whether it can be seen to be one; where it may not be looked at there is nothing to watch."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _below(folder: Path) -> Iterator[Path]:
    """A folder and those in it, without hidden ones and links, in order."""
    for place, names, _ in os.walk(folder):
        yield Path(place)
        names[:] = sorted(name for name in names if not name.startswith("."))[:MOST_FOLDERS]


class FolderWatch(events.FileSystemEventHandler):
    """One observer for all folders; `changed` is called in its thread."""

    def __init__(
        self, changed: Callable[[], None], *, observer: Callable[[], BaseObserver] = Observer
    ) -> None:
        self._changed = changed
        self._make = observer
        self._lock = threading.Lock()
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, tuple[ObservedWatch, _Identity | None]] = {}
        self._marks = threading.Lock()
        self._ended: set[Path] = set()

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Something was written."""
        if isinstance(event, _ENDS):
            places = (event.src_path, event.dest_path)
            with self._marks:
                self._ended.update(Path(os.fsdecode(place)) for place in places if place)
        if isinstance(event, _WRITES):
            self._changed()

    def watch(self, folders: Sequence[Path]) -> str:
        """These from now on; returns why some are not watched, or an empty text."""
        with self._lock:
            if self._observer is None:
                if not folders:
                    return ""
                try:
                    observer = self._make()
                    observer.start()
                except (OSError, RuntimeError) as error:
                    # The node has a number of inotify instances, for all who work there.
                    return f"no folder can be watched: {getattr(error, 'strerror', '') or error}"
                self._observer = observer
            return self._exchange(self._observer, set(folders))

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            observer, self._observer = self._observer, None
            self._watches.clear()
        if observer is not None:
            observer.stop()
            observer.join()

    def _exchange(self, observer: BaseObserver, folders: set[Path]) -> str:
        with self._marks:
            ended, self._ended = self._ended, set()
        for folder, (watch, identity) in list(self._watches.items()):
            again = identity != _identity(folder) or ended.intersection((folder, *folder.parents))
            if again or folder not in folders:
                del self._watches[folder]
                observer.unschedule(watch)
        why = ""
        for folder in sorted(folders - self._watches.keys()):
            try:
                # First: a folder that is replaced in between is another one, and seen to be.
                identity = _identity(folder)
                watch = observer.schedule(
                    self, str(folder), recursive=False, event_filter=list(_WRITES)
                )
                self._watches[folder] = watch, identity
            except OSError as error:
                why = f"{folder}: {error.strerror or error}"
        return why


def _identity(folder: Path) -> _Identity | None:
    """What tells a folder from another one at its path; None where it can't be looked at. A new
    one may get the number of one that was removed, so the events count as well."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
