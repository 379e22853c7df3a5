"""Walking a history with what each commit changed, and reading many blobs in bounded memory.

Of whatever repository is here: a clone on a disk, or the cache of a manifest store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reconciler.adapters import giterrors, gitobjects
from reconciler.adapters.gitprocess import GitFolder
from reconciler.adapters.gitsignature import signer_configuration
from reconciler.model.errors import Refused
from reconciler.model.store import FileTouch, TouchedFiles

_CHUNK = 1 << 16
_REGULAR = (b"100644", b"100755")
_MOST_BYTES = 16 << 20
_MOST_BLOBS = 1000
_MOST_COMMITS = 500
_MOST_FIELDS = 1_000_000
"""Of one commit: two for each file that it changes."""
_MOST_MEMORY = 4 << 30
"""Bytes that git may map for a walk: packs as well."""
HISTORY_SECONDS = 900.0
"""A walk over years of runs may take that long."""


def walk_changes(
    repository: GitFolder,
    tip: str,
    paths: Sequence[str],
    *,
    reverse: bool = False,
    memory: int = _MOST_MEMORY,
) -> Iterator[TouchedFiles]:
    """Commits from ``tip`` on that touched ``paths`` (files or folders; none is all of them).

    Newest first, or oldest first with ``reverse``. A merge is compared with its first parent.
    The deepest commit of a shallow clone seems to add all its files. One process, which may map
    ``memory`` bytes: it keeps all that a commit changes until it has compared the trees.
    """
    options = ["--first-parent", "--diff-merges=first-parent", "--root", "--topo-order"]
    options += ["--reverse"] if reverse else []
    fields: list[bytes] = []
    pending = b""
    with repository.start(
        "log", "-z", "--raw", "--no-abbrev", "--no-renames", *options,
        f"--format=tformat:{gitobjects.FORMAT}%x00%x01", tip, "--", *paths,
        deadline=HISTORY_SECONDS, memory=memory,
    ) as child:  # fmt: skip
        while chunk := child.stdout.read(_CHUNK):
            *values, pending = (pending + chunk).split(b"\0")
            for value in values:
                if _begins(fields, value):
                    yield _parse(fields)
                    fields = []
                fields.append(value)
            gitobjects.check_field(repository, pending, fields)
            if len(fields) > _MOST_FIELDS:
                raise _too_many(repository, fields[0].decode())
        done = child.wait()
    if done.code != 0 or pending:
        if b"out of memory" in done.stderr or b"Cannot allocate memory" in done.stderr:
            raise _out_of_memory(repository, fields, memory)
        if repository.remote is None and b"promisor remote" in done.stderr:
            raise gitobjects.lacks_objects(repository, "read what commits changed")
        raise giterrors.explain(f"read the log of {tip}", str(repository.folder), done.stderr)
    if fields:
        yield _parse(fields)


def _too_many(repository: GitFolder, commit: str) -> Refused:
    return Refused(
        f"commit {commit} of {repository.shown} changes more than {_MOST_FIELDS // 2} files; no run"
        " makes one",
        hint="somebody else pushed it; see docs/manifest-store.md, Bounds",
    )


def _out_of_memory(repository: GitFolder, fields: Sequence[bytes], memory: int) -> Refused:
    # A commit is told when its trees were compared: so it is the one after the last that was told.
    after = f" after commit {fields[0].decode()}" if fields else " at its first commit"
    return Refused(
        f"git ran out of memory{after} of {repository.shown}: it may map {memory >> 20} MiB",
        hint="either that commit changes more files than a run does and somebody else pushed it, or"
        " the packs are larger than that; see docs/manifest-store.md, Bounds",
    )


def _begins(fields: Sequence[bytes], value: bytes) -> bool:
    """Whether a value is the first one of the next commit, and not one of this one's files."""
    beyond = len(fields) - gitobjects.FIELDS - 1
    return beyond >= 0 and beyond % 2 == 0 and value.lstrip(b"\n")[:1] != b":"


def _parse(fields: Sequence[bytes]) -> TouchedFiles:
    head, rest = fields[: gitobjects.FIELDS], fields[gitobjects.FIELDS + 1 :]
    files = []
    for entry, path in zip(rest[::2], rest[1::2], strict=True):
        old_mode, mode, old, new, _ = entry.lstrip(b"\n:").split(b" ")
        touch = FileTouch(
            path.decode("utf-8", "surrogateescape"),
            old.decode() if old_mode in _REGULAR else None,
            new.decode() if mode in _REGULAR else None,
        )
        if touch.old or touch.new:
            files.append(touch)
    return TouchedFiles(gitobjects.parse_commit(*head), tuple(files))


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
