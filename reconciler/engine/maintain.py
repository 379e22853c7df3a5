"""Executes a plan of maintenance: exactly the snapshots that it names, and in one order.

1. What stays is written down first (``_retained/<policy>.yaml`` on the cluster's branch). Killed
   afterwards, what expired is promised no more and is still there: the next maintenance removes
   it. The other way round a reader would be promised what is gone.
2. Then the branches are asked once more. A run that ended since the plan may name any snapshot:
   nothing is removed by a plan that does not know it.
3. Then each repository: forget, prune, check. Prune also where nothing was forgotten, for an
   earlier maintenance may have been killed before it.

No command executes this yet: readers of the history do not ask for what has expired.

No step is done twice with another effect, so whoever was killed is only started again: with a new
plan, for this one is as old as its facts. One repository that fails is in no other's way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler import ports
from reconciler.capture import retained
from reconciler.capture.retained import HeldRun, Retained
from reconciler.engine.context import cluster_branch, policy_branch
from reconciler.model.errors import BackstayError, Interrupted, Refused, Transient
from reconciler.model.policy import Retention
from reconciler.model.store import Write
from reconciler.plan.maintenance import MaintenancePlan, Place

_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintainPorts:
    """What maintenance works with. ``upkeep`` opens the repository of a place, by its id."""

    store: ports.ManifestStore
    upkeep: Callable[[Place], ports.RepositoryUpkeep]
    reporter: ports.Reporter
    stopped: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintained:
    """What came of one repository: ``damage`` is what its check found."""

    place: Place
    forgotten: int = 0
    damage: tuple[str, ...] = ()
    error: BackstayError | None = None


def execute(
    plan: MaintenancePlan,
    tips: Mapping[str, str],
    retentions: Mapping[str, Retention],
    work: MaintainPorts,
    *,
    home: str,
    parts: int = 20,
) -> tuple[Maintained, ...]:
    """Does what the plan says, and nothing else; one result for each restic repository.

    ``tips``: policy → the commit of its branch that the plan has read; ``home``: that of the
    cluster's own branch. Raises Refused where a brake holds everything, and Transient where a
    branch has moved since: then plan anew. ``parts``: in so many weeks all data is read once.
    """
    if plan.brakes:
        raise Refused(f"nothing is removed: {plan.brakes[0]}", hint="nothing was changed")
    _retain(plan, tips, retentions, work.store, home)
    _check_tips(plan, tips, work.store)
    part = plan.at.toordinal() // _WEEK % parts + 1
    return tuple(_keep_in_order(place, work, part, parts) for place in plan.places)


def retained_after(
    plan: MaintenancePlan, tips: Mapping[str, str], retentions: Mapping[str, Retention]
) -> Iterator[Retained]:
    """What will be held of each policy of which something may go."""
    held: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    for decided in plan.points:
        part = decided.part
        if decided.keep and part.policy not in plan.held:
            held[part.policy].setdefault(part.point.run, []).append(part.namespace)
    policies = {decided.part.policy for decided in plan.points} - plan.held.keys()
    for policy in sorted(policies):
        yield Retained(
            policy=policy,
            tip=tips[policy],
            at=plan.at,
            retention=retentions[policy].words(),
            held=tuple(
                HeldRun(run, tuple(sorted(names))) for run, names in sorted(held[policy].items())
            ),
        )


def _retain(
    plan: MaintenancePlan,
    tips: Mapping[str, str],
    retentions: Mapping[str, Retention],
    store: ports.ManifestStore,
    home: str,
) -> None:
    """One commit, or none where all of it is said already."""
    wanted = tuple(retained_after(plan, tips, retentions))
    before = store.read(home, [retained.path_of(one.policy) for one in wanted])
    files = [
        Write(path, text)
        for one in wanted
        for path, text in [(retained.path_of(one.policy), retained.render_retained(one))]
        if not _says_the_same(before.get(path), one)
    ]
    if not files:
        return
    branch = cluster_branch(plan.cluster)
    message = f"Record what {plan.repository} holds\n\nPolicies: {len(files)}\n"
    store.push({branch: store.commit(branch, home, tuple(files), message, when=plan.at)})


def _says_the_same(text: bytes | None, wanted: Retained) -> bool:
    """Whether only its time is another."""
    if text is None:
        return False
    found = retained.parse_retained(text, where=retained.path_of(wanted.policy))
    return replace(found, at=wanted.at) == wanted


def _check_tips(plan: MaintenancePlan, tips: Mapping[str, str], store: ports.ManifestStore) -> None:
    prefix = policy_branch(plan.cluster, "")
    heads = {name.removeprefix(prefix): tip for name, tip in store.branches(prefix).items()}
    now = {name: tip for name, tip in heads.items() if name[:1] != "_" and "/" not in name}
    if now != dict(tips):
        moved = sorted(name for name in {*now, *tips} if now.get(name) != tips.get(name))
        raise Transient(
            f"a run ended while maintenance was planned: {', '.join(moved[:3])}",
            hint="nothing was removed; start it again",
        )


def _keep_in_order(place: Place, work: MaintainPorts, part: int, parts: int) -> Maintained:
    done = Maintained(place=place)
    try:
        upkeep = work.upkeep(place)
        if upkeep.open() != place.id:
            raise Refused(f"{place.url} is another repository than the one that was planned for")
        if place.removed:
            _go_on(work)
            work.reporter.event("forgetting", repository=place.url, snapshots=len(place.removed))
            upkeep.forget(place.removed)
            done = replace(done, forgotten=len(place.removed))
        _go_on(work)
        upkeep.prune()
        _go_on(work)
        return replace(done, damage=upkeep.check(part=part, parts=parts))
    except Interrupted:
        raise
    except BackstayError as error:
        work.reporter.warning("repository not kept", repository=place.url, why=error.message)
        return replace(done, error=error)


def _go_on(work: MaintainPorts) -> None:
    if work.stopped():
        raise Interrupted("maintenance was stopped between two steps")
