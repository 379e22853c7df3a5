"""Takes a value out of a branch's whole history, in a person's clone; nothing is pushed from here.

The new history ends with a commit that changes no file and says what it is: which tip it takes the
place of, from where on, who did it and why. Without it nobody could tell a purge from an attack.
Before it is kept, every object of the new history is searched for the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.capture import message, paths
from reconciler.capture.purging import Purge
from reconciler.capture.purgingrecords import check_record
from reconciler.model.errors import Refused, one_line

_EVERYTHING = ("commit", "tree", "blob")


class Rewriter(Protocol):
    """A clone whose branches are never moved."""

    def objects(self, tip: str, kinds: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        """Path, id and bytes of every object of these kinds in a history."""
        ...

    def keep_file(self, data: bytes) -> str:
        """Keeps a file; its blob id."""
        ...

    def rewrite(
        self, tip: str, files: Mapping[str, str], *, allowed: Callable[[bytes], bool]
    ) -> tuple[str, str, int]:
        """A history with other files: its tip, the last commit that stays (empty: none), signed."""
        ...

    def mark(self, tip: str, message: str, person: bytes, seconds: int) -> str:
        """A commit on top that changes no file."""
        ...

    def keep(self, branch: str, tip: str) -> str:
        """Gives a history a ref; its name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """A branch whose new history is ready to be pushed."""

    policy: str
    branch: str
    old: str
    new: str
    ref: str
    """Where the clone keeps ``new``."""
    after: str
    """The last commit that stayed; empty where all are new."""
    paths: tuple[str, ...]
    """Files that held the value, sorted; a file counts once, however many versions did."""
    versions: int
    signed: int
    """Commits whose signature was good, and that were signed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who purges, and why. ``author``: as git writes it, ``Name <email>``."""

    author: bytes
    reason: str


def purge_branch(
    history: Rewriter, policy: str, branch: str, tip: str, purge: Purge, person: Person,
    *, now: datetime,
) -> Purged | None:  # fmt: skip
    """The branch's new history, kept beside the old one; None where the old one has no value.

    Raises Refused where the value is in what is not rewritten, or in what a record must say.
    """
    files: dict[str, str] = {}
    places: set[str] = set()
    for path, sha, data in history.objects(tip, ("blob",)):
        where = f"{path} ({sha[:10]}) of branch {branch}"
        made = purge.take_out(data, where)
        if made is not None:
            if path == paths.RECORD_PATH:
                check_record(data, made, where)
            files[sha] = history.keep_file(made)
            places.add(path)
    if not files:
        _prove(history, tip, purge, branch)
        return None
    top, after, signed = history.rewrite(tip, files, allowed=lambda raw: not purge.holds(raw))
    text = _message(policy, tip, after, person, len(files))
    new = history.mark(top, text, person.author, int(now.timestamp()))
    _prove(history, new, purge, branch)
    return Purged(
        policy=policy,
        branch=branch,
        old=tip,
        new=new,
        ref=history.keep(branch, new),
        after=after,
        paths=tuple(sorted(places)),
        versions=len(files),
        signed=signed,
    )


def _prove(history: Rewriter, tip: str, purge: Purge, branch: str) -> None:
    """Asks every object, commits and lists of files too."""
    for path, sha, data in history.objects(tip, _EVERYTHING):
        if purge.holds(data):
            where = f"file {path}" if path else "a commit's message, or a list of files"
            raise Refused(
                f"the value is in {where} of branch {branch} (object {sha}), and stays there",
                hint="see docs/purge.md, What it can't do",
            )


def _message(policy: str, old: str, after: str, person: Person, versions: int) -> str:
    trailers = {message.POLICY: policy, message.REWRITTEN: old}
    if after:
        trailers[message.REWRITTEN_AFTER] = after
    told = f"A value was taken out of {versions} versions of files: {one_line(person.reason)}"
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    return f"{policy}: the history was rewritten on purpose\n\n{told}\n\n{lines}\n"
