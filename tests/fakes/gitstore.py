"""A manifest store in memory. Several may share one `FakeRemote`, as clones share a server.

Ids of blobs are made as Git makes them, those of commits as digests of all they hold: equal content
gives equal ids, as with Git. What a store commits is its own until it is pushed.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from reconciler.adapters.gitnames import check_path, check_ref, check_sha
from reconciler.model.errors import (
    BackstayError,
    Bug,
    OverBound,
    PushRejected,
    Refused,
    Transient,
)
from reconciler.model.store import Commit, Delete, FileChange, FileTouch, TouchedFiles

LOST = b"\0lost\0"
"""In the place of a file that a bundle names and nobody has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCommit:
    """A commit with its whole tree: path → content."""

    sha: str
    parent: str | None
    files: Mapping[str, bytes]
    message: str
    when: datetime


@dataclass(slots=True)
class FakeRemote:
    """The server: branches, what they lead to, and what it does next."""

    heads: dict[str, str] = field(default_factory=dict)
    commits: dict[str, FakeCommit] = field(default_factory=dict)
    failures: list[BackstayError] = field(default_factory=list)
    before_push: list[tuple[str, str | None]] = field(default_factory=list)
    """Branch moves that happen between a store's look and its next push; None deletes."""
    calls: list[str] = field(default_factory=list)
    oversized: dict[str, str] = field(default_factory=dict)
    """Commits that change too much, files that are too large, and lists of files that are too
    long (by ``list <commit>``), with why."""
    read_only: bool = False
    """Whether its key may not push."""

    def contact(self, what: str) -> None:
        """One connection; raises the next failure that a test put into ``failures``."""
        self.calls.append(what)
        if self.failures:
            raise self.failures.pop(0)

    def history(self, sha: str | None) -> Iterator[FakeCommit]:
        """A commit and its ancestors."""
        while sha is not None:
            commit = self.commits[sha]
            yield commit
            sha = commit.parent


