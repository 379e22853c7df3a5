"""Walking a history with what each commit changed, and reading many blobs in bounded memory.

Of whatever repository is here: a clone on a disk, or the cache of a manifest store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.adapters import giterrors, gitobjects
from reconciler.adapters.gitprocess import GitFolder
from reconciler.adapters.gitsignature import signer_configuration
from reconciler.model.errors import OverBound
from reconciler.model.store import FileTouch, TouchedFiles

_REGULAR = (b"100644", b"100755")
_MOST_BYTES = 16 << 20
_MOST_BLOBS = 1000
_MOST_COMMITS = 500
_MOST_FIELDS = 1_000_000
"""Of one commit: two for each file that it changes."""
_MOST_MEMORY = 4 << 30
"""Bytes that git may map for a walk: packs as well."""
_MOST_COSTLY = 10
"""Commits that git may run out of memory at: each takes it as long as it has memory."""
_ORDER = ("--first-parent", "--topo-order")
_HINT = "somebody else pushed it, no run makes one; see docs/manifest-store.md, Bounds"
HISTORY_SECONDS = 900.0
"""A walk over years of runs may take that long."""


def walk_changes(
    repository: GitFolder, tip: str, paths: Sequence[str], *, reverse: bool = False
) -> Iterator[TouchedFiles]:
    """Commits from ``tip`` on that touched ``paths`` (files or folders; none is all of them).

    Newest first, or oldest first with ``reverse``. A merge is compared with its first parent.
    The deepest commit of a shallow clone seems to add all its files. One process. Raises OverBound
    at the first commit that changes more than a run does.
    """
    for touched in _walk(repository, [tip], paths, reverse=reverse, memory=_MOST_MEMORY):
        if touched.unread:
            raise OverBound(
                f"commit {touched.commit.sha} of {repository.shown} {touched.unread}", hint=_HINT
            )
        yield touched


def walk_commits(
    repository: GitFolder, tip: str, *, memory: int = _MOST_MEMORY
) -> Iterator[TouchedFiles]:
    """Every commit, oldest first; what one changes that no run makes is left out, and told.

    A process for each of those that git has no memory for; after `_MOST_COSTLY` of them it raises
    OverBound.
    """
    shown = [tip]
    for _ in range(_MOST_COSTLY):
        try:
            yield from _walk(repository, shown, (), reverse=True, memory=memory)
        except _OutOfMemory as error:
            costly = _next(repository, shown, error.told)
        else:
            return
        why = f"changes more than git can compare: it may map {memory >> 20} MiB"
        (commit,) = gitobjects.walk_log(repository, costly, 1)
        yield TouchedFiles(commit, (), unread=why)
        if costly == tip:
            return
        shown = [tip, f"^{costly}"]
    raise OverBound(
        f"git ran out of memory at {_MOST_COSTLY} commits of {repository.shown}, the last of them"
        f" {shown[1][1:]}; what came after it was not looked at",
        hint=_HINT,
    )


class _OutOfMemory(OverBound):
    """git had no memory for what the commit after ``told`` changes (None: the first one)."""

    def __init__(self, repository: GitFolder, told: str | None, memory: int) -> None:
        self.told = told
        after = f" after commit {told}" if told else " at its first commit"
        super().__init__(
            f"git ran out of memory{after} of {repository.shown}: it may map {memory >> 20} MiB",
            hint="either that commit changes more files than a run does and somebody else pushed"
            " it, or the packs are larger than that; see docs/manifest-store.md, Bounds",
        )


def _next(repository: GitFolder, shown: Sequence[str], told: str | None) -> str:
    """The commit after the last one that was told: each is, once its trees were compared."""
    done = repository.run("rev-list", "--reverse", *_ORDER, *shown, what="list commits")
    ids = done.stdout.decode().split()
    return ids[ids.index(told) + 1 if told else 0]


def _walk(
    repository: GitFolder, shown: Sequence[str], paths: Sequence[str], *, reverse: bool, memory: int
) -> Iterator[TouchedFiles]:
    """As `walk_changes` says, of what git-log(1) shows for ``shown``; ``unread`` may be set.

    git may map ``memory`` bytes: it keeps all that a commit changes until it has compared it.
    """
    order = ("--reverse", *_ORDER) if reverse else _ORDER
    told: str | None = None
    with repository.start(
        "log", "-z", "--raw", "--no-abbrev", "--no-renames", "--diff-merges=first-parent", "--root",
        *order, f"--format=tformat:{gitobjects.FORMAT}%x00%x01", *shown, "--", *paths,
        deadline=HISTORY_SECONDS, memory=memory,
    ) as child:  # fmt: skip
        stream = gitobjects.Fields(child.stdout)
        whole = True
        for row, count in _rows(stream):
            whole = not stream.broken and count > gitobjects.FIELDS and _is_whole(count)
            if whole:
                touched = _parse(row, count)
                told = touched.commit.sha
                yield touched
        done = child.wait()
    if done.code == 0 and whole:
        return
    if b"out of memory" in done.stderr or b"Cannot allocate memory" in done.stderr:
        raise _OutOfMemory(repository, told, memory)
    if repository.remote is None and b"promisor remote" in done.stderr:
        raise gitobjects.lacks_objects(repository, "read what commits changed")
    raise giterrors.explain(f"read the log of {shown[0]}", str(repository.folder), done.stderr)


def _is_whole(count: int) -> bool:
    """Whether no half of a file is among so many fields of a commit."""
    return (count - gitobjects.FIELDS - 1) % 2 == 0


def _rows(fields: Iterable[bytes | None]) -> Iterator[tuple[list[bytes | None], int]]:
    """The fields of one commit after the other, and their number; no more than that are kept."""
    row: list[bytes | None] = []
    count = 0
    for value in fields:
        if count > gitobjects.FIELDS and _is_whole(count) and not _is_entry(value):
            yield row, count
            row, count = [], 0
        if count <= _MOST_FIELDS:
            row.append(value)
        count += 1
    if row:
        yield row, count


def _is_entry(value: bytes | None) -> bool:
    """Whether a field begins a file of this commit, and is not the first one of the next."""
    return value is None or value.lstrip(b"\n")[:1] == b":"


def _parse(row: Sequence[bytes | None], count: int) -> TouchedFiles:
    commit = gitobjects.parse_commit(row[: gitobjects.FIELDS])
    rest = row[gitobjects.FIELDS + 1 :]
    if count > _MOST_FIELDS:
        return TouchedFiles(commit, (), unread=f"changes more than {_MOST_FIELDS // 2} files")
    files = []
    for entry, path in zip(rest[::2], rest[1::2], strict=True):
        if entry is None or path is None:
            return TouchedFiles(commit, (), unread="changes a file whose path is without an end")
        old_mode, mode, old, new, _ = entry.lstrip(b"\n:").split(b" ")
        touch = FileTouch(
            path.decode("utf-8", "surrogateescape"),
            old.decode() if old_mode in _REGULAR else None,
            new.decode() if mode in _REGULAR else None,
        )
        if touch.old or touch.new:
            files.append(touch)
    return TouchedFiles(commit, tuple(files))


def iter_blobs(
    repository: GitFolder, ids: Sequence[str], sizes: Mapping[str, int | None]
) -> Iterator[tuple[str, bytes]]:
    """Blobs in the order asked for, some megabytes at a time; all must be here."""
    batch: list[str] = []
    held = 0
    for sha in ids:
        size = sizes.get(sha) or 0
        if batch and (held + size > _MOST_BYTES or len(batch) >= _MOST_BLOBS):
            yield from _read(repository, batch)
            batch, held = [], 0
        batch.append(sha)
        held += size
    yield from _read(repository, batch)


def _read(repository: GitFolder, batch: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    found = gitobjects.read_blobs(repository, list(dict.fromkeys(batch)))
    for sha in batch:
        data = found[sha]
        if data is None:
            raise gitobjects.lacks_objects(repository, "read files")
        yield sha, data


_SIGNATURES = {
    b"B": "its signature does not fit what it signs",
    b"U": "it is signed with a key that is not allowed",
    b"X": "its signature is not valid any more",
    b"Y": "its key is not valid any more",
    b"R": "its key was taken back",
    b"N": "it is not signed",
}


def check_signatures(
    repository: GitFolder, ids: Sequence[str], signers: Path
) -> Iterator[tuple[str, str]]:
    """Commit → what is wrong with its SSH signature; an empty text where an allowed key made it.

    ``signers``: a file as ssh-keygen(1) has it in ALLOWED SIGNERS.
    """
    for start in range(0, len(ids), _MOST_COMMITS):
        done = repository.run(
            "log", "--no-walk=unsorted", "--stdin", "-z", "--format=tformat:%H %G?",
            what="check signatures",
            stdin="".join(f"{sha}\n" for sha in ids[start : start + _MOST_COMMITS]).encode(),
            configuration=signer_configuration(signers),
        )  # fmt: skip
        for line in done.stdout.split(b"\0")[:-1]:
            sha, _, status = line.partition(b" ")
            wrong = _SIGNATURES.get(status, "its signature can't be checked")
            yield sha.decode(), "" if status == b"G" else wrong
