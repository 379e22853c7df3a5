"""Reading commits, trees and blobs of a bare repository; the same for the store and for a clone.

Whoever may push to a branch, or write into a restic repository, decides what is read here, and a
tree of a few kilobytes can stand for more files than a disk has room for. So what no run of ours
writes is refused with a bound: a file of more than 64 MiB, a list of files of more than 64 MiB
(some 500,000). What a commit says in more than 1 MiB is passed over: no run made it. Files together
have no bound: what a run wrote can be read again, however many they are, and takes as much memory
as they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import IO

from reconciler.adapters import giterrors, process
from reconciler.adapters.gitprocess import GitFolder
from reconciler.model.errors import Incomplete, OverBound, Refused
from reconciler.model.store import Commit

FORMAT = "%H%x00%P%x00%ct%x00%s%x00%(trailers:only,unfold)"
FIELDS = 5
_CHUNK = 1 << 16
_REGULAR = (b"100644", b"100755")
_LARGEST_FILE = 64 << 20
_AT_ONCE = 2 * _LARGEST_FILE
"""Bytes that one process answers with: room for the largest file and what comes with it."""
_LONGEST_LIST = 64 << 20
LONGEST_FIELD = 1 << 20
TOO_LONG = f"(more than {LONGEST_FIELD >> 20} MiB; no run makes such a message)"
"""The subject of a commit whose message is not read."""
_FEW_PATHS = 64
"""As many as a command line takes without a thought."""


def list_tree(repository: GitFolder, commit: str, prefix: str) -> dict[str, str]:
    """path → blob id of every regular file below a folder; links and submodules are left out."""
    return _list(repository, commit, (prefix.rstrip("/") + "/",) if prefix else ())


def list_files(repository: GitFolder, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """The same of files that are named; the rest of the tree is not read where they are few."""
    few = len(paths) <= _FEW_PATHS and all(path.isascii() and path[:1] != ":" for path in paths)
    wanted = set(paths)
    found = _list(repository, commit, tuple(paths) if few else ())
    return {path: sha for path, sha in found.items() if path in wanted}


def _list(repository: GitFolder, commit: str, where: tuple[str, ...]) -> dict[str, str]:
    arguments = ("ls-tree", "-r", "-z", "--full-tree", commit, "--", *where)
    what = f"list commit {commit}"
    done = repository.run(*arguments, what=what, accept=(0, 128), max_stdout=_LONGEST_LIST)
    if done.code != 0 and not done.truncated and repository.remote is not None:
        # An old commit whose trees were left out: one connection brings them all.
        done = repository.talk(*arguments, leave_out="tree:0")
    if done.truncated:
        raise OverBound(
            f"cannot {what} of {repository.shown}: its list of files takes more than"
            f" {_LONGEST_LIST >> 20} MiB, and no run writes so many",
            hint=f"somebody else pushed it: see `git show --no-patch {commit}` in a clone, and"
            " docs/manifest-store.md, Bounds",
        )
    if done.code != 0:
        raise _failure(repository, what, done)
    files = {}
    for entry in done.stdout.split(b"\0")[:-1]:
        head, _, path = entry.partition(b"\t")
        mode, _, sha = head.split(b" ")
        if mode in _REGULAR:
            files[path.decode("utf-8", "surrogateescape")] = sha.decode()
    return files


def read_blobs(
    repository: GitFolder, shas: Sequence[str], *, at_once: int = _AT_ONCE
) -> dict[str, bytes | None]:
    """blob id → bytes, None if it is not here. One process for each 128 MiB or less.

    Raises Incomplete on half an answer. ``at_once``: bytes that one process answers with; twice the
    largest file is enough for any.
    """
    blobs: dict[str, bytes | None] = {}
    left = list(dict.fromkeys(shas))
    while left:
        done = repository.run(
            "cat-file", "--batch", what="read files", accept=(0, 128), max_stdout=at_once,
            stdin="".join(f"{sha}\n" for sha in left).encode(),
        )  # fmt: skip
        if done.code != 0 and not done.truncated:
            raise _failure(repository, "read files", done)
        found = split_answer(repository, left, done.stdout, truncated=done.truncated)
        if not found:
            raise Incomplete(f"git cat-file broke off at {left[0]} in {repository.folder}")
        left = left[len(found) :]
        blobs |= found
    return blobs


def split_answer(
    repository: GitFolder, shas: Sequence[str], data: bytes, *, truncated: bool
) -> dict[str, bytes | None]:
    """An answer of git-cat-file(1), ``--batch``, by blob, in the order of ``shas``.

    ``truncated``: it was cut off by us, and only the first ones may be in it.
    """
    blobs: dict[str, bytes | None] = {}
    position = 0
    for sha in shas:
        end = data.find(b"\n", position)
        if end < 0 and truncated:
            break
        words = data[position:end].split(b" ")
        if end < 0 or words[0] != sha.encode():
            raise Incomplete(f"git cat-file broke off at {sha} in {repository.folder}")
        if words[-1] == b"missing":
            blobs[sha] = None
            position = end + 1
            continue
        size = int(words[2])
        if size > _LARGEST_FILE:
            raise _too_large(repository, sha, size)
        if truncated and end + 1 + size > len(data):
            break
        blobs[sha] = data[end + 1 : end + 1 + size]
        position = end + 2 + size
    return blobs


def _too_large(repository: GitFolder, sha: str, size: int) -> OverBound:
    return OverBound(
        f"the file {sha} of {repository.shown} has {size} bytes; no run writes more than"
        f" {_LARGEST_FILE >> 20} MiB into one",
        hint=f"somebody else pushed it: `git log --all --find-object={sha}` names its commit and"
        " path; see docs/manifest-store.md, Bounds",
    )


def measure(repository: GitFolder, ids: Sequence[str]) -> dict[str, tuple[str, int] | None]:
    """Object id → its kind and bytes, None if it is not here. One process."""
    if not ids:
        return {}
    done = repository.run(
        "cat-file", "--batch-check", what="measure files",
        stdin="".join(f"{sha}\n" for sha in ids).encode(),
    )  # fmt: skip
    lines = (line.decode().split(" ") for line in done.stdout.splitlines())
    return {
        words[0]: None if words[-1] == "missing" else (words[1], int(words[2])) for words in lines
    }


def blob_sizes(repository: GitFolder, ids: Sequence[str]) -> dict[str, int | None]:
    """blob id → bytes that it has, None if it is not here. One process."""
    return {sha: found and found[1] for sha, found in measure(repository, ids).items()}


class Fields:
    """Fields of a stream that end with NUL; None in place of one of more than 1 MiB."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.broken = False
        """Whether the stream ended within a field."""

    def __iter__(self) -> Iterator[bytes | None]:
        pending, skips = b"", False
        while chunk := self._stream.read(_CHUNK):
            *values, pending = (pending + chunk).split(b"\0")
            for value in values:
                yield None if skips or len(value) > LONGEST_FIELD else value
                skips = False
            if len(pending) > LONGEST_FIELD:
                pending, skips = b"", True
        self.broken = skips or pending != b""