class FakeManifestStore:
    """ManifestStore without Git."""

    def __init__(self, remote: FakeRemote | None = None) -> None:
        self.remote = remote or FakeRemote()
        self._own: dict[str, FakeCommit] = {}

    def branches(self, prefix: str) -> Mapping[str, str]:
        """As the port says."""
        self.remote.contact("branches")
        start = prefix.rstrip("/") + "/" if prefix.rstrip("/") else ""
        return {name: sha for name, sha in self.remote.heads.items() if name.startswith(start)}

    def tip(self, branch: str) -> str | None:
        """As the port says."""
        self.remote.contact(f"tip {check_ref(branch)}")
        return self.remote.heads.get(branch)

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]:
        """As the port says."""
        start = prefix.rstrip("/") + "/" if prefix else ""
        if why := self.remote.oversized.get(f"list {commit}"):
            raise OverBound(f"cannot list commit {commit}: {why}")
        files = self._find(commit).files
        return {path: blob_id(files[path]) for path in sorted(files) if path.startswith(start)}

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        """As the port says."""
        files = self._find(commit).files
        found = {path: files[path] for path in paths if path in files}
        for sha in map(blob_id, found.values() if self.remote.oversized else ()):
            if sha in self.remote.oversized:
                raise OverBound(f"the file {sha} {self.remote.oversized[sha]}")
        return found

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
        """As the port says."""
        tip = self.tip(branch)
        for number, commit in enumerate(self.remote.history(tip)):
            if limit and number >= limit:
                return
            yield _describe(commit)

    def changes(self, branch: str, paths: Sequence[str] = ()) -> Iterator[TouchedFiles]:
        """As HistoryReader says."""
        for commit in self.remote.history(self.tip(branch)):
            if commit.sha in self.remote.oversized:
                raise OverBound(f"commit {commit.sha} {self.remote.oversized[commit.sha]}")
            old = self._find(commit.parent).files if commit.parent else {}
            touched = _touched(old, commit.files, paths)
            if touched or not paths:
                yield TouchedFiles(_describe(commit), touched)

    def commits(self, branch: str) -> Iterator[TouchedFiles]:
        """As HistoryReader says."""
        for commit in reversed(list(self.remote.history(self.tip(branch)))):
            old = self._find(commit.parent).files if commit.parent else {}
            why = self.remote.oversized.get(commit.sha, "")
            touched = () if why else _touched(old, commit.files, ())
            yield TouchedFiles(_describe(commit), touched, unread=why)

    def blobs(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """As HistoryReader says."""
        commits = (*self.remote.commits.values(), *self._own.values())
        held = {blob_id(data): data for commit in commits for data in commit.files.values()}
        for sha in ids:
            if sha in self.remote.oversized:
                raise OverBound(f"the file {sha} {self.remote.oversized[sha]}")
            yield sha, held[sha]

    def begin(self, branch: str, parent: str | None) -> FakeOpenCommit:
        """As the port says."""
        check_ref(branch)
        return FakeOpenCommit(self, parent, dict(self._find(parent).files) if parent else {})

    def commit(
        self,
        branch: str,
        parent: str | None,
        changes: Iterable[FileChange],
        message: str,
        *,
        when: datetime,
    ) -> str:
        """As the port says."""
        commit = self.begin(branch, parent)
        for change in changes:
            if isinstance(change, Delete):
                commit.delete(change.path)
            else:
                commit.write(change.path, change.data)
        return commit.finish(message, when=when)

    def reparent(self, commit: str, parent: str | None, *, text: str = "") -> str:
        """As the port says."""
        found = self._find(commit)
        if why := self.remote.oversized.get(commit):
            raise OverBound(f"commit {commit} {why}")
        return self.keep(replace(found, parent=parent, message=text or found.message))

    def bundle(self, branch: str, commit: str, parent: str | None) -> Iterator[bytes]:
        """As the port says; files that the parent has are named by their ids only."""
        found = self._find(commit)
        old = {*map(blob_id, self._find(parent).files.values())} if parent else set()
        files = {
            path: blob_id(data) if blob_id(data) in old else base64.b64encode(data).decode() + "="
            for path, data in found.files.items()
        }
        head = {"branch": branch, "parent": parent, "message": found.message, "sha": commit}
        body = {**head, "files": files, "when": found.when.isoformat()}
        yield b"# fake bundle\n" + json.dumps(body).encode() + b"\nend"

    def unbundle(self, chunks: Iterable[bytes]) -> str:
        """As the port says."""
        first, _, rest = b"".join(chunks).partition(b"\n")
        if first != b"# fake bundle" or not rest.endswith(b"\nend"):
            raise Refused("this is no Git bundle that can be read: fake")
        body = json.loads(rest.removesuffix(b"\nend"))
        known = {
            blob_id(data): data
            for commit in (*self.remote.commits.values(), *self._own.values())
            for data in commit.files.values()
        }
        files = {
            path: base64.b64decode(text[:-1]) if text.endswith("=") else known.get(text, LOST)
            for path, text in body["files"].items()
        }
        self._own[body["sha"]] = FakeCommit(
            sha=body["sha"], parent=body["parent"], files=files, message=body["message"],
            when=datetime.fromisoformat(body["when"]),
        )  # fmt: skip
        return str(body["sha"])

    def complete(self, commits: Sequence[str], tip: str | None) -> tuple[str, ...]:
        """As the port says."""
        del tip
        self.remote.contact("complete")
        return tuple(sha for sha in commits if LOST in self._find(sha).files.values())

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        for branch, sha in tips.items():
            check_ref(branch)
            check_sha(sha)
        self.remote.contact(f"push {' '.join(tips)}")
        while self.remote.before_push:
            branch, moved = self.remote.before_push.pop(0)
            self.remote.heads.pop(branch, None)
            if moved is not None:
                self.remote.heads[branch] = moved
        known = {**self.remote.commits, **self._own}
        for branch, sha in tips.items():
            chain = _chain(known, sha)
            head = self.remote.heads.get(branch)
            if (head is None and len(chain) > 1) or (head is not None and head not in chain):
                raise PushRejected(f"branch {branch} at fake moved since it was read")
        for branch, sha in tips.items():
            self.remote.commits.update({id_: known[id_] for id_ in _chain(known, sha)})
            self.remote.heads[branch] = sha

    def check_push(self, branch: str) -> None:
        """As the port says."""
        self.remote.contact(f"check push {check_ref(branch)}")
        if self.remote.read_only:
            raise Refused("cannot push at fake: the server refused the credentials")

    def keep(self, commit: FakeCommit) -> str:
        """Stores a commit under the id that its content gives it."""
        tree = sorted((path, blob_id(data)) for path, data in commit.files.items())
        text = repr((tree, commit.parent, commit.message, commit.when.timestamp()))
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._own[sha] = replace(commit, sha=sha)
        return sha

    def _find(self, sha: str) -> FakeCommit:
        found = self._own.get(check_sha(sha)) or self.remote.commits.get(sha)
        if found is None:
            raise Transient(f"cannot list commit {sha} at fake: not found")
        return found


class FakeOpenCommit:
    """OpenCommit in memory."""

    def __init__(
        self, store: FakeManifestStore, parent: str | None, files: dict[str, bytes]
    ) -> None:
        self._store = store
        self._parent = parent
        self._files = files
        self._ended = False

    def write(self, path: str, data: bytes) -> None:
        """As the port says."""
        self._check_open()
        self._files[check_path(path)] = data

    def delete(self, path: str) -> None:
        """As the port says."""
        self._check_open()
        self._files.pop(check_path(path), None)

    def finish(self, message: str, *, when: datetime) -> str:
        """As the port says."""
        self._check_open()
        self._ended = True
        return self._store.keep(
            FakeCommit(sha="", parent=self._parent, files=self._files, message=message, when=when)
        )

    def abort(self) -> None:
        """As the port says."""
        self._ended = True

    def _check_open(self) -> None:
        if self._ended:
            raise Bug("this commit is finished")


def blob_id(data: bytes) -> str:
    """The id that Git gives to a file with these bytes."""
    head = b"blob %d\0" % len(data)
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()


def _touched(
    old: Mapping[str, bytes], new: Mapping[str, bytes], paths: Sequence[str]
) -> tuple[FileTouch, ...]:
    changed = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return tuple(
        FileTouch(
            path,
            blob_id(old[path]) if path in old else None,
            blob_id(new[path]) if path in new else None,
        )
        for path in changed
        if not paths or any(path == one or path.startswith(f"{one}/") for one in paths)
    )


def _chain(known: Mapping[str, FakeCommit], sha: str) -> list[str]:
    chain = [sha]
    while (parent := known[chain[-1]].parent) is not None:
        chain.append(parent)
    return chain


def _describe(commit: FakeCommit) -> Commit:
    subject, _, rest = commit.message.partition("\n")
    last = rest.rstrip("\n").rpartition("\n\n")[2]
    pairs = [line.partition(": ") for line in last.splitlines()]
    return Commit(
        sha=commit.sha,
        parents=(commit.parent,) if commit.parent else (),
        time=commit.when.astimezone(UTC).replace(microsecond=0),
        subject=subject,
        trailers={key: value for key, mark, value in pairs if mark and " " not in key},
    )
