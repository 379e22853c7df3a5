"""Which recovery point somebody means: by time, date, run or commit. Pure.

Points are ordered by the time their runs started, not by the order of commits. A time, however, is
compared with the end of the copies: what somebody broke at 10:05 may be in a run begun at 10:00.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import dropwhile

from reconciler.model.errors import Refused, UsageError
from reconciler.model.run import Counts, Outcome
from reconciler.plan.expiry import Expiry, Promise

_SHA = re.compile(r"[0-9a-f]{7,40}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RUN = re.compile(r"(?P<policy>.+)-\d{8}-\d{6}-[0-9a-f]{5}")
_RESTORABLE = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)


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
    renamed_from: str = ""
    """The former name that its policy had then."""
    expiry: Expiry | None = field(default=None, compare=False)
    """What maintenance said of its branch; None where nothing was said, or nobody asked."""

    def promise(self, namespaces: Collection[str] = ()) -> Promise:
        """What is promised of its data: of these namespaces, or of any of it."""
        if self.expiry is None or self.outcome not in _RESTORABLE:
            return Promise.HELD
        return self.expiry.of(self.run_id, self.started, namespaces)


def order_points(found: Iterable[RecoveryPoint]) -> tuple[RecoveryPoint, ...]:
    """Newest first by start; of a run that has two commits, the one that comes first."""
    runs: dict[str, RecoveryPoint] = {}
    for point in found:
        runs.setdefault(point.run_id, point)
    return tuple(sorted(runs.values(), key=lambda point: point.started, reverse=True))


Copied = Callable[[RecoveryPoint], datetime]
"""Until when a point's objects and data were copied; asked of few points: it may read a record."""

Whole = Callable[[RecoveryPoint], bool]
"""Whether a partial point holds all of what is asked for; it may read the point's record."""


def choose_point(
    points: Sequence[RecoveryPoint],
    at: str,
    *,
    policy: str,
    allow_partial: bool,
    copied: Copied,
    option: str = "--at ",
    whole: Whole | None = None,
    promised: Whole | None = None,
) -> RecoveryPoint:
    """The point that ``at`` means: ``latest``, a time, a date (its end, UTC), a run or a commit.

    A time means the newest point of which every copy was taken by then. ``latest`` and times mean
    Completed points, and partial ones where ``allow_partial`` says so. A run or a commit that is
    named is taken at its word, but a partial one needs ``allow_partial`` all the same. A Failed run
    is no recovery point. ``option`` stands before a point where an error names one. A partial one
    that ``whole`` says yes to lacks nothing of what is asked for, and counts as Completed. What
    ``promised`` says no to has expired: no time means it. Raises Refused, UsageError.
    """

    def good(point: RecoveryPoint) -> bool:
        if point.outcome is not Outcome.PARTIALLY_FAILED:
            return point.outcome is Outcome.COMPLETED
        return allow_partial or (whole is not None and whole(point))

    named = _named(points, at, policy)
    if named is not None:
        return _permitted(named, points, good(named), option)
    limit = None if at == "latest" else _end_of(at, option)
    partial = [Outcome.PARTIALLY_FAILED] if allow_partial or whole else []
    for point in points:
        maybe = point.outcome in {Outcome.COMPLETED, *partial}
        if not maybe or not _is_by(point, limit, copied) or not good(point):
            continue
        if promised is None or promised(point):
            return point
    raise _nothing(points, at, policy, limit, copied, option)


def _is_by(point: RecoveryPoint, limit: datetime | None, copied: Copied) -> bool:
    if limit is None:
        return True
    if point.started > limit:
        return False
    return point.outcome not in _RESTORABLE or copied(point) <= limit


def tell_late(
    points: Sequence[RecoveryPoint], chosen: RecoveryPoint, at: str, copied: Copied
) -> str:
    """The run that was still copying at the time ``at``, and was passed over for that."""
    if is_name(at) or at == "latest":
        return ""
    limit = _end_of(at)
    when = f"{at} ended" if _DATE.fullmatch(at) else at
    for point in points:
        if point.started <= chosen.started:
            break
        if point.outcome is Outcome.COMPLETED and point.started <= limit < copied(point):
            return (
                f"run {point.run_id} began before {when} and copied until {_show(copied(point))}:"
                f" it may hold what came later; --at {point.run_id} takes it"
            )
    return ""


