"""What a run that was killed for good has left: movers at work for nobody, and keys beside them.

Whoever holds the policy's Lease knows that no other run of it lives, so a backup's mover of another
run is nobody's: what it copies would be in no record. A restore does not hold that Lease, and its
movers are named after the run whose data it puts back, however old: those are never touched.

A leftover is only untidy, and ends by itself some day: no failure here is one of the run.
"""

from __future__ import annotations

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.model.errors import BackstayError
from reconciler.model.volumes import Leftover, MoveKind


def remove_leftovers(request: RunRequest, run: RunPorts) -> None:
    """Removes the movers of dead runs and tells each; only for who holds the policy's Lease."""
    try:
        found = run.mover.leftovers(request.policy.name)
    except BackstayError as error:
        run.reporter.warning("movers of dead runs can't be listed", why=error.message)
        return
    for left in found:
        if left.kind is MoveKind.BACKUP and left.run_id != request.run_id:
            _remove(left, run)


def _remove(left: Leftover, run: RunPorts) -> None:
    where = {"namespace": left.namespace, "claim": left.claim, "run": left.run_id}
    try:
        removed = run.mover.remove(left)
    except BackstayError as error:
        run.reporter.warning("mover of a dead run left behind", **where, why=error.message)
        return
    if removed:
        run.reporter.warning("mover of a dead run removed", **where)
