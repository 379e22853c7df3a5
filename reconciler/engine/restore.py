"""A restore: planned from what was captured and what is there, then executed in its order.

Each phase is there before the next begins, so claims have their data before anything that could
mount them. A restore that was killed is simply begun again: what it made is there, and what it had
only begun carries `naming.RESTORING`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from reconciler.engine.context import policy_branch
from reconciler.engine.mappedpoint import rename_point
from reconciler.engine.narrowing import narrow_point
from reconciler.engine.restorecontext import RestorePorts, RestoreRequest, RestoreResult
from reconciler.engine.restorecreate import Creator
from reconciler.engine.restoreexpired import check_expired
from reconciler.engine.restorefill import Filler, make_tasks
from reconciler.engine.restoreground import Ground
from reconciler.engine.restoreguards import find_obstacles, find_timed
from reconciler.engine.restorelacking import tell_lost
from reconciler.engine.restorelease import hold_restore, restore_beside, waiting
from reconciler.engine.restorepartial import find_newest_with, with_missing
from reconciler.engine.restorequiet import QuietWriter
from reconciler.engine.restoreredacted import with_values
from reconciler.engine.restoresecrets import prove_values
from reconciler.engine.restoresource import (
    PointContent,
    fingerprint_key,
    observe_live,
    prove_password,
    read_point,
    served_kinds,
)
from reconciler.engine.unsealing import unseal
from reconciler.model.cluster import Discovery
from reconciler.model.errors import Incomplete, NotSupported, PartialFailure, Refused
from reconciler.model.restore import Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.model.volumes import MoveTask
from reconciler.plan import restore as planning
from reconciler.plan.mappingnames import check_mapping
from reconciler.plan.podids import ids_by_claim
from reconciler.plan.restoreversions import served_as_captured, with_obstacles

__all__ = ["Restore", "RestorePorts", "RestoreRequest", "RestoreResult"]


class Restore:
    """One restore: `plan` it, look at the plan, `execute` it."""

    def __init__(self, request: RestoreRequest, world: RestorePorts) -> None:
        self._request = request
        self._world = world
        self._read: PointContent | None = None
        """The recovery point that was read last: commits do not change."""

    def check_alone(self) -> None:
        """Raises Waiting while another restore is at work: no plan of now would hold."""
        if told := self._beside():
            raise waiting(told)

    def _beside(self) -> str:
        request, world = self._request, self._world
        return restore_beside(
            world.reader,
            namespace=request.namespace,
            holder=request.holder,
            now=world.clock.now(),
            is_dead=request.is_dead,
        )

    def plan(self) -> RestorePlan:
        """Reads everything, changes nothing."""
        request, world = self._request, self._world
        content = self._content(request.at, allow_partial=request.allow_partial)
        if content.record.cluster.name != request.config.cluster.name:
            raise NotSupported(
                f"the record is of cluster {content.record.cluster.name}, and Config names"
                f" {request.config.cluster.name}: another cluster's data is not supported yet",
                hint="give Config the name of the cluster whose recovery point this is",
            )
        prove_password(world.keyring, content.record)
        expired = check_expired(world.keyring, content)
        content = self._renamed(content)
        made = with_missing(world.store, content, self._plan(content))
        blocked = find_obstacles(world.reader, made).told
        beside = self._beside()
        lost = tell_lost(world.reader, content, made)
        timed = find_timed(world.reader, made)
        notes = (*content.notes, *expired, *lost, *timed, *filter(None, [beside]))
        return replace(made, blocked=blocked, notes=notes)

    def _content(self, at: str, *, allow_partial: bool) -> PointContent:
        if self._read is None or self._read.point.commit != at:
            self._read = read_point(
                self._world.store,
                policy_branch(self._request.config.cluster.name, self._request.policy),
                at,
                policy=self._request.policy,
                allow_partial=allow_partial,
                vouch=self._world.vouch,
                only=self._request.only_namespaces,
            )
        return self._read

    def _renamed(self, content: PointContent) -> PointContent:
        request = self._request
        newest = partial(find_newest_with, self._world.store, content)
        check_mapping(
            request.map_namespaces,
            content.namespaces,
            guarded=request.namespace,
            only=request.only_namespaces,
            newest=newest,
        )
        return rename_point(
            narrow_point(content, request.only_namespaces, newest),
            request.map_namespaces,
            self._world.reader,
            served_kinds(self._discover().resources) if request.map_namespaces else {},
            guarded=request.namespace,
        )

    def _plan(self, content: PointContent) -> RestorePlan:
        world = self._world
        found = self._discover()
        served = served_as_captured(found, content.stored)
        key = fingerprint_key(world.keyring, content.record)
        return planning.plan_restore(
            content.record,
            content.point.commit,
            with_obstacles(found, content.stored),
            live=observe_live(world.reader, content, served, key),
            served=served,
            ids=ids_by_claim(found.manifest for found in content.stored),
            mapping=content.renaming.names,
        )

    def _discover(self) -> Discovery:
        found = self._world.reader.discover()
        if found.failed:
            raise Incomplete(
                f"the cluster did not say what it serves: {found.failed[0]}",
                hint="what can't be seen might be overwritten; repair that API group first",
            )
        return found

    def execute(self, plan: RestorePlan) -> RestoreResult:
        """Does what ``plan`` says, once.

        Raises Waiting while another restore is at work, Refused where the cluster changed since the
        plan was made, PartialFailure where a part did not come back.
        """
        world, request = self._world, self._request
        with hold_restore(
            world.reader,
            world.writer,
            world.reporter,
            namespace=request.namespace,
            holder=request.holder,
            is_dead=request.is_dead,
        ) as check:
            return self._execute(plan, check)

    def _execute(self, plan: RestorePlan, check: Callable[[], None]) -> RestoreResult:
        world = self._world
        content = self._renamed(self._content(plan.commit, allow_partial=True))
        _compare(plan, self._plan(content))
        wanted = [step for step in plan.steps if step.action is RestoreAction.CREATE]
        content = unseal(world.keyring, world.opener, content, wanted)
        proven = prove_values(world.keyring, content, wanted)
        plan = with_values(plan, proven.filled)
        wanted = [step for step in plan.steps if step.action is RestoreAction.CREATE]
        tasks = self._tasks(plan)
        obstacles = find_obstacles(world.reader, plan)
        if obstacles.told:
            raise Refused(
                f"{'; '.join(obstacles.told[:5])}; nothing was changed", hint=obstacles.hint
            )
        world = replace(world, writer=QuietWriter(world.writer, proven.filled.values()))
        creator = Creator(world, check=check, workers=self._request.workers, values=proven.secrets)
        creator.refused.update(proven.lacking)
        ground = Ground(world, creator, plan)
        filler = Filler(self._request, world, creator, plan, check)
        created = filled = 0
        for phase in Phase:
            steps = [step for step in wanted if step.phase is phase]
            made, full = self._do_phase(phase, steps, tasks, creator, ground, filler)
            created += made
            filled += full
            if steps:
                world.reporter.event("restored", phase=phase.name.lower(), objects=len(steps))
        return self._conclude(plan, content, creator, created, filled)

    def _do_phase(
        self,
        phase: Phase,
        steps: Sequence[RestoreStep],
        tasks: Sequence[MoveTask],
        creator: Creator,
        ground: Ground,
        filler: Filler,
    ) -> tuple[int, int]:
        """(objects created, claims filled)."""
        if phase is Phase.DEFINITIONS:
            return ground.make_definitions(), 0
        if phase is Phase.NAMESPACES:
            return ground.make_namespaces(), 0
        if phase is Phase.CLAIMS:
            return filler.fill(steps, tasks)
        return creator.create_all([step for step in steps if step.path not in ground.made]), 0

    def _tasks(self, plan: RestorePlan) -> list[MoveTask]:
        return make_tasks(self._request, self._world, plan)

    def _conclude(
        self,
        plan: RestorePlan,
        content: PointContent,
        creator: Creator,
        created: int,
        filled: int,
    ) -> RestoreResult:
        """Looks at everything once more: what was created must be what was captured."""
        again = self._plan(content)
        refused = creator.refused
        wanted = {step.path for step in plan.steps if step.action is RestoreAction.CREATE}
        missing = [
            str(step.ref)
            for step in again.steps
            if step.path in wanted
            and step.action is RestoreAction.CREATE
            and step.path not in refused
        ]
        if refused:
            raise PartialFailure(
                f"{len(refused)} objects could not be created:"
                f" {'; '.join(list(refused.values())[:5])}",
                hint="everything else is there; change what refuses them, then restore again",
            )
        if missing:
            raise PartialFailure(
                f"{len(missing)} objects were created and are gone again: {', '.join(missing[:5])}",
                hint="something in the cluster removes them: a GitOps tool that prunes, a quota,"
                " a controller",
            )
        differing = tuple(
            str(step.ref) for step in again.steps if step.path in wanted and step.differs
        )
        return RestoreResult(
            created=created,
            kept=plan.count(RestoreAction.KEEP),
            skipped=plan.count(RestoreAction.SKIP),
            filled=filled,
            differing=differing,
        )


def _compare(plan: RestorePlan, now: RestorePlan) -> None:
    """Raises Refused unless the same objects and claims would still be created and filled (I12)."""
    if _deeds(plan) != _deeds(now):
        changed = sorted(_deeds(plan) ^ _deeds(now))
        raise Refused(
            f"the cluster changed since the plan was made ({', '.join(changed[:5])}); nothing was"
            " changed",
            hint="look at the new plan: restore again",
        )


def _deeds(plan: RestorePlan) -> frozenset[str]:
    creates = {step.path for step in plan.steps if step.action is RestoreAction.CREATE}
    fills = {
        f"data of {fill.namespace}/{fill.claim}"
        for fill in plan.fills
        if fill.action is RestoreAction.CREATE
    }
    return frozenset(creates | fills)
