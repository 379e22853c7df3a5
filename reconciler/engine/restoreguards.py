"""What keeps a restore away from data that somebody uses (I12).

Between plan and deed, and while volumes are filled, the cluster goes on: another restore may end
what this one is about to do, and a pod that waits for a claim starts as soon as it is there.
"""

from __future__ import annotations

from reconciler import ports
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from reconciler.model.restore import RestoreAction, RestorePlan
from reconciler.model.volumes import Leftover, MoveResult, MoveState, MoveTask
from reconciler.plan import observe


def find_waiting(reader: ports.ClusterReader, plan: RestorePlan) -> tuple[str, ...]:
    """Pods that would start on a claim as soon as it is there, before its data is."""
    claims: dict[str, list[str]] = {}
    for fill in plan.fills:
        if fill.action is RestoreAction.CREATE:
            claims.setdefault(fill.namespace, []).append(fill.claim)
    found = []
    for namespace, names in claims.items():
        waiting = observe.waiting_pods(read_all(reader, kinds.PODS, dict, namespace=namespace))
        found += [
            f"pod {namespace}/{waiting[name]} waits for claim {name}, and would start on it"
            " before its data is there"
            for name in names
            if name in waiting
        ]
    return tuple(found)


class WhileMarked:
    """Fills a claim only while it carries the mark of this restore (I12).

    Between the plan and now, or while this one waits, another restore of the same recovery point
    may have ended, and applications write to the claim already.
    """

    def __init__(self, mover: ports.VolumeMover, reader: ports.ClusterReader) -> None:
        self._mover = mover
        self._reader = reader

    def ensure(self, task: MoveTask) -> MoveResult:
        """As the port says; FAILED, and nothing is begun, once the mark is gone."""
        found = self._reader.get(kinds.CLAIMS, task.claim, namespace=task.namespace)
        if found is not None and observe.claim_of(found).restoring == task.run_id:
            return self._mover.ensure(task)
        why = "the claim is gone" if found is None else "another restore has filled it meanwhile"
        return MoveResult(state=MoveState.FAILED, message=f"{why}; nothing was written to it")

    def cleanup(self, task: MoveTask) -> None:
        """As the port says."""
        self._mover.cleanup(task)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """As the port says."""
        return self._mover.leftovers(policy)

    def remove(self, left: Leftover) -> bool:
        """As the port says."""
        return self._mover.remove(left)
