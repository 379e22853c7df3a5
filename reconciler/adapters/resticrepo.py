"""VolumeBackend on restic: one repository, from this process.

Commands are built by resticpy and run by `resticexec`; what resticpy lacks rides in front of the
command as ``--flag=value``. Everything a call needs is in its own environment and arguments, so
any number of repositories and threads can be used side by side.

A folder is stored as ``./<name>`` with the working directory at its parent: the snapshot's path
is the absolute one, and the top of its tree is the folder itself. Given ``.`` instead, restic
would forget the folder's own mode, owner and attributes, and a database whose data directory is
the volume's root would not start after a restore.

Only restic 0.17.1 and newer are used: older ones have no exit codes for a missing repository, a
lock or a wrong password, and leave their lock behind when they are ended.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from restic.internal import backup as restic_backup
from restic.internal import cat as restic_cat
from restic.internal import init as restic_init
from restic.internal import restore as restic_restore
from restic.internal import snapshots as restic_snapshots
from restic.internal import version as restic_version

from reconciler.adapters import resticenv, resticerrors, resticexec, restictree
from reconciler.adapters.resticexec import Invocation, Outcome, ResticFailed
from reconciler.adapters.resticjson import parse_lock, parse_snapshot
from reconciler.model.errors import BackstayError, NotSupported, Refused, UsageError
from reconciler.model.volumes import (
    MoveResult,
    MoveState,
    RepositoryAccess,
    ResticLock,
    ResticSnapshot,
)

OLDEST = (0, 17, 1)
_QUIET_FPS = "0.001"
_FPS = "0.2"
_LONG = 7 * 24 * 3600.0
_CHUNK = 1 << 20
_GROUPS = ("host", "paths")
_FULL_ID = re.compile(r"[0-9a-f]{8,64}")


class ResticRepository:
    """One restic repository. See `reconciler.ports.VolumeBackend` for the promises.

    ``cache_dir`` is made if it is not there. ``retry_lock`` is restic's duration for a lock in
    the way. ``patience`` is how many seconds a storage may be away before a question (open,
    list, make) fails, or a folder's copy that has not opened the repository yet; what has begun to
    copy is given ``copy_patience``, because it is worth waiting for.
    ``read_only`` reads without a lock, so that nothing at all is written to the storage.
    """

    def __init__(
        self,
        access: RepositoryAccess,
        *,
        cache_dir: Path,
        retry_lock: str = "2m",
        patience: float = 30.0,
        copy_patience: float = 900.0,
        timeout: float = _LONG,
        read_only: bool = False,
        binary: str = "restic",
    ) -> None:
        self._where = f"'{access.name}' ({access.url})" if access.name else access.url
        self._keys = access.source or "its Secret"
        self._cache_dir = cache_dir
        self._env = resticenv.environment(access, cache_dir)
        self._secrets = resticenv.secrets(access)
        self._retry_lock = retry_lock
        self._patience = patience
        self._copy_patience = copy_patience
        self._timeout = timeout
        self._read_only = read_only
        self._binary = binary

    def open(self) -> str:
        """The repository's id, from its configuration."""
        cat = restic_cat.Cat(self._base)
        config = self._ask(cat.config)
        if not isinstance(config, dict) or not config.get("id"):
            raise BackstayError(f"restic repository {self._where}: its configuration has no id")
        return str(config["id"])

    def initialise(self) -> str:
        """Makes the repository, format version 2; restic makes a bucket that is not there."""
        run = functools.partial(restic_init.run, self._base(), repository_version=2)
        return str(self._ask(run))

    def backup_stream(
        self, chunks: Iterable[bytes], *, host: str, path: str, tags: Sequence[str]
    ) -> ResticSnapshot:
        """Stores the stream as the one file ``path``; memory does not grow with it.

        The snapshot is read back from the repository: it is there when this returns. An empty
        stream raises UsageError: restic would make a snapshot without the file.
        """
        chunks = _not_empty(chunks, path)
        base = self._base("--stdin=true", f"--stdin-filename={path}")
        run = functools.partial(
            restic_backup.run, base, [], tags=_tags(tags), host=host, group_by=_GROUPS
        )
        call = self._copying(None, fps=_QUIET_FPS, stdin=chunks)
        outcome = self._run(run, call)[1]
        name = outcome.summary.snapshot if outcome.summary else ""
        if outcome.code != 0 or not name:
            raise self._error(outcome)
        found = self._list(snapshot_id=name)
        if [snapshot.id for snapshot in found] != [name]:
            raise BackstayError(
                f"restic repository {self._where} does not list snapshot {name} that it just made"
            )
        return found[0]

    def backup_folder(
        self,
        folder: Path,
        *,
        host: str,
        tags: Sequence[str],
        exclude: Sequence[str] = (),
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Stores the folder. Every call makes a snapshot, also of an unchanged folder.

        Files that could not be read make it PARTIALLY_FAILED. Whether the repository lists the
        snapshot is for the caller to ask, once for all folders of a run.
        """
        _check_folder(folder)
        started, begin = datetime.now(UTC), time.monotonic()
        run = functools.partial(
            restic_backup.run,
            self._base(),
            [f"./{folder.name}"],
            exclude_patterns=list(exclude),
            tags=_tags(tags),
            host=host,
            group_by=_GROUPS,
        )
        call = replace(
            self._copying(folder.parent, progress=progress), opening_patience=self._patience
        )
        outcome = self._run(run, call)[1]
        if outcome.summary is None or not outcome.summary.snapshot:
            raise self._error(outcome)
        return self._result(outcome, started, begin, snapshot=outcome.summary.snapshot)

    def restore_folder(
        self,
        snapshot: str,
        source: str,
        folder: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveResult:
        """Puts the snapshot of ``source`` into ``folder`` and gives it the modes of the original.

        Existing files are compared and put right; files that are not in the snapshot stay.
        What could not be set or written makes it PARTIALLY_FAILED.
        """
        _check_snapshot(snapshot)
        started, begin = datetime.now(UTC), time.monotonic()
        name = PurePosixPath(source).name
        root = self._root_node(snapshot, name)
        run = functools.partial(
            restic_restore.run,
            self._base("--sparse=true"),
            snapshot_id=f"{snapshot}:/{name}",
            target_dir=str(folder),
        )
        try:
            outcome = self._run(run, self._copying(None, progress=progress), raw=True)[1]
        except ResticFailed as error:
            outcome = error.outcome
            if outcome.summary is None or not outcome.error_count:
                raise self._error(outcome) from error
        for problem in restictree.set_metadata(folder, root):
            outcome.add(problem)
        if os.geteuid() != 0:
            nodes = restictree.parse_nodes(self._stream("ls", snapshot))
            for problem in restictree.lost_owners(nodes, name, folder):
                outcome.add(problem)
        return self._result(outcome, started, begin, snapshot=snapshot)

    def snapshots(self, *, tags: Sequence[str] = (), host: str = "") -> tuple[ResticSnapshot, ...]:
        """Those that carry all tags, oldest first."""
        return self._list(tags=_tags(tags), host=host or None)

    def read_file(self, snapshot: str, path: str) -> Iterator[bytes]:
        """The bytes of one file; ``path`` as restic's ls shows it, ``/<claim>/…`` in a volume."""
        _check_snapshot(snapshot)
        yield from self._stream("dump", snapshot, path, chunk=_CHUNK)

    def locks(self) -> tuple[ResticLock, ...]:
        """Every lock, oldest first; one that goes away while it is looked at is left out."""
        found = []
        for name in str(self._ask(self._unlocked("list", "locks"))).split():
            if not _FULL_ID.fullmatch(name):
                continue
            try:
                text = str(self._ask(self._unlocked("cat", "lock", name)))
            except BackstayError:
                if name in str(self._ask(self._unlocked("list", "locks"))).split():
                    raise
                continue
            try:
                found.append(parse_lock(name, text))
            except (ValueError, AttributeError) as error:
                raise BackstayError(
                    f"restic repository {self._where}: lock {name[:8]} can't be read",
                    hint="look at it with: restic cat lock",
                ) from error
        return tuple(sorted(found, key=lambda lock: (lock.time, lock.id)))

    def _unlocked(self, *command: str) -> Callable[[], str]:
        base = self._base() if self._read_only else self._base("--no-lock")
        return functools.partial(resticexec.execute, [*base, *command])

    def _stream(self, *command: str, chunk: int = 0) -> Iterator[bytes]:
        self._check_version()
        argv = [*self._base(), *command]
        try:
            yield from resticexec.stream(argv, self._copying(None), Outcome(), chunk=chunk)
        except ResticFailed as error:
            raise self._error(error.outcome) from error

    def _base(self, *flags: str) -> list[str]:
        return [
            self._binary,
            "--json",
            f"--cache-dir={self._cache_dir}",
            f"--retry-lock={self._retry_lock}",
            "--stuck-request-timeout=1m",
            *(("--no-lock",) if self._read_only else ()),
            *flags,
        ]

    def _copying(
        self,
        cwd: Path | None,
        *,
        fps: str = _FPS,
        stdin: Iterable[bytes] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Invocation:
        return Invocation(
            env={**self._env, "RESTIC_PROGRESS_FPS": fps},
            deadline=self._timeout,
            patience=self._copy_patience,
            cwd=cwd,
            stdin=stdin,
            progress=progress,
        )

    def _ask(self, run: Callable[[], Any]) -> Any:
        deadline = self._patience * 2 + resticenv.go_seconds(self._retry_lock) + 15
        call = Invocation(env=self._env, deadline=deadline, patience=self._patience)
        return self._run(run, call)[0]

    def _run(
        self, run: Callable[[], Any], call: Invocation, *, raw: bool = False
    ) -> tuple[Any, Outcome]:
        self._check_version()
        with resticexec.invoke(call) as outcome:
            try:
                return run(), outcome
            except ResticFailed as error:
                if raw:
                    raise
                raise self._error(error.outcome) from error
            except (ValueError, KeyError, TypeError, restic_backup.Error) as error:
                raise BackstayError(
                    f"restic on {self._where} answered what its wrapper does not understand",
                    hint="is this version of restic supported?",
                ) from error

    def _list(self, **options: Any) -> tuple[ResticSnapshot, ...]:
        run = functools.partial(restic_snapshots.run, self._base(), **options)
        try:
            found = [parse_snapshot(value) for value in self._ask(run) or ()]
        except (ValueError, AttributeError) as error:
            raise BackstayError(f"restic repository {self._where}: {error}") from error
        return tuple(sorted(found, key=lambda snapshot: (snapshot.time, snapshot.id)))

    def _root_node(self, snapshot: str, name: str) -> Mapping[str, Any]:
        argv = [*self._base(), "ls", snapshot, "/"]
        run = functools.partial(resticexec.execute, argv)
        for node in restictree.parse_nodes(str(self._ask(run)).splitlines()):
            if node.get("path") == f"/{name}" and node.get("type") == "dir":
                return node
        raise Refused(
            f"restic repository {self._where}: snapshot {snapshot[:8]} holds no folder /{name}",
            hint="the record names a snapshot of another volume; see 'restic ls'",
        )

    def _result(
        self, outcome: Outcome, started: datetime, begin: float, *, snapshot: str
    ) -> MoveResult:
        partial = outcome.code != 0 or outcome.error_count > 0
        count = max(outcome.error_count, 1) if partial else 0
        figures = outcome.summary
        return MoveResult(
            state=MoveState.PARTIALLY_FAILED if partial else MoveState.COMPLETED,
            snapshot=snapshot,
            files=figures.files if figures else 0,
            size=figures.size if figures else 0,
            added=figures.added if figures else 0,
            took=round(time.monotonic() - begin),
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            errors=tuple(self._mask(error) for error in outcome.errors),
            error_count=count,
            exit_code=3 if partial else 0,
            message=_failed(count) if partial else "",
        )

    def _error(self, outcome: Outcome) -> BackstayError:
        texts = [outcome.fatal, *outcome.errors[:3]]
        said = self._mask("; ".join(text for text in texts if text))
        return resticerrors.make_error(outcome.code, said, where=self._where, keys=self._keys)

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _check_version(self) -> None:
        _check_version(self._binary, os.environ.get("PATH", os.defpath))


@functools.cache
def _check_version(binary: str, path: str) -> None:
    """Raises NotSupported for a restic that is too old; asks once per process."""
    call = Invocation(env={"PATH": path}, deadline=30, patience=0)
    with resticexec.invoke(call):
        try:
            text = str(restic_version.run([binary, "--json"])["restic_version"])
        except (ResticFailed, KeyError, AttributeError, ValueError) as error:
            raise NotSupported(f"{binary} does not tell its version") from error
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    if found is None or tuple(int(part) for part in found.groups()) < OLDEST:
        raise NotSupported(
            f"restic {text} is too old: 0.17.1 is needed",
            hint="install restic 0.18 or newer; Debian 12's own is 0.14",
        )


def _tags(tags: Sequence[str]) -> list[str]:
    if wrong := [tag for tag in tags if "," in tag or not tag]:
        raise UsageError(f"restic can't store the tag {wrong[0]!r}", hint="leave out the comma")
    return list(tags)


def _not_empty(chunks: Iterable[bytes], path: str) -> Iterable[bytes]:
    source = iter(chunks)
    first = next((chunk for chunk in source if chunk), None)
    if first is None:
        raise UsageError(f"nothing to store as {path}", hint="leave an empty stream out")
    return itertools.chain([first], source)


def _check_snapshot(snapshot: str) -> None:
    if not _FULL_ID.fullmatch(snapshot):
        raise UsageError(f"not the id of a restic snapshot: {snapshot!r}")


def _check_folder(folder: Path) -> None:
    """restic 0.18 ends with success when it can't see its source, so look before."""
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as error:
        raise Refused(
            f"cannot read the folder {folder}: {error.strerror}",
            hint="is the volume mounted, and may this user read it?",
        ) from error


def _failed(count: int) -> str:
    return "1 file or attribute failed" if count == 1 else f"{count} files or attributes failed"