def tell_newer(
    points: Sequence[RecoveryPoint], chosen: RecoveryPoint, at: str, copied: Copied
) -> str:
    """What `choose_point` passed over on its way back from ``at``; empty for one that was named."""
    if is_name(at):
        return ""
    limit = None if at == "latest" else _end_of(at)
    between = (
        point
        for point in points
        if point.outcome is Outcome.PARTIALLY_FAILED
        and point.started > chosen.started
        and (limit is None or point.started <= limit)
    )
    # Runs of a policy follow each other: behind one that had ended by then, none is asked.
    newer = list(dropwhile(lambda point: not _is_by(point, limit, copied), between))
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


def find_point(points: Sequence[RecoveryPoint], name: str, *, policy: str) -> RecoveryPoint:
    """The run or commit that is named, whatever its outcome; raises Refused, UsageError."""
    found = _named(points, name, policy)
    if found is None:
        raise UsageError(
            f"{name} is neither a run nor a commit",
            hint="a run's name looks like shop-20261121-041703-7c1e9; a commit needs its"
            " first 7 digits at least",
        )
    return found


def is_name(at: str) -> bool:
    """Whether a run or a commit is named, and no time."""
    return bool(_RUN.fullmatch(at) or _SHA.fullmatch(at))


def _named(points: Sequence[RecoveryPoint], at: str, policy: str) -> RecoveryPoint | None:
    hint = f"list the runs with: backstay log {policy}"
    if name := _RUN.fullmatch(at):
        # A renamed policy's older runs have its former name.
        if name["policy"] != policy and all(point.run_id != at for point in points):
            raise Refused(f"{at} is a run of policy {name['policy']}, not of {policy}", hint=hint)
        found = [point for point in points if point.run_id == at]
    elif _SHA.fullmatch(at):
        found = [point for point in points if point.commit.startswith(at)]
        hint += "; a date is written 2026-11-21"
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
    point: RecoveryPoint, points: Sequence[RecoveryPoint], good: bool, option: str
) -> RecoveryPoint:
    if point.outcome is Outcome.COMPLETED:
        return point
    if point.outcome is not Outcome.PARTIALLY_FAILED:
        raise Refused(
            f"run {point.run_id} is {point.outcome}: it stored nothing that can be restored",
            hint=_better(points, option),
        )
    if not good:
        raise Refused(
            f"recovery point {point.run_id} is PartiallyFailed: a part of it is missing",
            hint=f"see it with: backstay show run {point.run_id}; take it with --allow-partial, or"
            f" {_better(points, option)}",
        )
    return point


def _better(points: Sequence[RecoveryPoint], option: str) -> str:
    for point in points:
        if point.outcome is Outcome.COMPLETED:
            return f"the newest complete one is {option}{point.run_id}"
    return "there is no complete one"


def _end_of(at: str, option: str = "--at ") -> datetime:
    try:
        if _DATE.fullmatch(at):
            return datetime.combine(date.fromisoformat(at), time(), UTC) + timedelta(
                days=1, microseconds=-1
            )
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise UsageError(
            f"{option}{at}: not a time, a date, a run or a commit",
            hint="latest, 2026-11-21, 2026-11-21T02:00:00Z, a run's name or a commit"
            " (its first 7 digits at least)",
        ) from error
    if moment.tzinfo is None:
        raise UsageError(f"{option}{at} has no time zone", hint=f"write {at}Z for UTC")
    return moment


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nothing(
    points: Sequence[RecoveryPoint],
    at: str,
    policy: str,
    limit: datetime | None,
    copied: Copied,
    option: str,
) -> Refused:
    last = next((point for point in points if _is_by(point, limit, copied)), None)
    when = "" if at == "latest" else f" at or before {at}"
    later = any(point.outcome is Outcome.COMPLETED for point in points)
    if last is None:
        return Refused(
            f"policy {policy} has no recovery point{when}",
            hint=_better(points, option) if later else "list them with: backstay log " + policy,
        )
    partial = next(
        (
            point
            for point in points
            if point.outcome is Outcome.PARTIALLY_FAILED and _is_by(point, limit, copied)
        ),
        None,
    )
    hint = (
        f"--allow-partial would take {partial.run_id}; what it lacks: backstay show run"
        f" {partial.run_id}"
        if partial
        else "list the runs with: backstay log " + policy
    )
    return Refused(
        f"policy {policy} has no complete recovery point{when}; the last run,"
        f" {last.run_id}, is {last.outcome}",
        hint=f"{hint}; {_better(points, option)}" if later else hint,
    )
