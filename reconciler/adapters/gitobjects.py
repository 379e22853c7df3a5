"""Reading commits, trees and blobs of a bare repository; the same for the store and for a clone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from reconciler.adapters import giterrors, process
from reconciler.adapters.gitprocess import GitFolder
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.store import Commit

FORMAT = "%H%x00%P%x00%ct%x00%s%x00%(trailers:only,unfold)"
FIELDS = 5
_CHUNK = 1 << 16
_REGULAR = (b"100644", b"100755")
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
    done = repository.run(*arguments, what=what, accept=(0, 128))
    if done.code != 0 and repository.remote is not None:
        # An old commit whose trees were left out: one connection brings them all.
        done = repository.talk(*arguments, leave_out="tree:0")
    if done.code != 0:
        raise _failure(repository, what, done)
    files = {}
    for entry in done.stdout.split(b"\0")[:-1]:
        head, _, path = entry.partition(b"\t")
        mode, _, sha = head.split(b" ")
        if mode in _REGULAR:
            files[path.decode("utf-8", "surrogateescape")] = sha.decode()
    return files


def read_blobs(repository: GitFolder, shas: Sequence[str]) -> dict[str, bytes | None]:
    """blob id → bytes, None if it is not here. One process; raises Incomplete on half an answer."""
    if not shas:
        return {}
    request = "".join(f"{sha}\n" for sha in shas).encode()
    what = "read files"
    done = repository.run("cat-file", "--batch", what=what, stdin=request, accept=(0, 128))
    if done.code != 0:
        raise _failure(repository, what, done)
    data = done.stdout
    blobs: dict[str, bytes | None] = {}
    position = 0
    for sha in shas:
        end = data.find(b"\n", position)
        words = data[position:end].split(b" ")
        if end < 0 or words[0] != sha.encode():
            raise Incomplete(f"git cat-file broke off at {sha} in {repository.folder}")
        if words[-1] == b"missing":
            blobs[sha] = None
            position = end + 1
            continue
        size = int(words[2])
        blobs[sha] = data[end + 1 : end + 1 + size]
        position = end + 2 + size
    return blobs


def blob_sizes(repository: GitFolder, ids: Sequence[str]) -> dict[str, int | None]:
    """blob id → bytes that it has, None if it is not here. One process."""
    if not ids:
        return {}
    done = repository.run(
        "cat-file", "--batch-check", what="measure files",
        stdin="".join(f"{sha}\n" for sha in ids).encode(),
    )  # fmt: skip
    lines = (line.split(b" ") for line in done.stdout.splitlines())
    return {
        words[0].decode(): None if words[-1] == b"missing" else int(words[2]) for words in lines
    }


def walk_log(repository: GitFolder, tip: str, limit: int) -> Iterator[Commit]:
    """Commits from ``tip`` on, newest first, as far as they are here; 0 is all. One process."""
    count = (f"--max-count={limit}",) if limit else ()
    with repository.start(
        "log", "-z", f"--format=tformat:{FORMAT}", "--topo-order", *count, tip, "--"
    ) as child:
        pending, fields = b"", list[bytes]()
        while chunk := child.stdout.read(_CHUNK):
            *values, pending = (pending + chunk).split(b"\0")
            fields += values
            while len(fields) >= FIELDS:
                yield parse_commit(*fields[:FIELDS])
                del fields[:FIELDS]
        done = child.wait()
    if done.code != 0 or pending or fields:
        raise giterrors.explain(f"read the log of {tip}", str(repository.folder), done.stderr)


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


def parse_commit(
    sha: bytes, parents: bytes, seconds: bytes, subject: bytes, trailers: bytes
) -> Commit:
    found = {}
    for line in trailers.decode("utf-8", "replace").splitlines():
        key, mark, value = line.partition(":")
        if mark:
            found[key.strip()] = value.strip()
    return Commit(
        sha=sha.decode(),
        parents=tuple(parents.decode().split()),
        time=datetime.fromtimestamp(int(seconds), UTC),
        subject=subject.decode("utf-8", "replace"),
        trailers=found,
    )
