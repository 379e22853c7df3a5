"""A restore: planned from what was captured and what is there, then executed in its order.

Claims come with their data before anything that could mount them. A claim carries
`naming.RESTORING` from the moment it exists until its data is proven, so a restore that was killed
goes on where it was, and never takes a half-filled claim for a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from reconciler import ports
from reconciler.capture import canonical
from reconciler.engine.context import policy_branch
from reconciler.engine.restoreguards import WhileMarked, find_waiting
from reconciler.engine.restorelease import hold_restore
from reconciler.engine.restoresource import (
    PointContent,
    fingerprint_key,
    observe_live,
    open_repository,
    read_point,
    read_secrets,
    served_kinds,
)
from reconciler.engine.volumes import move_volumes
from reconciler.model import kinds, naming
from reconciler.model.config import Config
from reconciler.model.errors import (
    BackstayError,
    Incomplete,
    NotSupported,
    PartialFailure,
    Refused,
    Stalled,
)
from reconciler.model.objects import Resource
from reconciler.model.restore import FillStep, Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.model.volumes import MoveKind, MoveState, MoveTask
from reconciler.plan import observe
from reconciler.plan import restore as planning
from reconciler.plan.podids import ids_by_claim

_CONCURRENCY = 4
_PATIENCE = 60
"""Seconds that a definition or a namespace has to become usable."""
_NEEDS_ROOT = (
    "only root can give files to other users: let the administrator annotate namespace {} with"
    " backstay.dev/privileged-movers=true, then restore again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePorts:
    """The world of a restore."""

    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    store: ports.ManifestStore
    mover: ports.VolumeMover
    keyring: ports.Keyring
    reporter: ports.Reporter
    clock: ports.Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What somebody asked for. ``deadline`` bounds the copying of volumes."""

    config: Config
    policy: str
    at: str
    allow_partial: bool
    deadline: datetime
    namespace: str
    """Backstay's own namespace, whether it is there or not."""
    holder: str
    """Who restores, as the Lease names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What was done. ``differing`` objects were created and do not equal what was captured."""

    created: int
    kept: int
    skipped: int
    filled: int
    differing: tuple[str, ...]


