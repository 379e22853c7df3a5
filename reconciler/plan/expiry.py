"""Which runs maintenance still holds, as it wrote it down; see docs/retention.md. Pure.

Nothing that is not known counts as gone: after a purge the commit that maintenance had seen is not
on the branch any more, and what began before it may have expired, or not.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.model.run import Outcome, RunRecord

_STORED = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)


class Promise(enum.StrEnum):
    """What is promised of what a run stored outside Git: its volumes and Secrets."""

    HELD = "held"
    EXPIRED = "expired"
    """It may be gone, and the next maintenance removes what is left."""
    PERHAPS = "perhaps expired"
    """Nobody knows: the branch was rewritten since maintenance looked at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """What maintenance said of one branch at a time.

    ``held``: run → the namespaces of which it holds a point. ``below``: the runs that it had seen;
    None where the branch does not have its commit any more.
    """

    at: datetime
    held: Mapping[str, frozenset[str]]
    below: frozenset[str] | None

    def of(self, run: str, started: datetime, namespaces: Collection[str] = ()) -> Promise:
        """What is promised of these namespaces of a run; none named: of any of it."""
        if run in self.held:
            return Promise.HELD if self.held[run].issuperset(namespaces) else Promise.EXPIRED
        if self.below is None:
            return Promise.HELD if started > self.at else Promise.PERHAPS
        return Promise.EXPIRED if run in self.below else Promise.HELD


def seen_by(tip: str, commits: Iterable[tuple[str, str]]) -> frozenset[str] | None:
    """The runs at ``tip`` and below. ``commits``: (id, run or ``""``) of a branch, newest first.

    None where the branch does not have the commit.
    """
    found: set[str] | None = None
    for sha, run in commits:
        if sha == tip:
            found = set()
        if found is not None and run:
            found.add(run)
    return None if found is None else frozenset(found)


def expired_namespaces(
    expiry: Expiry, record: RunRecord, only: Collection[str] = ()
) -> dict[str, Promise]:
    """Of a run's namespaces that hold something (``only`` these): those that are not held."""
    names = [part.name for part in record.namespaces if part.outcome in _STORED]
    asked = [name for name in names if not only or name in only]
    told = {name: expiry.of(record.name, record.started, [name]) for name in asked}
    return {name: promise for name, promise in told.items() if promise is not Promise.HELD}
