"""The policy source that is a folder of this machine: a plain one, a mounted ConfigMap, git-sync's.

Publishers that want whole revisions keep each in a folder of its own and swap a link (git-sync, the
kubelet). So the link is resolved once per look, everything is read below that one folder, through
descriptors that follow no link, and what was read counts only if the link still leads there: a
folder that is being removed would otherwise look like a revision with fewer policies. Where
somebody writes in place, a look during which anything changed is thrown away.

A folder has no history: whether a revision descends from another one nobody can tell. What that
means for deletions, the plan's brakes say.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from reconciler.adapters import policytree
from reconciler.adapters.gitnames import check_folder
from reconciler.adapters.policytree import Limits
from reconciler.model.errors import Incomplete, Problem, Refused
from reconciler.model.store import Descends, PolicyFiles, render_revision

_LOOKS = 5
_NAME = "folder"
_KUBELET = "..data"
# git-sync calls a revision's folder by its commit; its older versions put `rev-` before it.
_COMMIT = re.compile(r"(?:rev-)?([0-9a-f]{40}|[0-9a-f]{64})")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _ChangedError(Exception):
    """Somebody writes where we read; look again."""


_Signature = tuple[str, int, int, int, int, int]


class FolderPolicySource:
    """PolicySource over a folder; ``path`` is the folder with the policies in it.

    ``ref`` stands in the revision where the folder is named by its commit.
    """

    def __init__(self, folder: Path, *, ref: str, path: str, limits: Limits | None = None) -> None:
        self._folder = folder
        self._ref = ref
        self._path = check_folder(path)
        self._limits = limits or Limits()
        self._read: PolicyFiles | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open between looks."""

    def fetch(self, last: str | None) -> PolicyFiles:
        """What is there now, whole; raises Incomplete if it never stands still."""
        for _ in range(_LOOKS):
            try:
                found = self._look()
            except (_ChangedError, FileNotFoundError, NotADirectoryError):
                # What is gone or another thing now was replaced while it was read.
                continue
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENXIO, errno.ESTALE}:
                    continue
                raise Refused(
                    f"{self._folder} can't be read: {error.strerror}",
                    hint="let the user that runs this read the folder and all below it",
                ) from error
            return self._remember(found, last)
        raise Incomplete(
            f"{self._folder} changed each time it was read",
            hint="publish whole revisions: write a new folder, then swap a link to it",
        )

    def _remember(self, found: PolicyFiles, last: str | None) -> PolicyFiles:
        known = self._read
        same = known is not None and known.revision == found.revision
        # The same files object tells others that nothing changed.
        if not (same and known is not None and known.files == found.files):
            self._read = known = found
        descends = Descends.YES if last == known.revision else Descends.UNKNOWN
        return PolicyFiles(
            revision=known.revision,
            descends=descends,
            files=known.files,
            problems=found.problems,
            path_found=found.path_found,
        )

    def _look(self) -> PolicyFiles:
        target = self._target()
        with _opened(str(target)) as root, self._policies(root) as folder:
            # Asked before reading too: a folder of an old name may be half made just now.
            self._check_leads(target, root)
            if folder is None:
                return self._result(target, _Reading(self._limits, ""), found=False)
            reading = _Reading(self._limits, str(self._folder))
            reading.walk(folder, self._path)
            again = _Reading(self._limits, str(self._folder), contents=False)
            again.walk(folder, self._path)
            self._check_leads(target, root)
        if reading.seen != again.seen:
            raise _ChangedError
        return self._result(target, reading, found=True)

    def _check_leads(self, target: Path, root: int) -> None:
        """Whether the link leads to the very folder that is open, not to a new one of its name."""
        if self._target() != target or not os.path.samestat(target.stat(), os.fstat(root)):
            raise _ChangedError

    def _result(self, target: Path, reading: _Reading, *, found: bool) -> PolicyFiles:
        files = dict(sorted(reading.files.items()))
        commit = _COMMIT.fullmatch(target.name)
        revision = (
            render_revision(self._ref, commit[1])
            if commit and self._folder != target
            else render_revision(_NAME, _digest(files))
        )
        return PolicyFiles(
            revision=revision,
            descends=Descends.UNKNOWN,
            files=files,
            problems=tuple(sorted(reading.problems, key=lambda problem: problem.file)),
            path_found=found,
        )

    def _target(self) -> Path:
        """The folder that the link leads to just now."""
        try:
            target = self._folder.resolve(strict=True)
            if (target / _KUBELET).is_symlink():
                target = (target / _KUBELET).resolve(strict=True)
        except FileNotFoundError as error:
            raise Incomplete(
                f"there is no folder {self._folder}",
                hint="whoever publishes it (git-sync, a mount) has not yet, or the path is wrong",
            ) from error
        except (OSError, RuntimeError) as error:
            raise Refused(
                f"{self._folder} leads nowhere", hint="correct policySource.url, or the link"
            ) from error
        # Not `is_dir`: what was removed since it was resolved is no wrong URL.
        if not stat.S_ISDIR(target.stat().st_mode):
            raise Refused(f"{self._folder} is no folder", hint="correct policySource.url")
        return target

    @contextmanager
    def _policies(self, root: int) -> Iterator[int | None]:
        """The folder with the policies, opened step by step; None if there is none."""
        with ExitStack() as stack:
            handle: int | None = root
            for step in self._path.split("/") if self._path else ():
                try:
                    handle = stack.enter_context(_opened(step, within=handle))
                except OSError as error:
                    if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                        raise
                    handle = None
                    break
            yield handle