def walk_log(repository: GitFolder, tip: str, limit: int) -> Iterator[Commit]:
    """Commits from ``tip`` on, newest first, as far as they are here; 0 is all. One process."""
    count = (f"--max-count={limit}",) if limit else ()
    with repository.start(
        "log", "-z", f"--format=tformat:{FORMAT}", "--topo-order", *count, tip, "--"
    ) as child:
        stream = Fields(child.stdout)
        fields = iter(stream)
        row = list(islice(fields, FIELDS))
        while len(row) == FIELDS:
            yield parse_commit(row)
            row = list(islice(fields, FIELDS))
        done = child.wait()
    if done.code != 0 or row or stream.broken:
        raise giterrors.explain(f"read the log of {tip}", str(repository.folder), done.stderr)


def commit_bytes(repository: GitFolder, sha: str, what: str) -> bytes:
    """A whole commit as git keeps it. One process."""
    done = repository.run("cat-file", "commit", sha, what=what, max_stdout=LONGEST_FIELD)
    if done.truncated:
        raise OverBound(
            f"commit {sha} of {repository.shown} has more than {LONGEST_FIELD >> 20} MiB; no run"
            " makes one",
            hint="somebody else made it; see docs/manifest-store.md, Bounds",
        )
    return done.stdout


def _failure(repository: GitFolder, what: str, done: process.Finished) -> Exception:
    if repository.remote is None and b"promisor remote" in done.stderr:
        # git before 2.45 tries to fetch what a partial clone left out; from here it may not.
        return lacks_objects(repository, what)
    return repository.failure(what, done)


def lacks_objects(repository: GitFolder, what: str) -> Refused:
    """The error for a clone that was made without some of its objects."""
    return Refused(
        f"cannot {what}: the clone {repository.folder} lacks some of its objects",
        hint="it is a partial clone: run `git fetch --refetch --no-filter` in it",
    )


def parse_commit(fields: Sequence[bytes | None]) -> Commit:
    """The `FIELDS` of a commit; without trailers where what it says is too long."""
    sha, parents, seconds, subject, trailers = fields
    found = {}
    for line in (trailers or b"").decode("utf-8", "replace").splitlines():
        key, mark, value = line.partition(":")
        if mark:
            found[key.strip()] = value.strip()
    told = None if trailers is None or subject is None else subject.decode("utf-8", "replace")
    return Commit(
        sha=(sha or b"").decode(),
        parents=tuple((parents or b"").decode().split()),
        time=datetime.fromtimestamp(int(seconds or b"0"), UTC),
        subject=TOO_LONG if told is None else told,
        trailers={} if told is None else found,
    )
