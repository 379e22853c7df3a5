"""Which recovery point somebody means: by time, date, run or commit. Pure.

Points are ordered by the time their runs started, not by the order of commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from reconciler.model.errors import Refused, UsageError
from reconciler.model.run import Counts, Outcome

_SHA = re.compile(r"[0-9a-f]{7,40}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RUN = re.compile(r".+-\d{8}-\d{6}-[0-9a-f]{5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPoint:
    """One recorded run, as its commit's trailers tell it; ``volumes_added`` in bytes."""

    run_id: str
    commit: str
    started: datetime
    outcome: Outcome
    revision: str = ""
    objects: Counts = field(default_factory=Counts)
    volumes_stored: int = 0
    volumes_wanted: int = 0
    volumes_added: int = 0


def order_points(found: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """Newest first by start; of a run that has two commits, the one that comes first."""
    runs: dict[str, RecoveryPoint] = {}
    for point in found:
        runs.setdefault(point.run_id, point)
    return tuple(sorted(runs.values(), key=lambda point: point.started, reverse=True))


def choose_point(
    points: Sequence[RecoveryPoint], at: str, *, policy: str, allow_partial: bool
) -> RecoveryPoint:
    """The point that ``at`` means: ``latest``, a time, a date (its end, UTC), a run or a commit.

    ``latest`` and times mean Completed points, and partial ones where ``allow_partial`` says so.
    A run or a commit that is named is taken at its word, but a partial one needs ``allow_partial``
    all the same. A Failed run is no recovery point. Raises Refused, UsageError.
    """
    named = _named(points, at)
    if named is not None:
        return _permitted(named, points, allow_partial)
    limit = None if at == "latest" else _end_of(at)
    good = {Outcome.COMPLETED, *([Outcome.PARTIALLY_FAILED] if allow_partial else [])}
    before = [point for point in points if limit is None or point.started <= limit]
    for point in before:
        if point.outcome in good:
            return point
    raise _nothing(before, points, at, policy)


def tell_newer(points: Sequence[RecoveryPoint], chosen: RecoveryPoint, at: str) -> str:
    """What `choose_point` passed over on its way back from ``at``; empty for one that was named."""
    if _is_name(at):
        return ""
    limit = None if at == "latest" else _end_of(at)
    newer = [
        point
        for point in points
        if point.outcome is Outcome.PARTIALLY_FAILED
        and point.started > chosen.started
        and (limit is None or point.started <= limit)
    ]
    if not newer:
        return ""
    if len(newer) == 1:
        return (
            f"1 newer recovery point is PartiallyFailed ({newer[0].run_id});"
            " --allow-partial takes it"
        )
    return (
        f"{len(newer)} newer recovery points are PartiallyFailed (newest: {newer[0].run_id});"
        " --allow-partial takes that one"
    )


def find_point(points: Sequence[RecoveryPoint], name: str) -> RecoveryPoint:
    """The run or commit that is named, whatever its outcome; raises Refused, UsageError."""
    found = _named(points, name, hint="list the runs with: backstay log POLICY")
    if found is None:
        raise UsageError(
            f"{name} is neither a run nor a commit",
            hint="a run's name looks like shop-20261121-041703-7c1e9; a commit needs 7 digits",
        )
    return found


def _is_name(at: str) -> bool:
    return bool(_RUN.fullmatch(at) or _SHA.fullmatch(at))


def _named(
    points: Sequence[RecoveryPoint],
    at: str,
    *,
    hint: str = "list them with: backstay log POLICY; a date is written 2026-11-21",
) -> RecoveryPoint | None:
    if _RUN.fullmatch(at):
        found = [point for point in points if point.run_id == at]
    elif _SHA.fullmatch(at):
        found = [point for point in points if point.commit.startswith(at)]
    else:
        return None
    if not found:
        raise Refused(f"no recovery point {at}", hint=hint)
    if len(found) > 1:
        raise Refused(
            f"{at} is ambiguous: {', '.join(p.commit for p in found)}",
            hint="give more of the commit",
        )
    return found[0]


def _permitted(
    point: RecoveryPoint, points: Sequence[RecoveryPoint], allow_partial: bool
) -> RecoveryPoint:
    if point.outcome is Outcome.COMPLETED:
        return point
    if point.outcome is not Outcome.PARTIALLY_FAILED:
        raise Refused(
            f"run {point.run_id} is {point.outcome}: it stored nothing that can be restored",
            hint=_better(points),
        )
    if not allow_partial:
        raise Refused(
            f"recovery point {point.run_id} is PartiallyFailed: a part of it is missing",
            hint=f"see it with: backstay show run {point.run_id}; take it with --allow-partial, or"
            f" {_better(points)}",
        )
    return point


def _better(points: Sequence[RecoveryPoint]) -> str:
    for point in points:
        if point.outcome is Outcome.COMPLETED:
            return f"the newest complete one is --at {point.run_id}"
    return "there is no complete one"


def _end_of(at: str) -> datetime:
    try:
        if _DATE.fullmatch(at):
            return datetime.combine(date.fromisoformat(at), time(), UTC) + timedelta(
                days=1, microseconds=-1
            )
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise UsageError(
            f"--at {at}: not a time, a date, a run or a commit",
            hint="latest, 2026-11-21, 2026-11-21T02:00:00Z, a run's name or a commit",
        ) from error
    if moment.tzinfo is None:
        raise UsageError(f"--at {at} has no time zone", hint=f"write {at}Z for UTC")
    return moment


def _nothing(
    before: Sequence[RecoveryPoint], points: Sequence[RecoveryPoint], at: str, policy: str
) -> Refused:
    when = "" if at == "latest" else f" at or before {at}"
    later = any(point.outcome is Outcome.COMPLETED for point in points)
    if not before:
        return Refused(
            f"policy {policy} has no recovery point{when}",
            hint=_better(points) if later else "list them with: backstay log " + policy,
        )
    partial = next((p for p in before if p.outcome is Outcome.PARTIALLY_FAILED), None)
    hint = (
        f"--allow-partial would take {partial.run_id}; what it lacks: backstay show run"
        f" {partial.run_id}"
        if partial
        else "list the runs with: backstay log " + policy
    )
    return Refused(
        f"policy {policy} has no complete recovery point{when}; the last run,"
        f" {before[0].run_id}, is {before[0].outcome}",
        hint=f"{hint}; {_better(points)}" if later else hint,
    )
