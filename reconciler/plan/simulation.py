"""What the schedules of all policies come to: runs, gaps, load and collisions. Pure.

Nothing is asked of a cluster: the answer is the same on a laptop and before a merge. How long a run
takes is not known here, so a run is a moment. `reconciler.report.simulate` draws the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.cronhash import compile_schedule
from reconciler.model.errors import Refused
from reconciler.model.policy import BackupPolicy, Schedule
from reconciler.plan import runtimes
from reconciler.plan.clockchanges import Irregular, irregular_times
from reconciler.plan.runtimes import Gap

MOST_RUNS = 500_000
HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRuns:
    """One policy between two moments; one that is suspended has no run and no gap.

    ``gap`` is the worst of a year, not of the window; ``irregular`` is of a year, too.
    """

    name: str
    written: Schedule
    compiled: Schedule
    """As the CronJob has it: without ``H``."""
    repository: str
    suspended: bool
    rpo: int | None
    """Seconds; None where nothing was promised."""
    runs: tuple[datetime, ...] = ()
    gap: Gap | None = None
    irregular: tuple[Irregular, ...] = ()

    @property
    def keeps_rpo(self) -> bool | None:
        """Whether the schedule can give what was promised; None where it was not, or is off.

        A recovery point is as old as its run's begin, and is there at its end: what is left
        between gap and RPO is the time that a run may take.
        """
        if self.rpo is None or self.suspended:
            return None
        return self.gap is not None and self.gap.seconds <= self.rpo


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Runs on one Repository, counted by the hour in which they start."""

    repository: str
    policies: int
    runs: int
    by_hour: tuple[int, ...]
    """Of each hour of the day, UTC, over the whole window: 24 numbers."""
    busiest: datetime | None
    """Begin of the one hour with the most runs."""
    most: int
    """Runs in that hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """The same policies starting close to each other on one Repository, again and again."""

    repository: str
    policies: tuple[str, ...]
    times: int
    first: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """All policies of one cluster between two moments."""

    cluster: str
    """Empty where it is not known; then no policy has ``H``."""
    since: datetime
    until: datetime
    within: int
    """Seconds in which two starts collide."""
    policies: tuple[PolicyRuns, ...]
    loads: tuple[Load, ...]
    collisions: tuple[Collision, ...]
    """The largest first."""

    @property
    def broken(self) -> tuple[PolicyRuns, ...]:
        """Policies whose schedule can't give the promised RPO."""
        return tuple(policy for policy in self.policies if policy.keeps_rpo is False)


def simulate(
    policies: Iterable[BackupPolicy],
    *,
    cluster: str,
    since: datetime,
    until: datetime,
    within: int,
) -> Simulation:
    """Every run after ``since`` up to ``until``; ``within`` in seconds.

    Raises Refused when that is more than `MOST_RUNS`.
    """
    wanted = sorted(policies, key=lambda policy: policy.name)
    schedules = {policy.name: compile_schedule(policy, cluster) for policy in wanted}
    _refuse_too_many(wanted, schedules, since, until)
    found = tuple(_policy_runs(policy, schedules[policy.name], since, until) for policy in wanted)
    repositories = sorted({policy.repository for policy in found})
    return Simulation(
        cluster=cluster,
        since=since,
        until=until,
        within=within,
        policies=found,
        loads=tuple(_load(name, found) for name in repositories),
        collisions=tuple(
            sorted(
                (one for name in repositories for one in _collisions(name, found, within)),
                key=lambda one: (-len(one.policies), -one.times, one.repository, one.policies),
            )
        ),
    )


def _refuse_too_many(
    policies: Sequence[BackupPolicy],
    schedules: dict[str, Schedule],
    since: datetime,
    until: datetime,
) -> None:
    count = 0
    for policy in policies:
        if not policy.suspend:
            count += runtimes.count_runs(schedules[policy.name], since, until)
        if count > MOST_RUNS:
            raise Refused(
                f"{(until - since).days} days have more than {MOST_RUNS:,} runs of these policies",
                hint="ask for fewer days",
            )


def _policy_runs(
    policy: BackupPolicy, schedule: Schedule, since: datetime, until: datetime
) -> PolicyRuns:
    off = policy.suspend
    return PolicyRuns(
        name=policy.name,
        written=policy.schedule,
        compiled=schedule,
        repository=policy.volumes.repository,
        suspended=off,
        rpo=policy.objectives.rpo,
        runs=() if off else tuple(runtimes.runs_between(schedule, since, until)),
        gap=None if off else runtimes.worst_gap(schedule, since),
        irregular=() if off else irregular_times(schedule, since),
    )


def _load(repository: str, policies: Iterable[PolicyRuns]) -> Load:
    mine = [policy for policy in policies if policy.repository == repository]
    hours: Counter[datetime] = Counter()
    for policy in mine:
        hours.update(run.replace(minute=0, second=0) for run in policy.runs)
    of_day: Counter[int] = Counter()
    for hour, count in hours.items():
        of_day[hour.hour] += count
    busiest = min(hours, key=lambda hour: (-hours[hour], hour), default=None)
    return Load(
        repository=repository,
        policies=len(mine),
        runs=hours.total(),
        by_hour=tuple(of_day[hour] for hour in range(HOURS)),
        busiest=busiest,
        most=hours[busiest] if busiest else 0,
    )


def _collisions(
    repository: str, policies: Iterable[PolicyRuns], within: int
) -> Iterator[Collision]:
    """Runs are grouped from the first on: all that start ``within`` of it are one collision."""
    starts = sorted(
        (run, policy.name)
        for policy in policies
        if policy.repository == repository
        for run in policy.runs
    )
    times: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], datetime] = {}
    for begin, group in _groups(starts, timedelta(seconds=within)):
        names = tuple(sorted({name for _, name in group}))
        if len(names) > 1:
            times[names] += 1
            first.setdefault(names, begin)
    for names, count in times.items():
        yield Collision(repository=repository, policies=names, times=count, first=first[names])


Start = tuple[datetime, str]


def _groups(starts: Sequence[Start], within: timedelta) -> Iterator[tuple[datetime, list[Start]]]:
    group: list[Start] = []
    for start in starts:
        if group and start[0] - group[0][0] > within:
            yield group[0][0], group
            group = []
        group.append(start)
    if group:
        yield group[0][0], group
