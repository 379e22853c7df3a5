"""One commit through `git fast-import`, streamed: files go to git while the caller reads on.

Files are sent as blobs at once; the commit itself comes last, because only then its message is
known, and holds just the changes over its parent. The stream ends with ``done``: without it (the
writer was killed, gave up, or its disk was full) git makes no commit. The name under which git
builds the commit lives for that moment only, so nothing but an unreachable pack can be left.

Format of the stream: git-fast-import(1).
"""

from __future__ import annotations

import contextlib
import re
import signal
from datetime import datetime
from typing import Self

from reconciler.adapters import giterrors, process
from reconciler.adapters.gitnames import check_path
from reconciler.adapters.gitprocess import GitFolder, remove_leftovers
from reconciler.adapters.gitsigning import CommitSigner
from reconciler.model.errors import BackstayError, Bug, OverBound, Refused

_SCRATCH = b"refs/backstay/scratch"
_NOWHERE = b"0" * 40
_COMMIT_MARK = 1
OPEN_SECONDS = 24 * 3600.0
"""How long a commit may stay open: longer than any run. A run's record comes into it last, after
its movers, and they may take all the time that the run has."""


class FastImport:
    """An OpenCommit. It belongs to one thread; ``opened`` holds it until it ended."""

    def __init__(
        self,
        repository: GitFolder,
        parent: str | None,
        author: bytes,
        opened: set[Self],
        signer: CommitSigner | None = None,
    ) -> None:
        self._repository = repository
        self._signer = signer
        self._parent = parent
        self._author = author
        self._opened = opened
        self._marks: dict[str, int | None] = {}
        self._next = _COMMIT_MARK + 1
        self._child: process.Child | None = repository.start(
            "fast-import",
            "--quiet",
            "--done",
            stdin=True,
            deadline=OPEN_SECONDS,
            leave_out="blob:none",
        )
        opened.add(self)

    def write(self, path: str, data: bytes) -> None:
        """Sends a file; the last write or delete of a path counts."""
        check_path(path)
        self._send(b"blob\nmark :%d\ndata %d\n%b\n" % (self._next, len(data), data))
        self._marks[path] = self._next
        self._next += 1

    def delete(self, path: str) -> None:
        """The commit will not have this file."""
        check_path(path)
        self._marks[path] = None

    def finish(self, message: str, *, when: datetime) -> str:
        """Makes the commit and returns its id. Signed, it takes three more processes."""
        text = message.encode()
        if b"\0" in text:
            raise Bug("a commit message cannot hold NUL")
        seconds = int(when.timestamp())
        lines = [
            b"commit %b\nmark :%d" % (_SCRATCH, _COMMIT_MARK),
            b"committer %b %d +0000" % (self._author, seconds),
            b"data %d\n%b" % (len(text), text),
        ]
        if self._parent:
            lines.append(b"from " + self._parent.encode())
        # Deletions first: a file may make room for a folder of its name.
        for path, mark in sorted(self._marks.items(), key=lambda item: item[1] is not None):
            name = _quote(path)
            lines.append(b"D " + name if mark is None else b"M 100644 :%d %b" % (mark, name))
        lines.append(b"\nget-mark :%d" % _COMMIT_MARK)
        lines.append(b"reset %b\nfrom %b\n\ndone\n" % (_SCRATCH, _NOWHERE))
        self._send(b"\n".join(lines))
        commit = self._close()
        if self._signer is None:
            return commit
        return write_object(self._repository, "commit", self._signer.sign(self._read(commit)))

    def abort(self) -> None:
        """Stops git at once; no effect after `finish`."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            self._opened.discard(self)
            if not self._opened:
                remove_leftovers(self._repository.folder, packs=True)

    def _read(self, commit: str) -> bytes:
        what = "read the commit that is to be signed"
        return self._repository.run("cat-file", "commit", commit, what=what).stdout

    def _send(self, data: bytes) -> None:
        if self._child is None:
            raise Bug("this commit is finished")
        try:
            self._child.stdin.write(data)
        except (BrokenPipeError, ValueError) as error:
            raise self._broken() from error

    def _close(self) -> str:
        child = self._child
        if child is None:
            raise Bug("this commit is finished")
        try:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.flush()
            answer = child.stdout.readline().decode("ascii", "replace").strip()
            done = child.wait()
        except BaseException:
            self.abort()
            raise
        if done.code != 0 or not re.fullmatch(r"[0-9a-f]{40,64}", answer):
            raise self._broken()
        self._child = None
        self._opened.discard(self)
        return answer

    def _broken(self) -> BackstayError:
        child = self._child
        self.abort()
        said = child.stderr if child is not None else b""
        if child is not None and child.code == -signal.SIGXFSZ:
            return OverBound(
                f"a commit has more than {self._repository.largest_commit >> 20} MiB",
                hint="divide the policy: a commit of this size could not be fetched again",
            )
        return giterrors.explain("write a commit", str(self._repository.folder), said)


def write_object(repository: GitFolder, kind: str, data: bytes) -> str:
    """Keeps an object in a repository, and gives its id. One process."""
    arguments = ("hash-object", "-t", kind, "-w", "--stdin")
    done = repository.run(*arguments, what=f"make a {kind}", stdin=data)
    return done.stdout.decode().strip()


def make_author(name: str, email: str) -> bytes:
    """``Name <email>`` as git wants it; raises Refused on what would break a commit."""
    for text in (name, email):
        if re.search(r"[\x00-\x1f\x7f<>]", text):
            raise Refused(
                f"{text!r} cannot be in the author of a commit",
                hint="leave out <, > and line breaks in the store's author",
            )
    return f"{name} <{email}>".encode() if name else f"<{email}>".encode()


def _quote(path: str) -> bytes:
    raw = path.encode("utf-8", "surrogateescape")
    if not raw.startswith(b'"') and b"\n" not in raw:
        return raw
    escaped = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + escaped + b'"'
