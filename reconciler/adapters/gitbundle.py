"""A commit as a Git bundle, made and read without the remote.

The store's clone has no old files, so Git's own `bundle create` may not be able to make one: it
looks for deltas against files that are not here. This one is put together by hand: the commit, all
trees of it, and those files that its parent does not have, none of them as a delta. What git reads
is a bundle of version 2 (version 3 with SHA-256), gitformat-bundle(5): in a clone that has the
parent, ``git fetch FILE`` takes it as well.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterable, Iterator, Sequence

from reconciler.adapters import giterrors, gitobjects
from reconciler.adapters.gitnames import check_ref, check_sha
from reconciler.adapters.gitprocess import GitFolder
from reconciler.model.errors import OverBound, Refused

_CHUNK = 1 << 16
_LONGEST_HEAD = 1 << 16
_HEAD = re.compile(
    rb"# v[23] git bundle\n(@[^\n]*\n)*(-[0-9a-f]{40,64}[^\n]*\n)*([0-9a-f]{40,64}) refs/[^\n]+\n\n"
)
_SHA1_DIGITS = 40
_SECONDS = 600.0


def write_bundle(
    repository: GitFolder, branch: str, commit: str, parent: str | None
) -> Iterator[bytes]:
    """The bundle's bytes. Four processes; raises where something is missing here."""
    raw = gitobjects.commit_bytes(repository, check_sha(commit), "read a commit")
    tree = raw[: raw.index(b"\n")].removeprefix(b"tree ").decode()
    objects = [commit, tree, *_new_objects(repository, commit, parent)]
    version = b"# v2 git bundle\n"
    if len(commit) > _SHA1_DIGITS:
        version = b"# v3 git bundle\n@object-format=sha256\n"
    needs = f"-{check_sha(parent)} \n" if parent else ""
    yield version + f"{needs}{commit} refs/heads/{check_ref(branch)}\n\n".encode()
    what = f"make a bundle of commit {commit}"
    wanted = "".join(f"{sha}\n" for sha in dict.fromkeys(objects)).encode()
    with repository.start(
        "-c", "pack.window=0", "pack-objects", "--stdout", "-q", stdin=True, deadline=_SECONDS
    ) as child:
        # It reads all of the list before it writes.
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(wanted)
        while chunk := child.stdout.read(_CHUNK):
            yield chunk
        done = child.wait()
    if done.code != 0:
        raise repository.failure(what, done)


def read_bundle(repository: GitFolder, chunks: Iterable[bytes]) -> str:
    """Takes over what a bundle holds and returns its commit. One process.

    Raises Refused for what is no bundle, or is damaged; what was taken over until then is unnamed.
    """
    source = iter(chunks)
    head = b""
    while b"\n\n" not in head and len(head) < _LONGEST_HEAD:
        chunk = next(source, None)
        if chunk is None:
            break
        head += chunk
    found = _HEAD.match(head)
    if found is None:
        raise _damaged("it does not begin as one")
    with repository.start(
        "index-pack", "--stdin", "--fsck-objects",
        stdin=True, deadline=_SECONDS, largest=repository.largest_fetch,
    ) as child:  # fmt: skip
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(head[found.end() :])
            for chunk in source:
                child.stdin.write(chunk)
        done = child.wait()
    if done.code != 0:
        if b"No space left" in done.stderr:
            raise giterrors.explain("read a bundle", str(repository.folder), done.stderr)
        if done.code == -signal.SIGXFSZ:
            raise OverBound(
                f"a bundle has more than {repository.largest_fetch >> 20} MiB",
                hint="see docs/manifest-store.md, Bounds",
            )
        raise _damaged(giterrors.quoted(giterrors.masked(done.stderr, ())))
    return found[3].decode()


def missing_files(
    repository: GitFolder, commits: Sequence[str], tip: str | None
) -> dict[str, list[str]]:
    """Files of ``commits`` that ``tip`` lacks and that are not here: blob id → commits with it."""
    known = set(gitobjects.list_tree(repository, tip, "").values()) if tip else set()
    wanted: dict[str, list[str]] = {}
    for commit in commits:
        for sha in set(gitobjects.list_tree(repository, check_sha(commit), "").values()) - known:
            wanted.setdefault(sha, []).append(commit)
    sizes = gitobjects.blob_sizes(repository, list(wanted))
    return {sha: whose for sha, whose in wanted.items() if sizes[sha] is None}


def _new_objects(repository: GitFolder, commit: str, parent: str | None) -> Iterator[str]:
    """All trees below the root, and the files that the parent does not have."""
    old = set(gitobjects.list_tree(repository, parent, "").values()) if parent else set()
    listed = repository.run(
        "ls-tree", "-r", "-t", "-z", "--full-tree", commit, what=f"list commit {commit}"
    ).stdout
    for entry in listed.split(b"\0")[:-1]:
        _, kind, sha = entry.partition(b"\t")[0].split(b" ")
        if kind == b"tree" or (kind == b"blob" and sha.decode() not in old):
            yield sha.decode()


def _damaged(why: str) -> Refused:
    return Refused(f"this is no Git bundle that can be read: {why}")
