"""What a change of policies does to when they run: promises that can't be kept, runs lost. Pure.

Only what the change does: a schedule and a promise that stay as they were are told elsewhere
(`reconciler.plan.schedulenotes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.model.cronhash import compile_schedule, uses_hash
from reconciler.model.durations import render_duration
from reconciler.model.finding import Finding, Severity
from reconciler.model.policy import BackupPolicy, Schedule
from reconciler.plan import runtimes
from reconciler.plan.clockchanges import hours, irregular_times
from reconciler.plan.crontimes import next_time
from reconciler.plan.retentionfindings import Places
from reconciler.plan.schedulenotes import gap_text

RPO_MISSED = "rpo-missed"
RPO_LOOSENED = "rpo-loosened"
SELDOMER = "runs-seldomer"
NEVER_RUNS = "never-runs"
RUN_LOST = "run-lost"
RUN_DOUBLED = "run-doubled"
_CRON = "schedule.cron"
_RPO = "objectives.rpo"
LONGER = 1.1
"""How many times the longest wait before: a day of 25 hours is none."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A policy that starts runs, and what it was; ``begin`` is a midnight."""

    before: BackupPolicy | None
    policy: BackupPolicy
    cluster: str
    begin: datetime
    places: Places

    @property
    def rescheduled(self) -> bool:
        """Whether it starts at other times than before, or did not start at all."""
        old = self.before
        return old is None or old.suspend or old.schedule != self.policy.schedule

    def missed(self, policy: BackupPolicy | None) -> int:
        """By how many seconds the longest time without a run exceeds what a policy promises."""
        if policy is None or policy.suspend or policy.objectives.rpo is None:
            return 0
        gap = runtimes.worst_gap(compile_schedule(policy, self.cluster), self.begin)
        return max(gap.seconds - policy.objectives.rpo, 0) if gap else 0


def schedule_findings(
    base: Sequence[BackupPolicy],
    head: Sequence[BackupPolicy],
    cluster: str,
    now: datetime,
    places: Places,
) -> tuple[Finding, ...]:
    """By policy: `RPO_MISSED`, `RPO_LOOSENED`, `SELDOMER`, `NEVER_RUNS`, `RUN_LOST`, `RUN_DOUBLED`.

    ``cluster`` may be empty: then the minute and hour of an ``H`` are anybody's guess, and what
    depends on them is not said. The year that is looked at begins with the day of ``now``.
    """
    before = {policy.name: policy for policy in base}
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[Finding] = []
    for policy in sorted(head, key=lambda one: one.name):
        pair = _Pair(before.get(policy.name), policy, cluster, begin, places)
        found += _loosened(pair)
        if not policy.suspend:
            schedule = compile_schedule(policy, cluster)
            found += _promise(pair, schedule)
            found += _seldomer(pair, schedule)
            if pair.rescheduled:
                found += _times(pair, schedule, now)
    return tuple(found)


def _promise(pair: _Pair, schedule: Schedule) -> Iterator[Finding]:
    policy, old = pair.policy, pair.before
    rpo = policy.objectives.rpo
    over = pair.missed(policy)
    same = not pair.rescheduled and old is not None and old.objectives.rpo == rpo
    gap = runtimes.worst_gap(schedule, pair.begin) if over and not same else None
    if rpo is None or gap is None:
        return
    worse = over > pair.missed(old)
    yield Finding(
        id=RPO_MISSED,
        severity=Severity.ERROR if worse else Severity.WARNING,
        message=f"policy {policy.name}: objectives.rpo promises {render_duration(rpo)}, and"
        f" {gap_text(gap)}",
        hint="run it more often, or promise what it can give",
        policy=policy.name,
        place=pair.places(policy.name, _CRON if old and pair.rescheduled else _RPO),
        facts={
            "rpo": str(rpo),
            "gap": str(gap.seconds),
            "begin": f"{gap.begin:%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{gap.end:%Y-%m-%dT%H:%M:%SZ}",
        },
    )


def _loosened(pair: _Pair) -> Iterator[Finding]:
    old = pair.before.objectives.rpo if pair.before else None
    new = pair.policy.objectives.rpo
    if old is None or (new is not None and new <= old):
        return
    now = f"{render_duration(new)}" if new else "nothing"
    yield Finding(
        id=RPO_LOOSENED,
        severity=Severity.WARNING,
        message=f"policy {pair.policy.name}: objectives.rpo promised {render_duration(old)}, and"
        f" promises {now} now",
        policy=pair.policy.name,
        place=pair.places(pair.policy.name, _RPO),
        facts={"from": str(old), "to": str(new or "")},
    )


def _seldomer(pair: _Pair, schedule: Schedule) -> Iterator[Finding]:
    """The longest waits compared, promised or not; clock changes alone are not told."""
    old, name = pair.before, pair.policy.name
    if old is None or old.suspend or old.schedule == pair.policy.schedule:
        return
    before = runtimes.worst_gap(compile_schedule(old, pair.cluster), pair.begin)
    after = runtimes.worst_gap(schedule, pair.begin)
    if before is None or after is None or after.seconds <= before.seconds * LONGER:
        return
    yield Finding(
        id=SELDOMER,
        severity=Severity.WARNING,
        message=f"policy {name} runs more seldom: {gap_text(after)}, and it had"
        f" {hours(before.seconds)} at most",
        hint="what is lost between two runs is in no recovery point",
        policy=name,
        place=pair.places(name, _CRON),
        facts={"from": str(before.seconds), "to": str(after.seconds)},
    )


def _times(pair: _Pair, schedule: Schedule, now: datetime) -> Iterator[Finding]:
    name = pair.policy.name
    place = pair.places(name, _CRON)
    if next_time(schedule, now) is None:
        yield Finding(
            id=NEVER_RUNS,
            severity=Severity.ERROR,
            message=f"policy {name}: schedule {pair.policy.schedule.cron} has no run within five"
            " years",
            hint="no such day comes: choose another one",
            policy=name,
            place=place,
        )
    if not pair.cluster and uses_hash(pair.policy.schedule.cron):
        return
    for one in irregular_times(schedule, pair.begin):
        yield Finding(
            id=RUN_LOST if one.loses else RUN_DOUBLED,
            severity=Severity.WARNING if one.loses else Severity.NOTE,
            message=f"policy {name}: {one}",
            hint="choose an hour that clocks never skip, or a time zone without summer time"
            if one.loses
            else "",
            policy=name,
            place=place,
        )
