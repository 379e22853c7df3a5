"""A branch's history with other files in the place of some, in a person's own clone.

Nothing of the clone's branches is moved: the new history is a ref beside them, and pushing it is
the person's. Commits before the first one that holds a replaced file stay what they are; those
after it keep their message, author and times; they lose their signature, and get another one where
there is a key to sign with (`gitresign`). What is exported and
imported are names of files and ids only (git-fast-export(1), ``--no-data``), so a history of years
takes seconds, and memory does not grow with it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from reconciler.adapters import gitobjects, gitwalk
from reconciler.adapters.closing import Closing
from reconciler.adapters.gitcommit import write_object
from reconciler.adapters.gitnames import check_ref, check_sha
from reconciler.adapters.gitprocess import LOCAL_SECONDS, GitFolder
from reconciler.adapters.gitresign import HistorySigner, Signing
from reconciler.model.errors import Refused

KEPT = "refs/backstay/purged/"
"""Below it lie the new histories, by the names of their branches."""
_FROM = "refs/backstay/purge/from"
_TO = "refs/backstay/purge/to"
_AT_ONCE = 10_000
_MODIFY = re.compile(rb"(M [0-7]+ )([0-9a-f]{40,64})( .*\n)", re.DOTALL)


class HistoryRewriter(Closing):
    """One clone, with all of its history and files. A context manager.

    With ``signing`` what was signed is signed again.
    """

    def __init__(self, clone: Path, signing: Signing | None = None) -> None:
        self._git = GitFolder(clone, None, deadline=LOCAL_SECONDS)
        self._signer: HistorySigner | None = None
        if (self._git.folder / "shallow").exists():
            raise Refused(
                f"the history of the clone {clone} is cut off",
                hint="make a whole one: git clone --bare URL",
            )
        if signing is not None:
            self._signer = HistorySigner(self._git, signing)

    def close(self) -> None:
        """Lets go of the clone, and of the key."""
        if self._signer is not None:
            self._signer.close()
        self._git.close()

    def objects(self, tip: str, kinds: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        """Path (empty for a commit), id and bytes of every object of a history, some at a time."""
        with self._git.start(
            "rev-list", "--objects", check_sha(tip), deadline=gitwalk.HISTORY_SECONDS
        ) as child:
            while lines := list(islice(child.stdout, _AT_ONCE)):
                shown = (line.decode("utf-8", "surrogateescape").rstrip("\n") for line in lines)
                names = dict(line.partition(" ")[::2] for line in shown)
                yield from self._read(names, kinds)
            done = child.wait()
        if b"promisor remote" in done.stderr:
            raise gitobjects.lacks_objects(self._git, "read its history")
        if done.code != 0:
            raise self._git.failure(f"list the history of {tip}", done)

    def _read(
        self, names: Mapping[str, str], kinds: Sequence[str]
    ) -> Iterator[tuple[str, str, bytes]]:
        sizes: dict[str, int | None] = {}
        for sha, found in gitobjects.measure(self._git, list(names)).items():
            if found is None:
                raise gitobjects.lacks_objects(self._git, "read files")
            if found[0] in kinds:
                sizes[sha] = found[1]
        for sha, data in gitwalk.iter_blobs(self._git, list(sizes), sizes):
            yield names[sha], sha, data

    def keep_file(self, data: bytes) -> str:
        """Keeps a file in the clone; its blob id."""
        return write_object(self._git, "blob", data)

    def rewrite(
        self, tip: str, files: Mapping[str, str], *, allowed: Callable[[bytes], bool]
    ) -> tuple[str, str, int]:
        """The history of ``tip`` with blobs replaced.

        Its new tip, the last commit that stays (empty where all is new), and how many commits were
        signed again. Raises Refused where a message or a path, raw, is not ``allowed``: those are
        not rewritten.
        """
        self._forget()
        stays = self._last_untouched(tip, files)
        self._git.run("update-ref", _FROM, check_sha(tip), what="begin")
        until = (f"^{stays}",) if stays else ()
        if self._signer is not None:
            self._refuse_merges(tip, until)
        try:
            with self._git.start(
                "fast-export", "--no-data", "--reencode=no", "--signed-tags=strip",
                "--reference-excluded-parents", "--use-done-feature", f"--refspec={_FROM}:{_TO}",
                _FROM, *until, deadline=gitwalk.HISTORY_SECONDS,
            ) as source, self._git.start(
                "fast-import", "--quiet", "--done", stdin=True,
                deadline=gitwalk.HISTORY_SECONDS,
            ) as target:  # fmt: skip
                with contextlib.suppress(BrokenPipeError), target.stdin:
                    for part in _replaced(source.stdout, files, allowed):
                        target.stdin.write(part)
                told, made = source.wait(), target.wait()
            for done in (told, made):
                if done.code != 0:
                    raise self._git.failure(f"rewrite the history of {tip}", done)
            new = self._git.resolve(_TO)
            if new is None:
                raise self._git.failure(f"rewrite the history of {tip}", made)
            signed = 0
            if self._signer is not None:
                new, signed = self._signer.sign_again(self._ids(tip, until), self._ids(new, until))
            return new, stays, signed
        finally:
            self._forget()

    def mark(self, tip: str, message: str, person: bytes, seconds: int) -> str:
        """A commit on top that changes no file; ``person``: ``Name <email>``."""
        what = f"read commit {tip}"
        raw = gitobjects.commit_bytes(self._git, check_sha(tip), what)
        tree = raw[: raw.index(b"\n") + 1]
        who = b"%b %d +0000\n" % (person, seconds)
        body = [tree, b"parent ", tip.encode(), b"\nauthor ", who, b"committer ", who, b"\n"]
        commit = b"".join(body) + message.encode()
        return write_object(
            self._git, "commit", self._signer.sign(commit) if self._signer else commit
        )

    def keep(self, branch: str, tip: str) -> str:
        """Gives a new history its ref, and returns its name."""
        name = f"{KEPT}{check_ref(branch)}"
        self._git.run("update-ref", name, check_sha(tip), what=f"keep {name}")
        return name

    def _ids(self, tip: str, until: Sequence[str]) -> list[str]:
        """Oldest first."""
        done = self._git.run("rev-list", "--reverse", "--topo-order", tip, *until, what="list")
        return done.stdout.decode().split()

    def _last_untouched(self, tip: str, files: Mapping[str, str]) -> str:
        """The commit below the first one that has a file which is to be replaced."""
        before = ""
        for touched in gitwalk.walk_changes(self._git, tip, (), reverse=True):
            if len(touched.commit.parents) > 1:
                raise _no_merges(touched.commit.sha)
            if any(file.new in files for file in touched.files):
                return before
            before = touched.commit.sha
        return before

    def _refuse_merges(self, tip: str, until: Sequence[str]) -> None:
        """Two commits that differ in their signature alone become one: none is left for one."""
        done = self._git.run("rev-list", "--merges", "--max-count=1", tip, *until, what="list")
        if done.stdout:
            raise _no_merges(done.stdout.decode().strip())

    def _forget(self) -> None:
        for name in (_FROM, _TO):
            self._git.run("update-ref", "-d", name, what="clean up")


def _no_merges(sha: str) -> Refused:
    return Refused(
        f"{sha} is a merge: this is no history of runs alone",
        hint="backstay verify says what was put into it; without --config merges above the first"
        " commit with the value are rewritten, unsigned",
    )


def _replaced(
    stream: IO[bytes], files: Mapping[str, str], allowed: Callable[[bytes], bool]
) -> Iterator[bytes]:
    """A stream of git-fast-export(1) with other ids of files."""
    while line := stream.readline():
        if line.startswith(b"data "):
            data = stream.read(int(line[5:]))
            _check(data, allowed, "the message of a commit")
            yield line + data
            continue
        found = _MODIFY.fullmatch(line)
        if found is not None:
            _check(found[3], allowed, "the name of a file")
            sha = found[2].decode()
            line = found[1] + files.get(sha, sha).encode() + found[3]
        yield line


def _check(data: bytes, allowed: Callable[[bytes], bool], what: str) -> None:
    if not allowed(data):
        raise Refused(
            f"the value is in {what}, and those are not rewritten",
            hint="see docs/purge.md, What it can't do",
        )
