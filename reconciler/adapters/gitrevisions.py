"""Revisions of a policy repository that lies on this disk: read, never checked out, no network.

What a plan of a change is made from: the clone that CI made, with a fork's pull request in it.
That is hostile data: blobs are read with ``cat-file``, so that links, hooks, filters and submodules
cannot act; what they would have been is a problem. Everything that grows has a cap
(`policytree.Limits`). The clone's own hooks, helpers and transports are switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters import gitobjects, policytree, process
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitnames import check_folder, check_sha
from reconciler.adapters.gitprocess import LOCAL_SECONDS, GitFolder
from reconciler.adapters.policytree import Limits
from reconciler.model.errors import Problem, Refused
from reconciler.model.store import Descends, PolicyFiles, render_revision

# gitrevisions(7) without what searches messages and reads paths: `:/text`, `HEAD:file`, `a..b`.
_REVISION = re.compile(r"[A-Za-z0-9_@][\w./@{}^~+=,#%-]*")
_CHUNK = 1 << 16
_DEEPEN = "git fetch --unshallow origin, or fetch-depth: 0 (GIT_DEPTH: 0) in CI"


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    sha: str
    size: int
    path: str


class GitRevisions(Closing):
    """A clone, bare or not; ``path`` is any folder in it. A context manager."""

    def __init__(self, path: Path, *, limits: Limits | None = None) -> None:
        self.root = _find_root(path)
        self._limits = limits or Limits()
        caps = process.Caps(memory=self._limits.memory)
        self._git = GitFolder(self.root, None, deadline=LOCAL_SECONDS, caps=caps)

    def close(self) -> None:
        """Lets go of the clone."""
        self._git.close()

    @property
    def shallow(self) -> bool:
        """Whether the clone's history is cut off."""
        return (self._git.folder / "shallow").exists()

    def commit(self, revision: str, *, history: bool = False) -> str:
        """The id of the commit that a revision names: a branch, ``HEAD~1``, an id.

        Raises Refused, with how to fetch it, for one that is not here: with its ``history`` where
        that is needed, too.
        """
        asked = self._own_head(_check_revision(revision))
        done = self._git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{asked}^{{commit}}",
            what=f"find {revision}", accept=(0, 1, 128),
        )  # fmt: skip
        sha = done.stdout.decode("utf-8", "replace").strip()
        if done.code != 0 or not sha:
            raise Refused(
                f"{revision} is not in the clone {self.root}", hint=self._how(revision, history)
            )
        return check_sha(sha)

    def contains(self, head: str, base: str) -> bool | None:
        """Whether ``base`` is an ancestor of ``head``; None where a shallow clone can't tell."""
        done = self._git.run(
            "merge-base", "--is-ancestor", check_sha(base), check_sha(head),
            what="compare revisions", accept=(0, 1, 128),
        )  # fmt: skip
        if done.code == 0:
            return True
        return None if self.shallow or done.code != 1 else False

    def fork_point(self, base: str, head: str) -> str:
        """The newest commit that both have.

        Raises Refused where there is none, where several are, and where a shallow clone can't tell:
        the author of the head decides which of its history a depth cuts off, and with it the commit
        that git would name.
        """
        if self.contains(head, base):
            return base
        if self.contains(base, head):
            return head
        if self.shallow:
            raise Refused(
                "a shallow clone can't tell where head left base",
                hint=f"fetch its history: {_DEEPEN}",
            )
        done = self._git.run(
            "merge-base", "--all", check_sha(base), check_sha(head),
            what="find the merge base", accept=(0, 1),
        )  # fmt: skip
        found = done.stdout.decode().split()
        if len(found) == 1:
            return check_sha(found[0])
        if not found:
            raise Refused("base and head have no commit in common here")
        raise Refused(
            f"{len(found)} commits are the newest that both have, and neither alone says what a"
            " merge would give",
            hint="plan the merge itself, as docs/ci.md makes it: --base MERGE^1 --head MERGE",
        )

    def files(self, revision: str, sha: str, folder: str) -> PolicyFiles:
        """The policy files of a commit below a folder, as the controller would read them."""
        folder = check_folder(folder)
        problems, wanted = list[Problem](), dict[str, _Entry]()
        found = not folder
        for entry in self._list(sha, folder):
            found = found or entry.path != folder
            if policytree.is_hidden(entry.path, folder):
                continue
            problem = self._why_unread(entry, wanted)
            if problem:
                problems.append(problem)
            elif entry.path.endswith(policytree.SUFFIXES):
                wanted[entry.path] = entry
        return PolicyFiles(
            revision=render_revision(revision, sha),
            descends=Descends.UNKNOWN,
            files=self._read(wanted) if found else {},
            problems=tuple(problems),
            path_found=found,
        )

    def _own_head(self, revision: str) -> str:
        """HEAD of this work tree: of several of one clone each has its own."""
        name = re.match(r"@?HEAD(?![\w./-])|@(?!\{)", revision)
        sha = self._git.resolve("HEAD") if name else None
        return sha + revision[name.end() :] if name and sha else revision

    def _how(self, revision: str, history: bool) -> str:
        remote, slash, branch = revision.partition("/")
        # In a whole clone a depth would cut its history off, and --unshallow is an error.
        deep = "--unshallow " if history else "--depth=1 "
        fetch = f"git fetch {deep if self.shallow else ''}origin"
        if slash and (self._git.folder / "config").is_file() and remote == "origin":
            return f"fetch it: {fetch} +refs/heads/{branch}:refs/remotes/origin/{branch}"
        if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", revision):
            return f"fetch it: {fetch} {revision}"
        if f"refs/remotes/origin/{revision}" in self._git.references("refs/remotes/origin/"):
            return f"did you mean origin/{revision}?"
        if re.fullmatch(r"[0-9a-f]{7,63}", revision):
            return "give the whole id (40 digits): a part of one can't be fetched"
        if self.shallow and re.fullmatch(r"[\w./-]+", revision):
            return (
                f"fetch it: {fetch}"
                f" +refs/heads/{revision}:refs/remotes/origin/{revision}, and say origin/{revision}"
            )
        if self.shallow:
            return f"the clone is shallow: {_DEEPEN}"
        return "see git branch --all; CI often fetches one branch only"

    def _why_unread(self, entry: _Entry, known: Mapping[str, _Entry]) -> Problem | None:
        problem = policytree.why_unread(int(entry.mode, 8), entry.path, known)
        if problem is None and entry.path.endswith(policytree.SUFFIXES):
            large = entry.size > self._limits.file_size
            problem = policytree.too_large(entry.path, self._limits) if large else None
        return problem

    def _list(self, sha: str, folder: str) -> Iterator[_Entry]:
        """Everything below the folder, in Git's order; a tree that unfolds too far is refused."""
        where, deepest, pending = (folder,) if folder else (), self._limits.depth, b""
        census = policytree.Census(self._limits, str(self.root), folder)
        with self._git.start(
            "ls-tree", "-r", "-l", "-z", "--full-tree", check_sha(sha), "--", *where
        ) as child:
            while chunk := child.stdout.read(_CHUNK):
                *lines, pending = (pending + chunk).split(b"\0")
                census.add(len(lines), len(chunk))
                for entry in map(_parse_entry, lines):
                    if entry.path.count("/") > deepest:
                        raise policytree.too_deep(entry.path, self._limits, str(self.root))
                    yield entry
            done = child.wait()
        if done.code != 0:
            raise self._failure(f"list {folder or 'files'}", done)

    def _read(self, wanted: Mapping[str, _Entry]) -> dict[str, bytes]:
        limits = self._limits
        size = sum(entry.size for entry in wanted.values())
        if len(wanted) > limits.files or size > limits.total_size:
            raise Refused(
                f"{self.root} has {len(wanted)} policy files of {size >> 20} MiB;"
                f" {limits.files} of {limits.total_size >> 20} MiB are allowed",
                hint="remove what is no policy",
            )
        shas = dict.fromkeys(entry.sha for entry in wanted.values())
        blobs = gitobjects.read_blobs(self._git, list(shas))
        files: dict[str, bytes] = {}
        for path, entry in wanted.items():
            data = blobs[entry.sha]
            if data is None:
                raise gitobjects.lacks_objects(self._git, "read files")
            files[path] = data
        return files

    def _failure(self, what: str, done: process.Finished) -> Exception:
        if b"promisor" in done.stderr or b"missing" in done.stderr:
            return gitobjects.lacks_objects(self._git, what)
        return self._git.failure(what, done)


def _find_root(path: Path) -> Path:
    """The clone that a folder lies in: of a work tree its root, else the bare repository."""
    here = path.resolve()
    for folder in (here, *here.parents):
        bare = (folder / "objects").is_dir() and (folder / "HEAD").exists()
        if bare or (folder / ".git").exists():
            return folder
    raise Refused(f"{path} is in no Git repository", hint="name the clone with --repository")


def _check_revision(text: str) -> str:
    if not _REVISION.fullmatch(text) or ".." in text or len(text) > 1024:
        raise Refused(
            f"{text[:80]!r} is no revision", hint="give a branch, a tag or the id of a commit"
        )
    return text


def _parse_entry(line: bytes) -> _Entry:
    head, _, path = line.partition(b"\t")
    mode, _, sha, size = head.decode().split()
    shown = path.decode("utf-8", "backslashreplace")
    return _Entry(mode, sha, int(size) if size.isdigit() else 0, shown)
