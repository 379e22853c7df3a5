"""restic repositories in memory: stateful, told apart by URL, with VolumeBackend's promises."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from reconciler.model.errors import (
    BackstayError,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    UsageError,
    WrongPassword,
)
from reconciler.model.volumes import (
    MoveResult,
    MoveState,
    RepositoryAccess,
    ResticLock,
    ResticSnapshot,
)


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder or link as a snapshot holds it; ``data`` is contents or the link's target."""

    kind: str
    mode: int
    data: bytes = b""


@dataclass(slots=True)
class StoredRepository:
    """One repository in the storage; tests may look at and change everything."""

    id: str
    password: str
    snapshots: list[ResticSnapshot] = field(default_factory=list)
    trees: dict[str, dict[str, Node]] = field(default_factory=dict)
    locked: bool = False
    """Whether somebody holds an exclusive lock."""
    locks: list[ResticLock] = field(default_factory=list)
    """Locks that are in nobody's way."""


@dataclass(slots=True)
class FakeStorage:
    """Everything behind all URLs. ``failure`` is raised by every call while it is set."""

    repositories: dict[str, StoredRepository] = field(default_factory=dict)
    failure: BackstayError | None = None


class FakeVolumeBackend:
    """VolumeBackend over `FakeStorage`; a folder is stored as restic stores ``./<name>``."""

    def __init__(
        self, access: RepositoryAccess, storage: FakeStorage, *, read_only: bool = False
    ) -> None:
        self._access = access
        self._read_only = read_only
        self._storage = storage
        self._now = datetime.now(UTC)

    def open(self) -> str:
        """The id, if it is there and the password fits."""
        return self._opened().id

    def initialise(self) -> str:
        """Makes it."""
        if self._storage.failure is not None:
            raise self._storage.failure
        if self._access.url in self._storage.repositories:
            raise Refused(f"{self._access.url}: config file already exists")
        count = len(self._storage.repositories)
        identity = hashlib.sha256(f"{self._access.url}#{count}".encode()).hexdigest()
        password = self._access.environment["RESTIC_PASSWORD"]
        self._storage.repositories[self._access.url] = StoredRepository(identity, password)
        return identity

    def backup_stream(
        self, chunks: Iterable[bytes], *, host: str, path: str, tags: Sequence[str]
    ) -> ResticSnapshot:
        """Stores one file; nothing if ``chunks`` raises."""
        repository = self._opened()
        data = b"".join(chunks)
        if not data:
            raise UsageError(f"nothing to store as {path}")
        tree = {path.removeprefix("/"): Node("file", 0o644, data)}
        return self._store(repository, tree, host=host, path=path, tags=tags)

    def backup_folder(
        self,
        folder: Path,
        *,
        host: str,
        tags: Sequence[str],
        exclude: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Stores the folder's tree."""
        begin = time.monotonic()
        repository = self._opened()
        try:
            tree = dict(_walk(folder, folder.name, tuple(exclude)))
        except OSError as error:
            raise Refused(f"cannot read the folder {folder}: {error.strerror}") from error
        made = self._store(repository, tree, host=host, path=str(folder), tags=tags)
        if progress is not None:
            progress(made.size, made.size)
        return MoveResult(
            state=MoveState.COMPLETED,
            snapshot=made.id,
            files=made.files,
            size=made.size,
            added=made.added,
            took=round(time.monotonic() - begin),
            started=made.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def restore_folder(
        self,
        snapshot: str,
        source: str,
        folder: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Writes the tree back; what is not in it stays."""
        repository = self._opened()
        tree = self._tree(repository, snapshot)
        name = PurePosixPath(source).name
        if name not in tree or tree[name].kind != "dir":
            raise Refused(f"snapshot {snapshot[:8]} holds no folder /{name}")
        for path, node in tree.items():
            _write(folder / PurePosixPath(path).relative_to(name), node)
        for path, node in reversed(tree.items()):
            if node.kind == "dir":
                (folder / PurePosixPath(path).relative_to(name)).chmod(node.mode)
        files = [node for node in tree.values() if node.kind == "file"]
        size = sum(len(node.data) for node in files)
        if progress is not None:
            progress(size, size)
        return MoveResult(
            state=MoveState.COMPLETED,
            snapshot=snapshot,
            files=len(files),
            size=size,
            started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    def snapshots(self, *, tags: Sequence[str] = (), host: str = "") -> tuple[ResticSnapshot, ...]:
        """All that carry all tags."""
        return tuple(
            snapshot
            for snapshot in self._opened().snapshots
            if set(tags) <= set(snapshot.tags) and host in ("", snapshot.host)
        )

    def read_file(self, snapshot: str, path: str) -> Iterator[bytes]:
        """One file's bytes."""
        node = self._tree(self._opened(), snapshot).get(path.removeprefix("/"))
        if node is None or node.kind != "file":
            raise Refused(f"path {path!r} not found in snapshot {snapshot[:8]}")
        yield node.data

    def locks(self) -> tuple[ResticLock, ...]:
        """As the port says."""
        read_only, self._read_only = self._read_only, True
        try:
            found = self._opened()
        finally:
            self._read_only = read_only
        exclusive = [ResticLock(id="e" * 64, time=self._now, exclusive=True, host="other")]
        return (*found.locks, *(exclusive if found.locked else ()))

    def _opened(self) -> StoredRepository:
        if self._storage.failure is not None:
            raise self._storage.failure
        found = self._storage.repositories.get(self._access.url)
        if found is None:
            raise RepositoryMissing(f"no restic repository at {self._access.url}")
        if found.password != self._access.environment["RESTIC_PASSWORD"]:
            raise WrongPassword(f"wrong password for restic repository {self._access.url}")
        if found.locked and not self._read_only:
            raise RepositoryLocked(f"restic repository {self._access.url} is locked")
        return found

    def _tree(self, repository: StoredRepository, snapshot: str) -> dict[str, Node]:
        if snapshot not in repository.trees:
            raise Refused(f"no snapshot {snapshot[:8]} in {self._access.url}")
        return repository.trees[snapshot]

    def _store(
        self,
        repository: StoredRepository,
        tree: dict[str, Node],
        *,
        host: str,
        path: str,
        tags: Sequence[str],
    ) -> ResticSnapshot:
        if any("," in tag or not tag for tag in tags):
            raise UsageError(f"restic can't store the tags {list(tags)}")
        known = {node.data for old in repository.trees.values() for node in old.values()}
        files = [node for node in tree.values() if node.kind == "file"]
        same = [s for s in repository.snapshots if (s.host, s.paths) == (host, (path,))]
        # Two snapshots of the same second have their order all the same.
        self._now = max(self._now + timedelta(microseconds=1), datetime.now(UTC))
        identity = hashlib.sha256(f"{repository.id}{len(repository.snapshots)}".encode())
        made = ResticSnapshot(
            id=identity.hexdigest(),
            time=self._now,
            host=host,
            paths=(path,),
            tags=tuple(tags),
            parent=same[-1].id if same and PurePosixPath(path).name in tree else "",
            files=len(files),
            size=sum(len(node.data) for node in files),
            added=sum(len(node.data) for node in files if node.data not in known),
        )
        repository.snapshots.append(made)
        repository.trees[made.id] = tree
        return replace(made)


def _walk(path: Path, name: str, exclude: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    mode = path.lstat().st_mode & 0o7777
    if path.is_symlink():
        yield name, Node("link", mode, os.fsencode(path.readlink()))
    elif path.is_dir():
        yield name, Node("dir", mode)
        for child in sorted(path.iterdir()):
            if not any(fnmatch.fnmatchcase(child.name, pattern) for pattern in exclude):
                yield from _walk(child, f"{name}/{child.name}", exclude)
    else:
        yield name, Node("file", mode, path.read_bytes())


def _write(path: Path, node: Node) -> None:
    match node.kind:
        case "dir":
            path.mkdir(parents=True, exist_ok=True)
        case "link":
            path.unlink(missing_ok=True)
            path.symlink_to(os.fsdecode(node.data))
        case _:
            path.unlink(missing_ok=True)
            path.write_bytes(node.data)
            path.chmod(node.mode)
