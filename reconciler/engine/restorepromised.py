"""Which recovery points a time may mean: those of which what is asked for is still held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from reconciler.engine.history import StoreReader, read_record_of
from reconciler.model.errors import Stalled
from reconciler.plan.expiry import Promise, expired_namespaces
from reconciler.plan.recoverypoints import RecoveryPoint, is_name


def offered(points: Sequence[RecoveryPoint], at: str) -> Sequence[RecoveryPoint]:
    """Without those that expired as a whole, where a time is asked for.

    A run or a commit is taken at its word: what maintenance lets go may be there still.
    """
    if is_name(at):
        return points
    return [point for point in points if point.promise() is not Promise.EXPIRED]


def holds(store: StoreReader, only: Collection[str]) -> Callable[[RecoveryPoint], bool]:
    """Whether all that a point has of these namespaces (none: of all) is held.

    Reads the records of those points only that maintenance has looked at.
    """

    def held(point: RecoveryPoint) -> bool:
        if point.expiry is None or point.run_id not in point.expiry.held:
            return True
        try:
            record = read_record_of(store, point.commit, run_id=point.run_id, outcome=point.outcome)
        except Stalled:
            return True  # it is refused where it is chosen
        return not expired_namespaces(point.expiry, record, only)

    return held


def tell_expired(points: Sequence[RecoveryPoint], left: Sequence[RecoveryPoint]) -> str:
    """How many points were not offered because they expired; empty where none was."""
    count = len(points) - len(left)
    return f"{count} recovery points have expired" if count else ""


def tell_passed(meant: RecoveryPoint, chosen: RecoveryPoint, at: str) -> str:
    """The point that a time would have meant, had it not expired; empty where it is the chosen."""
    if meant.run_id == chosen.run_id:
        return ""
    return (
        f"run {meant.run_id}, which {at} means, has expired: this is the one before it of which"
        " all is held"
    )