class _Reading:
    """One walk over a tree; without ``contents`` it only looks at what is there."""

    def __init__(self, limits: Limits, where: str, *, contents: bool = True) -> None:
        self.seen: set[_Signature] = set()
        self.files: dict[str, bytes] = {}
        self.problems: list[Problem] = []
        self._limits = limits
        self._where = where
        self._contents = contents
        self._census = policytree.Census(limits, where, "")
        self._count = 0
        self._total = 0

    def walk(self, folder: int, path: str, depth: int = 0) -> None:
        """Everything below an open folder but what is hidden."""
        if depth > self._limits.depth:
            raise policytree.too_deep(path, self._limits, self._where)
        with os.scandir(folder) as listing:
            for item in listing:
                name = os.fsencode(item.name).decode("utf-8", "backslashreplace")
                if name.startswith("."):
                    continue
                below = f"{path}/{name}" if path else name
                self._census.add(1, len(below))
                at = item.stat(follow_symlinks=False)
                if stat.S_ISDIR(at.st_mode):
                    with _opened(item.name, within=folder) as handle:
                        self.walk(handle, below, depth + 1)
                    continue
                self.seen.add(
                    (below, at.st_mode, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
                )
                if self._contents:
                    self._read(folder, item.name, below, at.st_mode)

    def _read(self, folder: int, name: str, path: str, mode: int) -> None:
        problem = policytree.why_unread(mode, path, self.files)
        if problem:
            self.problems.append(problem)
            return
        if not path.endswith(policytree.SUFFIXES):
            return
        self._count += 1
        policytree.check_count(self._count, self._limits, self._where)
        with _opened(name, within=folder, directory=False) as handle:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _ChangedError
            with open(handle, "rb", closefd=False) as file:
                data = file.read(self._limits.file_size + 1)
        if len(data) > self._limits.file_size:
            self.problems.append(policytree.too_large(path, self._limits))
            return
        self.files[path] = data
        self._total += len(data)
        policytree.check_total(self._total, self._limits, self._where)


@contextmanager
def _opened(name: str, *, within: int | None = None, directory: bool = True) -> Iterator[int]:
    handle = os.open(name, _OPEN | (os.O_DIRECTORY if directory else 0), dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)


def _digest(files: Mapping[str, bytes]) -> str:
    """Of names and contents; no commit, though it looks like one."""
    whole = hashlib.sha1(usedforsecurity=False)
    for path, data in files.items():
        inner = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        whole.update(f"{inner} {path}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
