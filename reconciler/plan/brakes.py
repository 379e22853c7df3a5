"""When absence is not deletion: what stops the controller from deleting schedules.

Flux, Argo CD and their users have learned each of these the hard way: an emptied folder, a
moved path, a force-push, a half-parsed revision. Here each brake is a sentence, and all that
apply are told.
"""

from __future__ import annotations

from reconciler.model.config import Config
from reconciler.model.plan import Desired, History
from reconciler.model.store import Descends
from reconciler.plan import approval
from reconciler.plan.approval import Brakes


def hint(namespace: str, name: str, digest: str) -> str:
    """What to do when it shall really go; ``digest`` is empty where approval can't help."""
    by_hand = f"kubectl -n {namespace} delete cronjob {name} --cascade=orphan"
    if not digest:
        return f"no commit can approve that: mend the revision, or, if it shall go: {by_hand}"
    trailer = approval.render_trailer(digest)
    return f"if all that go shall go, push a commit with the line `{trailer}`; or {by_hand}"


def find(
    desired: Desired,
    history: History,
    config: Config,
    *,
    policies: int,
    have: int,
    gone: int,
) -> Brakes:
    """Every reason not to delete now; ``policies`` in force, ``have`` schedules, ``gone`` of them.

    A revision that is the remembered one descends from itself. With a problem in it nobody knows
    what it asks for, and without the folder it asks for nothing: nobody can approve that. A folder
    that is not there is one problem.
    """
    found: list[str] = []
    firm: list[str] = []
    if not history.path_found:
        firm.append(f"the folder {history.path or '/'} is not in the revision")
    elif not policies:
        found.append("the revision holds no policy at all")
    if (count := len(desired.problems)) > (0 if history.path_found else 1):
        firm.append(f"the revision has {count} problem{'s' if count > 1 else ''}")
    if history.revision != history.last and history.descends is not Descends.YES:
        found.append(_descent(history))
    most = max(1, have * config.max_delete // 100)
    if gone > most:
        found.append(
            f"{gone} of {have} policies would go at once, maxDelete"
            f" ({config.max_delete} %) allows {most}"
        )
    return Brakes(tuple(firm), tuple(found))


def _descent(history: History) -> str:
    if not history.last:
        return "no earlier revision is remembered, so the history can't be checked"
    if history.descends is Descends.NO:
        return f"history was rewritten: {history.last} is no ancestor of the revision"
    return f"it is unknown whether the revision descends from {history.last}"
