"""What keeps a restore away from data that somebody uses (I12).

Between plan and deed, and while volumes are filled, the cluster goes on: another restore may end
what this one is about to do, and a pod that waits for a claim starts as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler import ports
from reconciler.engine.leases import LeaseLost
from reconciler.engine.observe import read_all
from reconciler.engine.restoremarks import mark_for
from reconciler.model import kinds
from reconciler.model.errors import Transient
from reconciler.model.restore import Phase, RestoreAction, RestorePlan
from reconciler.model.volumes import Leftover, MoveResult, MoveState, MoveTask
from reconciler.plan import observe
from reconciler.plan.begun import way_on

_ASK_EVERY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What is in a restore's way: a sentence each, and the way on."""

    told: tuple[str, ...] = ()
    hint: str = ""


def find_obstacles(reader: ports.ClusterReader, plan: RestorePlan) -> Obstacles:
    """Claims that another restore has half filled, and pods that wait for claims of this one.

    A workload that mounts such a claim would start on half of its data.
    """
    begun = [step for step in plan.steps if step.phase is Phase.CLAIMS and step.begun]
    if begun:
        first = begun[0].ref
        return Obstacles(
            tuple(f"claim {step.ref.namespace}/{step.ref.name}: {step.why}" for step in begun),
            f"{way_on(begun[0].begun, first.namespace)} ends it; where its data is not wanted:"
            f" kubectl -n {first.namespace} delete pvc {first.name}",
        )
    return Obstacles(
        _find_waiting(reader, plan),
        "scale what makes these pods to 0, restore, and scale it up again",
    )


def find_timed(reader: ports.ClusterReader, plan: RestorePlan) -> tuple[str, ...]:
    """CronJobs that are there and may start on a claim while it is filled."""
    found = []
    for namespace, names in _filled(plan).items():
        jobs = read_all(reader, kinds.CRON_JOBS, dict, namespace=namespace)
        awake = [job for job in jobs if not job["spec"].get("suspend")]
        mounting = observe.waiting_pods(map(_pod_of, awake))
        found += [
            f"CronJob {namespace}/{mounting[name]} mounts claim {name}, and could start on half of"
            f" it: kubectl -n {namespace} patch cronjob {mounting[name]}"
            ' -p \'{"spec":{"suspend":true}}\' until it is filled'
            for name in names
            if name in mounting
        ]
    return tuple(found)


def _pod_of(cron_job: Mapping[str, Any]) -> dict[str, Any]:
    """A pod as it would make it, with its own name."""
    template = cron_job["spec"]["jobTemplate"]["spec"]["template"]
    return {"metadata": {"name": cron_job["metadata"]["name"]}, "spec": template["spec"]}


def _filled(plan: RestorePlan) -> Mapping[str, list[str]]:
    """namespace → claims that are filled."""
    claims: dict[str, list[str]] = {}
    for fill in plan.fills:
        if fill.action is RestoreAction.CREATE:
            claims.setdefault(fill.namespace, []).append(fill.claim)
    return claims


def _find_waiting(reader: ports.ClusterReader, plan: RestorePlan) -> tuple[str, ...]:
    """Pods that would start on a claim as soon as it is there, before its data is."""
    found = []
    for namespace, names in _filled(plan).items():
        waiting = observe.waiting_pods(read_all(reader, kinds.PODS, dict, namespace=namespace))
        found += [
            f"pod {namespace}/{waiting[name]} waits for claim {name}, and would start on it"
            " before its data is there"
            for name in names
            if name in waiting
        ]
    return tuple(found)


class Held:
    """Whether this restore still has its Lease, asked often enough and not at every look."""

    def __init__(self, check: Callable[[], None], clock: ports.Clock) -> None:
        self._check = check
        self._clock = clock
        self._asked: datetime | None = None
        self._lost: LeaseLost | None = None

    def look(self) -> bool:
        """False, always: for who asks whether to stop. Raises LeaseLost, and never forgets it."""
        if self._lost is not None:
            raise self._lost
        asked, now = self._asked, self._clock.now()
        # A clock that was set back tells no age.
        if asked is None or not timedelta() <= now - asked <= _ASK_EVERY:
            self.trust()
        return False

    def trust(self) -> bool:
        """Whether the cluster says, now, that the Lease is ours; False when it can't be asked.

        Raises LeaseLost.
        """
        try:
            self._check()
        except Transient:
            return False
        except LeaseLost as error:
            self._lost = error
            raise
        self._asked = self._clock.now()
        return True


class WhileMarked:
    """Fills a claim only while it carries the mark of this restore (I12), and this one its Lease,
    and begins only where no pod uses it.

    Between the plan and now, or while this one waits, another restore of the same recovery point
    may have ended, and applications write to the claim already. ``finish`` is called once the data
    is there: it takes away the mover and the mark.
    """

    def __init__(
        self,
        mover: ports.VolumeMover,
        reader: ports.ClusterReader,
        *,
        held: Held,
        finish: Callable[[MoveTask], None],
    ) -> None:
        self._mover = mover
        self._reader = reader
        self._held = held
        self._finish = finish
        self._begun: set[tuple[str, str]] = set()
        self._copied: dict[tuple[str, str], MoveResult] = {}

    def ensure(self, task: MoveTask) -> MoveResult:
        """As the port says; FAILED, and nothing is begun, once the mark is gone."""
        place = (task.namespace, task.claim)
        result = self._copied.get(place) or self._ensure(task)
        if result.state is MoveState.COMPLETED:
            self._copied[place] = result  # so that finishing it can be tried again
            self._finish(task)
        return result

    def _ensure(self, task: MoveTask) -> MoveResult:
        place = (task.namespace, task.claim)
        if place not in self._begun and not self._held.trust():
            return MoveResult(state=MoveState.RUNNING, message="the Lease can't be asked for")
        found = self._reader.get(kinds.CLAIMS, task.claim, namespace=task.namespace)
        if found is not None and observe.claim_of(found).restoring == mark_for(task):
            if place not in self._begun and (pod := self._user_of(task)):
                why = f"pod {task.namespace}/{pod} uses the claim; it is filled once that has ended"
                return MoveResult(state=MoveState.RUNNING, message=why)
            result = self._mover.ensure(task)
            self._begun.add(place)
            return result
        why = "the claim is gone" if found is None else "another restore has filled it meanwhile"
        return MoveResult(state=MoveState.FAILED, message=f"{why}; nothing was written to it")

    def _user_of(self, task: MoveTask) -> str:
        """A pod that is there for the claim: hours may have gone by since the plan was made."""
        pods = read_all(self._reader, kinds.PODS, dict, namespace=task.namespace)
        return observe.waiting_pods(pods).get(task.claim, "")

    def cleanup(self, task: MoveTask) -> None:
        """As the port says."""
        self._mover.cleanup(task)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """As the port says."""
        return self._mover.leftovers(policy)

    def remove(self, left: Leftover) -> bool:
        """As the port says."""
        return self._mover.remove(left)
