"""Commits reach the remote fast-forward only, or not at all.

A rejection means: look again, and put the same tree on top of what is there now. A remote that is
away is waited for until the deadline, with growing pauses.
"""

from __future__ import annotations

from datetime import datetime

from reconciler import ports
from reconciler.model.errors import PushRejected, Transient

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_REJECTIONS = 20
"""So many writers between our fetch and our push are no coincidence any more."""


def publish(
    store: ports.ManifestStore,
    branch: str,
    commit: str,
    *,
    clock: ports.Clock,
    reporter: ports.Reporter,
    deadline: datetime,
) -> str:
    """Pushes ``commit`` to ``branch`` and returns the id that the remote has in the end.

    Raises the last Transient when the deadline passes, and whatever else the store refuses with.
    """
    pause = _FIRST_PAUSE
    rejections = 0
    while True:
        try:
            store.push({branch: commit})
        except PushRejected as error:
            rejections += 1
            if rejections > _REJECTIONS:
                raise
            tip = store.tip(branch)
            reporter.warning(
                "push rejected, committing on top", branch=branch, tip=tip, why=error.message
            )
            commit = store.reparent(commit, tip)
        except Transient as error:
            if clock.now() >= deadline:
                raise
            reporter.warning(
                "the manifest store is away, trying again", branch=branch, why=error.message,
                seconds=pause,
            )  # fmt: skip
            clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return commit
