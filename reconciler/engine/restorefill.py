"""Claims and their data.

A claim carries `naming.RESTORING` from the moment it exists until its data is proven, so a restore
that was killed goes on where it was, and never takes a half-filled claim for a full one. The mark
goes last, after the mover and its keys: as long as it is there, the next restore looks after both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.engine.restorecontext import RestorePorts, RestoreRequest
from reconciler.engine.restorecreate import Creator
from reconciler.engine.restoreguards import Held, WhileMarked
from reconciler.engine.restoremarks import bare, is_shared, mark_for, marked
from reconciler.engine.restoresource import open_repository
from reconciler.engine.volumes import move_volumes
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, PartialFailure, Refused, Stalled
from reconciler.model.restore import FillStep, Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.model.volumes import MoveKind, MoveState, MoveTask, RepositoryAccess
from reconciler.plan import observe

_CONCURRENCY = 4
_NEEDS_ROOT = (
    "only root can give files to other users: let the administrator annotate namespace {} with"
    " backstay.dev/privileged-movers=true, then restore again"
)
Place = tuple[str, str]
"""(namespace, claim)"""


def make_tasks(request: RestoreRequest, world: RestorePorts, plan: RestorePlan) -> list[MoveTask]:
    """Tasks of all claims that are filled; opens each repository before anything is made."""
    fills = [fill for fill in plan.fills if fill.action is RestoreAction.CREATE]
    if fills and not request.config.shared_key_in_tenants:
        raise Refused(
            "a mover would hold the Repository's storage key in the application's namespace,"
            " and Config does not say sharedKeyInTenants: true",
            hint="tenantSecretRef is not supported yet",
        )
    accesses: dict[tuple[str, str], RepositoryAccess] = {}
    tasks = []
    for fill in fills:
        if fill.repository is None:
            continue
        source = fill.source or fill.namespace
        key = (source, fill.repository.url)
        if key not in accesses:
            accesses[key] = open_repository(world.keyring, fill.repository, source)
        tasks.append(
            MoveTask(
                kind=MoveKind.RESTORE,
                run_id=plan.run_id,
                policy=plan.policy,
                namespace=fill.namespace,
                claim=fill.claim,
                access=accesses[key],
                host=f"{request.config.cluster.name}/{source}",
                image=request.config.image,
                snapshot=fill.snapshot,
                privileged=_is_privileged(world, fill),
                run_as_user=fill.run_as_user,
                run_as_group=fill.run_as_group,
                fs_group=fill.fs_group,
            )
        )
    return tasks


def _is_privileged(world: RestorePorts, fill: FillStep) -> bool:
    """What the namespace says now; what Git says of it counts only where it is made anew."""
    found = world.reader.get(kinds.NAMESPACES, fill.namespace)
    return fill.privileged if found is None else observe.namespace_of(found).privileged_movers


class Filler:
    """Creates the claims of one plan and fills them."""

    def __init__(
        self,
        request: RestoreRequest,
        world: RestorePorts,
        creator: Creator,
        plan: RestorePlan,
        check: Callable[[], None],
    ) -> None:
        self._request = request
        self._world = world
        self._creator = creator
        self._plan = plan
        self._check = check
        self._manifests = {
            (step.ref.namespace, step.ref.name): step.manifest
            for step in plan.steps
            if step.phase is Phase.CLAIMS
        }

    def fill(self, steps: Sequence[RestoreStep], tasks: Sequence[MoveTask]) -> tuple[int, int]:
        """Creates claims and fills them: (how many, how many). Those begun before are tasks too.

        Raises PartialFailure where data did not come back, LeaseLost at once where another restore
        has taken over: its movers have the same names, so none is touched any more.
        """
        by_place = {(task.namespace, task.claim): task for task in tasks}
        created = self._creator.create_all(steps, lambda step: self._make_claim(step, by_place))
        for step in steps:
            if step.path in self._creator.refused:
                by_place.pop((step.ref.namespace, step.ref.name), None)
        self._move(by_place)
        return created, len(by_place)

    def _make_claim(self, step: RestoreStep, by_place: dict[Place, MoveTask]) -> bool:
        world, place = self._world, (step.ref.namespace, step.ref.name)
        if world.reader.get(kinds.CLAIMS, place[1], namespace=place[0]) is not None:
            return self._keep(step, by_place)
        task = by_place.get(place)
        if task is not None:
            # What an earlier restore's mover did was to a claim that is gone since.
            world.mover.cleanup(task)
        # Applied, not created: taking the mark away again is then one more apply.
        manifest = marked(step.manifest, mark_for(task)) if task else step.manifest
        if is_shared(world.writer.apply(manifest)) and self._gave_back(manifest):
            return self._keep(step, by_place)
        return True

    def _gave_back(self, manifest: Mapping[str, Any]) -> bool:
        """Takes our fields from a claim that somebody made in the very moment of our apply.

        False where that is refused: a claim's spec is for ever, so what holds ours was made by us,
        and the answer was lost on its way.
        """
        try:
            self._world.writer.apply(bare(manifest))
        except Stalled:
            return False
        return True

    def _keep(self, step: RestoreStep, by_place: dict[Place, MoveTask]) -> bool:
        """Between plan and deed: somebody else's claim, and somebody else's data (I12)."""
        self._creator.tell_kept(step)
        by_place.pop((step.ref.namespace, step.ref.name), None)
        return False

    def _move(self, by_place: Mapping[Place, MoveTask]) -> None:
        """Fills the claims and proves it; a claim whose data is there loses its mark."""
        world, tasks = self._world, tuple(by_place.values())
        held = Held(self._check, world.clock)
        moves = move_volumes(
            tasks,
            mover=WhileMarked(world.mover, world.reader, held=held, finish=self._finish),
            clock=world.clock,
            reporter=world.reporter,
            concurrency=_CONCURRENCY,
            deadline=self._request.deadline,
            stopped=held.look,
        )
        held.look()
        failed = []
        hint = "nothing that mounts them was created; restore again, it goes on from here"
        for place, task in by_place.items():
            result = moves.results[place]
            if result.state is MoveState.COMPLETED:
                continue
            failed.append(f"{task.namespace}/{task.claim}: {result.message or result.state}")
            if result.state is MoveState.PARTIALLY_FAILED and not task.privileged:
                hint = _NEEDS_ROOT.format(task.namespace)
            # So that the next restore tries anew; the mark stays.
            self._clean_up(task)
        if failed:
            raise PartialFailure(
                f"{len(failed)} of {len(tasks)} volumes did not come back: {'; '.join(failed)}",
                hint=hint,
            )

    def _finish(self, task: MoveTask) -> None:
        """The data is there: the mover and its keys go, and then the mark."""
        self._clean_up(task)
        manifest: Mapping[str, Any] = self._manifests[task.namespace, task.claim]
        self._world.writer.apply(manifest)

    def _clean_up(self, task: MoveTask) -> None:
        try:
            self._world.mover.cleanup(task)
        except BackstayError as error:
            self._world.reporter.warning(
                "mover left behind",
                namespace=task.namespace, claim=task.claim, why=error.message,
            )  # fmt: skip
