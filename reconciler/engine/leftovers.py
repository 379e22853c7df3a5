"""What a run that was killed for good has left: movers at work for nobody, and keys beside them.

Whoever holds the policy's Lease knows that no other run of it lives, so a backup's mover of another
run is nobody's: what it copies would be in no record. A restore does not hold that Lease, and its
movers are named after the run whose data it puts back, however old: those are never touched.

A leftover is only untidy, and ends by itself some day: no failure here is one of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.engine import repositories
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.runlease import release_of_dead
from reconciler.model.errors import BackstayError
from reconciler.model.volumes import Leftover, MoveKind


@dataclass(frozen=True, slots=True)
class Traces:
    """What was found at the beginning of a run."""

    dead: frozenset[str]
    """Ids of other runs that died: they held this Lease, or had movers until now."""
    own: tuple[Leftover, ...]
    """Movers that this very run began in a pod before this one."""


def remove_leftovers(request: RunRequest, run: RunPorts, holder: str = "") -> Traces:
    """Removes what dead runs left and tells each; only for who holds the policy's Lease.

    ``holder`` is the dead one that this Lease was taken from.
    """
    dead = {holder.rpartition("/")[0]} if holder else set()
    found: tuple[Leftover, ...] = ()
    try:
        release_of_dead(request, run, repositories.LEASE, holder)
        found = _backups(request, run)
    except BackstayError as error:
        run.reporter.warning("movers of dead runs can't be listed", why=error.message)
    for left in found:
        if left.run_id != request.run_id:
            _remove(left, run)
            dead.add(left.run_id)
    own = tuple(left for left in found if left.run_id == request.run_id)
    return Traces(frozenset(dead - {request.run_id}), own)


def find_own(request: RunRequest, run: RunPorts) -> tuple[Leftover, ...]:
    """Backup movers of this very run that are there now. Complete, or raises BackstayError."""
    return tuple(left for left in _backups(request, run) if left.run_id == request.run_id)


def remove_own(request: RunRequest, run: RunPorts, own: Iterable[Leftover] | None = None) -> None:
    """Removes movers of this very run, of claims that only its predecessor knew, too.

    Those in ``own``; all that are there now where it is None. A leftover is only untidy.
    """
    try:
        for left in _backups(request, run) if own is None else own:
            if left.run_id == request.run_id:
                run.mover.remove(left)
    except BackstayError as error:
        run.reporter.warning("movers left behind", run=request.run_id, why=error.message)


def _backups(request: RunRequest, run: RunPorts) -> tuple[Leftover, ...]:
    found = run.mover.leftovers(request.policy.name)
    return tuple(left for left in found if left.kind is MoveKind.BACKUP)


def _remove(left: Leftover, run: RunPorts) -> None:
    where = {"namespace": left.namespace, "claim": left.claim, "run": left.run_id}
    try:
        removed = run.mover.remove(left)
    except BackstayError as error:
        run.reporter.warning("mover of a dead run left behind", **where, why=error.message)
        return
    if removed:
        run.reporter.warning("mover of a dead run removed", **where)
