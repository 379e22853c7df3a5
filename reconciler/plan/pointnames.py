"""How a recovery point is named on a command line: ``shop@-7d``, a run, a commit. Pure.

``POLICY``, ``POLICY@TIME``, ``POLICY@-7d``, ``POLICY@RUN``, ``POLICY@COMMIT``; without the policy
where another argument or the run's name says it. A time means what it means to a restore: the
newest run of which every copy was taken by then. A ``^`` behind it is the run before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from reconciler.model.durations import parse_duration
from reconciler.model.errors import Refused, UsageError
from reconciler.model.run import Outcome
from reconciler.plan.recoverypoints import Copied, RecoveryPoint, choose_point

LATEST = "latest"
_RUN = re.compile(r"(?P<policy>.+)-\d{8}-\d{6}-[0-9a-f]{5}")
_SHA = re.compile(r"[0-9a-f]{7,40}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ].+")
_HOW = (
    "a policy (its newest run), shop@-7d, shop@2026-11-21, shop@2026-11-21T02:00:00Z, a run's name,"
    " or a commit (7 digits or more)"
)


@dataclass(frozen=True, slots=True)
class PointName:
    """``at`` is ``latest``, a time, a date, a run or a commit; ``policy`` empty where not said.

    ``back``: how many runs before it.
    """

    policy: str
    at: str
    back: int = 0

    @property
    def is_commit(self) -> bool:
        """Whether only a commit is named, of whatever policy."""
        return not self.policy and _SHA.fullmatch(self.at) is not None

    @property
    def is_exact(self) -> bool:
        """Whether it is a run or a commit that is named, and no other one."""
        return not self.back and bool(_RUN.fullmatch(self.at) or _SHA.fullmatch(self.at))

    def of(self, policy: str) -> PointName:
        """The same, of this policy where none was said."""
        return self if self.policy else replace(self, policy=policy)


def parse_point(text: str, now: datetime) -> PointName:
    """What a person wrote; raises UsageError."""
    stripped = text.rstrip("^")
    back = len(text) - len(stripped)
    policy, mark, at = stripped.partition("@")
    if not mark:
        policy, at = ("", stripped) if _is_moment(stripped) else (stripped, LATEST)
    if not at or not (policy or mark or at != LATEST):
        raise UsageError(f"{text} names no recovery point", hint=_HOW)
    if at[0] == "-":
        at = render_moment(now - _span(text, at[1:]))
    elif at != LATEST and not _is_moment(at):
        raise UsageError(f"{text}: {at} is no time, no run and no commit", hint=_HOW)
    run = _RUN.fullmatch(at)
    return PointName(policy or (run["policy"] if run else ""), at, back)


def _is_moment(text: str) -> bool:
    return any(form.fullmatch(text) for form in (_RUN, _SHA, _DATE, _TIME))


def _span(text: str, amount: str) -> timedelta:
    try:
        return timedelta(seconds=parse_duration(amount))
    except ValueError as error:
        raise UsageError(f"{text}: {amount} {error}", hint=_HOW) from error


def parse_moment(text: str, now: datetime, *, end: bool) -> datetime:
    """``-7d``, a time or a date (UTC), for ``--since`` and ``--until``; raises UsageError.

    A date means its begin, with ``end`` its end.
    """
    if text[:1] == "-" or re.fullmatch(r"[0-9dhms]+", text):
        return now - _span(text, text.removeprefix("-"))
    try:
        if _DATE.fullmatch(text):
            begin = datetime.combine(date.fromisoformat(text), time(), UTC)
            return begin + timedelta(days=1, microseconds=-1) if end else begin
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "write 2026-11-21, 2026-11-21T02:00:00Z or 7d"
        raise UsageError(f"{text} is no time", hint=hint) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def render_moment(moment: datetime) -> str:
    """``2026-11-21T04:17:03Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def find_named(points: Sequence[RecoveryPoint], name: PointName, copied: Copied) -> RecoveryPoint:
    """The recovery point of a policy that is meant; partial ones count. Raises Refused."""
    found = choose_point(
        points, name.at, policy=name.policy, allow_partial=True, copied=copied, option=""
    )
    if not name.back:
        return found
    stored = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)
    before = [p for p in points if p.started < found.started and p.outcome in stored]
    if len(before) < name.back:
        raise Refused(
            f"policy {name.policy} has {len(before)} recovery points before {found.run_id}",
            hint=f"list the runs with: backstay log {name.policy}",
        )
    return before[name.back - 1]
