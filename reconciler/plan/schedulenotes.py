"""What a reviewer should know of a policy's schedule: warnings with dates, and what ``H`` became.

One sentence each, in the same words wherever a plan is shown. Pure; stable ids for machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from reconciler.model.cronhash import compile_schedule
from reconciler.model.durations import render_duration
from reconciler.model.policy import BackupPolicy, Schedule
from reconciler.plan import runtimes
from reconciler.plan.clockchanges import hours, irregular_times
from reconciler.plan.crontimes import next_time
from reconciler.plan.runtimes import Gap

RPO_BROKEN = "schedule/rpo"
RUN_LOST = "schedule/run-lost"
RUN_DOUBLED = "schedule/run-doubled"
COMPILED = "schedule/compiled"
_LOST_HINT = "choose an hour that clocks never skip, or a time zone without summer time"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleNote:
    """One sentence about the schedule of one policy."""

    id: str
    policy: str
    message: str
    warning: bool = True
    hint: str = ""

    def __str__(self) -> str:
        return f"policy {self.policy}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledSchedule:
    """A schedule as it was written, as the CronJob has it, and when it runs next."""

    written: Schedule
    compiled: Schedule
    next_run: datetime | None
    """UTC; None for a suspended policy, or one without a run within five years."""

    def __str__(self) -> str:
        shown = f"{self.compiled.cron} ({self.compiled.time_zone})"
        return shown if self.written == self.compiled else f"{self.written.cron}: {shown}"


def describe_schedule(policy: BackupPolicy, cluster: str, now: datetime) -> CompiledSchedule:
    """What a plan and ``show policy`` tell of a policy's schedule in one cluster."""
    compiled = compile_schedule(policy, cluster)
    return CompiledSchedule(
        written=policy.schedule,
        compiled=compiled,
        next_run=None if policy.suspend else next_time(compiled, now),
    )


def schedule_notes(policy: BackupPolicy, cluster: str, now: datetime) -> Iterator[ScheduleNote]:
    """What ``H`` became; then, unless suspended, warnings of the year that follows ``now``."""
    shown = describe_schedule(policy, cluster, now)
    schedule = shown.compiled
    if shown.written != schedule:
        yield ScheduleNote(
            id=COMPILED,
            policy=policy.name,
            message=f"schedule {shown.written.cron} is {schedule.cron} ({schedule.time_zone}) on"
            f" cluster {cluster}",
            warning=False,
        )
    if policy.suspend:
        return
    rpo = policy.objectives.rpo
    gap = runtimes.worst_gap(schedule, _midnight(now)) if rpo is not None else None
    if rpo is not None and gap is not None and gap.seconds > rpo:
        yield ScheduleNote(
            id=RPO_BROKEN,
            policy=policy.name,
            message=f"objectives.rpo promises {render_duration(rpo)}, and {gap_text(gap)}",
            hint="run it more often, or promise what it can give",
        )
    for found in irregular_times(schedule, _midnight(now)):
        yield ScheduleNote(
            id=RUN_LOST if found.loses else RUN_DOUBLED,
            policy=policy.name,
            message=str(found),
            hint=_LOST_HINT if found.loses else "",
        )


def gap_text(gap: Gap) -> str:
    """``its schedule has 47 h without a run, from 2027-03-27T01:17:00Z``."""
    begin = f"{gap.begin:%Y-%m-%dT%H:%M:%SZ}"
    return f"its schedule has {hours(gap.seconds)} without a run, from {begin}"


def _midnight(now: datetime) -> datetime:
    """A year ahead is the same all day long: computed once a day, not once a cycle."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)
