"""When absence is not deletion: what stops the controller from deleting schedules.

Flux, Argo CD and their users have learned each of these the hard way: an emptied folder, a
moved path, a force-push, a half-parsed revision. Here each brake is a sentence, and all that
apply are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.config import Config
from reconciler.model.plan import Desired, History
from reconciler.model.store import Descends


def hint(namespace: str, name: str) -> str:
    """What to do when it shall really go."""
    return (
        f"if it shall go: kubectl -n {namespace} delete cronjob {name} --cascade=orphan"
        " (approval by commit is not supported yet)"
    )


def find(
    desired: Desired,
    history: History,
    config: Config,
    *,
    policies: int,
    have: int,
    gone: Sequence[Mapping[str, Any]],
) -> tuple[str, ...]:
    """Every reason not to delete now; ``policies`` in force, ``have`` schedules, ``gone`` of them.

    A revision that is the remembered one descends from itself.
    """
    found = []
    if not history.path_found:
        found.append(f"the folder {history.path or '/'} is not in the revision")
    elif not policies:
        found.append("the revision holds no policy at all")
    if desired.problems:
        count = len(desired.problems)
        found.append(f"the revision has {count} problem{'s' if count > 1 else ''}")
    if history.revision != history.last and history.descends is not Descends.YES:
        found.append(_descent(history))
    most = max(1, have * config.max_delete // 100)
    if len(gone) > most:
        found.append(
            f"{len(gone)} of {have} policies would go at once, maxDelete"
            f" ({config.max_delete} %) allows {most}"
        )
    return tuple(found)


def _descent(history: History) -> str:
    if not history.last:
        return "no earlier revision is remembered, so the history can't be checked"
    if history.descends is Descends.NO:
        return f"history was rewritten: {history.last} is no ancestor of the revision"
    return f"it is unknown whether the revision descends from {history.last}"
