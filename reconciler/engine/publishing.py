"""Commits reach the remote fast-forward only, or not at all.

A rejection means: look again, and put what is to be said on top of what is there now. A remote that
is away is waited for until the deadline, with growing pauses.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

from reconciler import ports
from reconciler.engine.pacing import Turn
from reconciler.engine.patience import Patience
from reconciler.model.errors import PushRejected, Transient

_REJECTIONS = 20
"""So many writers between our fetch and our push are no coincidence any more."""


@dataclass(frozen=True, slots=True)
class Published:
    """The commit that the remote has; not ``ours`` where this very run was there already."""

    commit: str
    ours: bool = True


def publish(
    store: ports.ManifestStore,
    branch: str,
    commit: str,
    *,
    put_on: Callable[[str | None], str],
    recorded: Callable[[str | None], str | None],
    check: Callable[[], None],
    patience: Patience,
    reporter: ports.Reporter,
    turn: Turn | None = None,
) -> Published:
    """Pushes ``commit`` to ``branch`` and returns what the remote has in the end.

    ``put_on(tip)`` makes the commit again on another tip. ``recorded(tip)`` tells the commit of
    this very run if it is on the branch after all: an answer of the remote may have been lost.
    ``check`` runs before each push, once it has its ``turn``, and raises where nothing may be
    pushed any more. Raises the last Transient when the deadline passes, and whatever else the
    store refuses with.
    """
    rejections = 0
    moved = False
    seen: list[str | None] = []
    while True:
        try:
            if moved:
                tip = store.tip(branch)
                if tip in seen:
                    # Another push holds the branch on the server, and has not moved it yet.
                    seen.clear()
                    raise Transient(f"branch {branch} is being pushed to by another")
                seen.append(tip)
                there = recorded(tip)
                if there is not None:
                    return Published(there, ours=False)
                commit = put_on(tip)
                moved = False
            with turn() if turn else nullcontext():
                check()
                store.push({branch: commit})
        except PushRejected as error:
            rejections += 1
            if rejections > _REJECTIONS:
                raise
            moved = True
            reporter.warning("push rejected, committing on top", branch=branch, why=error.message)
        except Transient as error:
            patience.wait(error)
        else:
            return Published(commit)
