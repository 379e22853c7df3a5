"""``backstay plan`` against a cluster: what the controller would do, and what not to miss of it.

Beyond the controller's own reads it asks for namespaces, claims and pods; for recovery points only
where something is to be said of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from reconciler.cli import planchange, planforms, wiring
from reconciler.engine import controller
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.coverage import observe_covered
from reconciler.engine.pointdigest import Budget, read_points
from reconciler.model.change import Key, Written
from reconciler.model.errors import BackstayError, Bug, Interrupted, Refused
from reconciler.model.finding import Finding, Severity
from reconciler.model.inventory import Inventory
from reconciler.model.plan import Plan
from reconciler.plan.approval import render_trailer
from reconciler.plan.changelive import UNSEEN, live_findings, once_approved
from reconciler.plan.inventoryfiles import PolicyPoints
from reconciler.plan.livechange import LiveChange, live_change
from reconciler.plan.retentionfindings import EXTENDED, SHORTENED, surely_keeps
from reconciler.policy.revisions import read_revision
from reconciler.report import live

NEED_TO_SEE = planchange.NEED_INVENTORY | UNSEEN
"""Ids of which nothing is known where namespaces and claims can't be listed."""
NEED_POINTS = frozenset({SHORTENED, str(Severity.ERROR)})
"""What may be found or not where a policy's recovery points are not all known."""
_READ_FOR = timedelta(seconds=60)
_MOST = 200
"""Recovery points that are read of one policy."""
ReadPoints = Callable[[Setting, Collection[str]], tuple[PolicyPoints, ...]]
"""Those of some policies, from the manifest store."""


@dataclass(frozen=True, slots=True)
class Led:
    """A plan, and what it leads with."""

    plan: Plan
    findings: tuple[Finding, ...]
    unseen: tuple[str, ...] = ()
    """Policies that keep by another retention, which may expire points that were not read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A plan with what policies protect, and the cluster that it was held against."""

    plan: Plan
    inventory: Inventory | None = None
    """None where the account may not look."""


def make_plan(setting: Setting, *, must_see: bool = False) -> Led:
    """``must_see``: raises Refused where namespaces and claims can't be listed."""
    cycle = controller.make_plan(setting)
    return lead(cycle, with_coverage(cycle, setting, must_see=must_see), setting)


def with_coverage(cycle: Cycle, setting: Setting, *, must_see: bool = False) -> Seen:
    """The cycle's plan and what policies protect; a note where the account may not look."""
    plan = cycle.plan
    if plan is None:
        raise Bug("the steps of a plan made none")
    try:
        found = observe_covered(
            setting.reader,
            cycle.policies,
            cycle.desired.parsed.exemptions if cycle.desired else (),
            setting.config,
            own_namespace=setting.place.namespace,
            now=setting.clock.now(),
        )
    except Refused as error:
        if must_see:
            raise
        note = f"what policies protect is not shown: {error.message}"
        return Seen(replace(plan, notes=(*plan.notes, note)))
    plan = replace(plan, coverage=found.policies, unprotected=found.unprotected)
    return Seen(plan, found.inventory)


def stored_points(setting: Setting, policies: Collection[str]) -> tuple[PolicyPoints, ...]:
    """The newest of each policy, from the manifest store that Config names."""
    clock = setting.clock
    budget = Budget(clock=clock, until=clock.now() + _READ_FOR, policy=_MOST)
    with wiring.manifest_store(setting.config, wiring.resolver(setting.reader)) as store:
        return read_points(store, setting.config.cluster.name, budget, only=policies)


def lead(cycle: Cycle, seen: Seen, setting: Setting, points: ReadPoints = stored_points) -> Led:
    """What of the plan must not be missed; where recovery points can't be read it says so."""
    if cycle.desired is None or cycle.observed is None:
        raise Bug("the steps of a plan saw nothing")
    plan, inventory = seen.plan, seen.inventory
    change = live_change(plan, cycle.desired, cycle.observed)
    if change.changed or live_findings(plan):
        # Reading files with their lines takes as long again as reading them.
        change = change.with_lines(_written(cycle, setting))
    wanted = change.points_wanted()
    if inventory is not None and wanted:
        try:
            inventory = _with_points(inventory, points(setting, wanted))
        except Interrupted:
            raise
        except BackstayError as error:
            inventory = replace(inventory, points_known=False)
            note = f"which recovery points there are is not known: {error.message}"
            plan = replace(plan, notes=(*plan.notes, note))
    cluster, now = setting.config.cluster.name, setting.clock.now()
    changes = change.findings(inventory, cluster=cluster, now=now)
    unseen = _unseen(change, changes, inventory)
    if plan.approval:
        then = _approved(plan, cycle, setting).findings(inventory, cluster=cluster, now=now)
        changes = (*changes, *once_approved(plan, changes, then))
    return Led(plan, live_findings(plan, changes, change.head), unseen)


def _approved(plan: Plan, cycle: Cycle, setting: Setting) -> LiveChange:
    """What would change if the revision's commit had the word that ``plan`` asks for."""
    if cycle.files is None or cycle.desired is None or cycle.observed is None:
        raise Bug("the steps of a plan read nothing")
    files = replace(cycle.files, message=render_trailer(plan.approval))
    made = controller.plan(setting, replace(cycle, files=files)).plan
    if made is None:
        raise Bug("the step that plans made no plan")
    return live_change(made, cycle.desired, cycle.observed)


def is_unwanted(led: Led, unwanted: frozenset[str]) -> bool:
    """Whether there is a finding that ``--fail-on`` names.

    Raises Refused where none is, and one may be among recovery points that were not read.
    """
    if planchange.is_unwanted(led.findings, unwanted):
        return True
    asked = sorted(NEED_POINTS & unwanted)
    if asked and led.unseen and not led.plan.problems:
        raise Refused(
            f"--fail-on {asked[0]} needs all recovery points of policy {led.unseen[0]}, and they"
            " are not known",
            hint=f"a note of the plan says why; more than {_MOST} of a policy are not read, so"
            " look into backstay log, and leave the gate out for this change",
        )
    return False


def _unseen(
    change: LiveChange, changes: Iterable[Finding], inventory: Inventory | None
) -> tuple[str, ...]:
    if inventory is not None and inventory.points_known and not inventory.older_points:
        return ()
    before = {one.name: one.retention for one in change.base.parsed.policies}
    after = {one.name: one.retention for one in change.head.parsed.policies}
    changed = {one.policy for one in changes if one.id in (SHORTENED, EXTENDED)}
    return tuple(
        name
        for name in sorted(changed)
        # One that took over another's points has no retention of its own before.
        if name not in before or not surely_keeps(before[name], after[name])
    )


def _written(cycle: Cycle, setting: Setting) -> dict[Key, Written]:
    if cycle.files is None:
        raise Bug("the steps of a plan read nothing")
    read = read_revision(cycle.files.files, setting.config, shown=cycle.files.revision)
    return dict(read.written)


def _with_points(inventory: Inventory, found: tuple[PolicyPoints, ...]) -> Inventory:
    points = [point for one in found for point in one.points]
    return replace(
        inventory,
        points=tuple(sorted(points, key=lambda one: (one.started, one.policy, one.run))),
        older_points={one.policy: one.older for one in found if one.older},
    )


def show(led: Led, output: str) -> None:
    """Prints it."""
    made = (led.plan, led.findings)
    planforms.show(
        output,
        partial(live.to_json, *made),
        text=partial(live.render_text, *made),
        markdown=partial(live.render_comment, *made),
        github=partial(live.render_github, *made),
    )