class Restore:
    """One restore: `plan` it, look at the plan, `execute` it."""

    def __init__(self, request: RestoreRequest, world: RestorePorts) -> None:
        self._request = request
        self._world = world
        self._refused: dict[str, str] = {}
        """What the cluster would not take: path → why."""

    def plan(self) -> RestorePlan:
        """Reads everything, changes nothing."""
        request, world = self._request, self._world
        content = read_point(
            world.store,
            policy_branch(request.config.cluster.name, request.policy),
            request.at,
            policy=request.policy,
            allow_partial=request.allow_partial,
        )
        if content.record.cluster.name != request.config.cluster.name:
            raise NotSupported(
                f"the record is of cluster {content.record.cluster.name}, and Config names"
                f" {request.config.cluster.name}: another cluster's data is not supported yet",
                hint="give Config the name of the cluster whose recovery point this is",
            )
        made = self._plan(content)
        warnings = (*made.warnings, *find_waiting(world.reader, made))
        return replace(made, warnings=warnings, notes=content.notes)

    def _plan(self, content: PointContent) -> RestorePlan:
        world = self._world
        served = self._served()
        key = fingerprint_key(world.keyring, content.record)
        return planning.plan_restore(
            content.record,
            content.point.commit,
            content.stored,
            live=observe_live(world.reader, content, served, key),
            served=served,
            ids=ids_by_claim(found.manifest for found in content.stored),
        )

    def _served(self) -> dict[str, Resource]:
        found = self._world.reader.discover()
        if found.failed:
            raise Incomplete(
                f"the cluster did not say what it serves: {found.failed[0]}",
                hint="what can't be seen might be overwritten; repair that API group first",
            )
        return served_kinds(found.resources)

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
        ) as check:
            return self._execute(plan, check)

    def _execute(self, plan: RestorePlan, check: Callable[[], None]) -> RestoreResult:
        world = self._world
        self._refused.clear()
        content = read_point(
            world.store,
            policy_branch(self._request.config.cluster.name, self._request.policy),
            plan.commit,
            policy=plan.policy,
            allow_partial=True,
        )
        _compare(plan, self._plan(content))
        wanted = [step for step in plan.steps if step.action is RestoreAction.CREATE]
        secrets = self._secrets(content, wanted)
        tasks = self._tasks(plan)
        if waiting := find_waiting(world.reader, plan):
            raise Refused(
                f"{'; '.join(waiting[:5])}; nothing was changed",
                hint="scale what makes these pods to 0, restore, and scale it up again",
            )
        created = filled = 0
        for phase in Phase:
            steps = [step for step in wanted if step.phase is phase]
            check()
            if phase is Phase.CLAIMS:
                made, filled = self._fill(plan, steps, tasks)
                created += made
            else:
                created += self._create_all(steps, secrets)
                self._settle(phase, steps)
            if steps:
                world.reporter.event("restored", phase=phase.name.lower(), objects=len(steps))
        return self._conclude(plan, content, created, filled)

    def _secrets(
        self, content: PointContent, wanted: Sequence[RestoreStep]
    ) -> Mapping[str, dict[str, Any]]:
        """Values of the Secrets that are created, each proven by its fingerprint in Git."""
        paths = [step.path for step in wanted if step.ref.kind == "Secret" and not step.ref.group]
        holding = [path for path in paths if b"hmac-sha256:" in content.texts[path]]
        if not holding:
            return {}
        found = read_secrets(self._world.keyring, content.record)
        key = fingerprint_key(self._world.keyring, content.record)
        for path in holding:
            secret = found.get(path)
            if secret is None and content.record.gaps:
                # A list failed, and the manifest was kept: its value is in an older point.
                self._refused[path] = f"{path}: its value is not in this recovery point"
                continue
            again = (
                canonical.capture_object(secret, kinds.SECRETS, fingerprint_key=key)
                if secret
                else None
            )
            text = again.text if isinstance(again, canonical.Captured) else None
            if text != content.texts[path]:
                raise Refused(
                    f"{path}: its value in restic is not the one whose fingerprint is in Git",
                    hint="nothing was changed; the manifest store or the repository was altered",
                )
        return found

    def _tasks(self, plan: RestorePlan) -> list[MoveTask]:
        """Tasks of all claims that are filled; opens each repository before anything is made."""
        fills = [fill for fill in plan.fills if fill.action is RestoreAction.CREATE]
        if fills and not self._request.config.shared_key_in_tenants:
            raise Refused(
                "a mover would hold the Repository's storage key in the application's namespace,"
                " and Config does not say sharedKeyInTenants: true",
                hint="tenantSecretRef is not supported yet",
            )
        accesses = {}
        tasks = []
        for fill in fills:
            if fill.repository is None:
                continue
            if fill.namespace not in accesses:
                accesses[fill.namespace] = open_repository(
                    self._world.keyring, fill.repository, fill.namespace
                )
            tasks.append(
                MoveTask(
                    kind=MoveKind.RESTORE,
                    run_id=plan.run_id,
                    policy=plan.policy,
                    namespace=fill.namespace,
                    claim=fill.claim,
                    access=accesses[fill.namespace],
                    host=f"{self._request.config.cluster.name}/{fill.namespace}",
                    image=self._request.config.image,
                    snapshot=fill.snapshot,
                    privileged=self._is_privileged(fill),
                    run_as_user=fill.run_as_user,
                    run_as_group=fill.run_as_group,
                    fs_group=fill.fs_group,
                )
            )
        return tasks

    def _is_privileged(self, fill: FillStep) -> bool:
        """What the namespace says now; what Git says of it counts only where it is made anew."""
        found = self._world.reader.get(kinds.NAMESPACES, fill.namespace)
        return fill.privileged if found is None else observe.namespace_of(found).privileged_movers

    def _create_all(
        self, steps: Sequence[RestoreStep], secrets: Mapping[str, dict[str, Any]]
    ) -> int:
        world = self._world
        created = 0
        for number, step in enumerate(steps, start=1):
            if step.path in self._refused:
                continue
            try:
                made = self._create(step, secrets.get(step.path, step.manifest))
            except Stalled as error:
                if step.phase <= Phase.NAMESPACES:
                    raise
                # One object that a webhook refuses must not keep all others away.
                self._refused[step.path] = f"{step.ref}: {error.message}"
                world.reporter.warning(
                    "not created", object=str(step.ref), why=error.message, hint=error.hint
                )
                made = False
            created += made
            world.reporter.progress(step.phase.name.lower(), number, len(steps))
        return created

    def _create(self, step: RestoreStep, manifest: Mapping[str, Any]) -> bool:
        if step.ref.kind == "ServiceAccount" and step.ref.name == "default":
            # The cluster makes it together with the namespace; ours adds what it had.
            self._world.writer.apply(manifest)
            return True
        _, made = self._world.writer.create(manifest)
        if not made:
            self._world.reporter.warning(
                "somebody else made it meanwhile, kept", object=str(step.ref)
            )
        return made

    def _settle(self, phase: Phase, steps: Sequence[RestoreStep]) -> None:
        """Waits until what was just made can be built upon."""
        for step in steps:
            if phase is Phase.DEFINITIONS:
                ready = partial(self._served_now, step)
                self._wait(f"definition {step.ref.name} is served", ready)
            elif phase is Phase.NAMESPACES:
                ready = partial(self._has_account, step.ref.name)
                self._wait(f"namespace {step.ref.name} has its default service account", ready)

    def _has_account(self, namespace: str) -> bool:
        found = self._world.reader.get(kinds.SERVICE_ACCOUNTS, "default", namespace=namespace)
        return found is not None

    def _served_now(self, step: RestoreStep) -> bool:
        if step.resource is None:
            return False
        found = self._world.reader.get(step.resource, step.ref.name) or {}
        conditions = {
            condition["type"]: condition["status"]
            for condition in (found.get("status") or {}).get("conditions") or ()
        }
        return conditions.get("Established") == conditions.get("NamesAccepted") == "True"

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        for _ in range(_PATIENCE * 2):
            if ready():
                return
            self._world.clock.sleep(0.5)
        raise Refused(
            f"after {_PATIENCE} s it is still not so that {what}",
            hint="restore again: it goes on where it stopped",
        )

    def _fill(
        self, plan: RestorePlan, steps: Sequence[RestoreStep], tasks: Sequence[MoveTask]
    ) -> tuple[int, int]:
        """Creates claims and fills them: (how many, how many). Those begun before are tasks too."""
        world = self._world
        manifests = {
            (step.ref.namespace, step.ref.name): step.manifest
            for step in plan.steps
            if step.phase is Phase.CLAIMS
        }
        by_place = {(task.namespace, task.claim): task for task in tasks}
        created = 0
        for step in steps:
            place = (step.ref.namespace, step.ref.name)
            if self._exists(step):
                # Between plan and deed: somebody else's claim, and somebody else's data (I12).
                world.reporter.warning(
                    "somebody else made it meanwhile, kept", object=str(step.ref)
                )
                by_place.pop(place, None)
                continue
            task = by_place.get(place)
            if task is not None:
                # What an earlier restore's mover did was to a claim that is gone since.
                world.mover.cleanup(task)
            # Applied, not created: taking the mark away again is then one more apply.
            world.writer.apply(_marked(step.manifest, plan.run_id) if task else step.manifest)
            created += 1
        self._move(by_place, manifests)
        return created, len(by_place)

    def _exists(self, step: RestoreStep) -> bool:
        if step.resource is None:
            return False
        found = self._world.reader.get(step.resource, step.ref.name, namespace=step.ref.namespace)
        return found is not None

    def _move(
        self,
        by_place: Mapping[tuple[str, str], MoveTask],
        manifests: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> None:
        """Fills the claims and proves it; a claim whose data is there loses its mark."""
        world, tasks = self._world, tuple(by_place.values())
        moves = move_volumes(
            tasks,
            mover=WhileMarked(world.mover, world.reader),
            clock=world.clock,
            reporter=world.reporter,
            concurrency=_CONCURRENCY,
            deadline=self._request.deadline,
        )
        failed = []
        hint = "nothing that mounts them was created; restore again, it goes on from here"
        for place, task in by_place.items():
            result = moves.results[place]
            if result.state is MoveState.COMPLETED:
                world.writer.apply(manifests[place])
            else:
                failed.append(f"{task.namespace}/{task.claim}: {result.message or result.state}")
            if result.state is MoveState.PARTIALLY_FAILED and not task.privileged:
                hint = _NEEDS_ROOT.format(task.namespace)
            # Also where it failed, so that the next restore tries anew; the mark stays.
            self._clean_up(task)
        if failed:
            raise PartialFailure(
                f"{len(failed)} of {len(tasks)} volumes did not come back: {'; '.join(failed)}",
                hint=hint,
            )

    def _clean_up(self, task: MoveTask) -> None:
        try:
            self._world.mover.cleanup(task)
        except BackstayError as error:
            self._world.reporter.warning(
                "mover left behind",
                namespace=task.namespace, claim=task.claim, why=error.message,
            )  # fmt: skip

    def _conclude(
        self, plan: RestorePlan, content: PointContent, created: int, filled: int
    ) -> RestoreResult:
        """Looks at everything once more: what was created must be what was captured."""
        again = self._plan(content)
        wanted = {step.path for step in plan.steps if step.action is RestoreAction.CREATE}
        missing = [
            str(step.ref)
            for step in again.steps
            if step.path in wanted
            and step.action is RestoreAction.CREATE
            and step.path not in self._refused
        ]
        if self._refused:
            raise PartialFailure(
                f"{len(self._refused)} objects could not be created:"
                f" {'; '.join(list(self._refused.values())[:5])}",
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


def _marked(manifest: Mapping[str, Any], run_id: str) -> dict[str, Any]:
    metadata = dict(manifest["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), naming.RESTORING: run_id}
    return {**manifest, "metadata": metadata}
