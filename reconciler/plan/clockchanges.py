"""What a change of the clocks does to a schedule: which runs it takes away, doubles or moves.

Compares the wall times that the five fields ask for with the runs that CronJob will start
(`reconciler.plan.runtimes`). Pure.
"""

from __future__ import annotations

import enum
import functools
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from reconciler.model.policy import Schedule
from reconciler.plan import runtimes
from reconciler.plan.crontimes import (
    DAY,
    CronFields,
    day_of,
    from_wall,
    midnight_of,
    moment_of,
    next_time,
    offset_at,
    read_fields,
    seconds_of,
)
from reconciler.plan.runtimes import Gap, day_times, matching_days
from reconciler.plan.zonechanges import Change, changes_of

_ALL_HOURS = 24
_LOOK_BACK = (3, 10, 40, 400, 9 * 366)


class Effect(enum.StrEnum):
    """What happens to a wall time."""

    MISSING = "missing"
    """The clock never shows it: no run."""
    PASSED_OVER = "passedOver"
    """The clock shows it, and CronJob still leaves it out."""
    TWICE = "twice"
    """The clock shows it twice: two runs."""
    EXTRA = "extra"
    """Nobody asked for it, and CronJob runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Irregular:
    """The wall times of one schedule that one change of the clocks touches in one way."""

    effect: Effect
    walls: tuple[datetime, ...]
    """Naive: what the clock shows, or would have shown. Never empty."""
    zone: str
    gap: Gap | None = None
    """For MISSING and PASSED_OVER: the time around them without a run, if there is an end."""

    @property
    def loses(self) -> bool:
        """Whether runs are lost."""
        return self.effect in (Effect.MISSING, Effect.PASSED_OVER)

    def __str__(self) -> str:
        first = self.walls[0]
        more = f" and {len(self.walls) - 1} more" if len(self.walls) > 1 else ""
        what = f"{first:%H:%M} on {first:%Y-%m-%d}{more}"
        gap = f", {hours(self.gap.seconds)} without a run" if self.gap else ""
        match self.effect:
            case Effect.MISSING:
                return f"no run at {what}: clocks go forward in {self.zone}{gap}"
            case Effect.PASSED_OVER:
                return f"no run at {what}: CronJob passes over it, because clocks change{gap}"
            case Effect.TWICE:
                return f"two runs at {what}: clocks go back in {self.zone}"
            case Effect.EXTRA:
                return f"a run more at {what}: CronJob adds it, because clocks change"


def hours(seconds: int) -> str:
    """``47 h``, ``14 d``, ``1.5 h``, ``20 min``."""
    if seconds % DAY == 0 and seconds > 2 * DAY:
        return f"{seconds // DAY} d"
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"


def irregular_times(
    schedule: Schedule, since: datetime, span: timedelta = runtimes.YEAR
) -> tuple[Irregular, ...]:
    """What the changes of clocks within ``span`` do to a compiled schedule, in their order.

    A schedule of every hour goes on every hour, and is not told of.
    """
    return _irregular_times(schedule, seconds_of(since), seconds_of(since + span))


@functools.lru_cache(maxsize=4096)
def _irregular_times(schedule: Schedule, begin: int, end: int) -> tuple[Irregular, ...]:
    changes = changes_of(schedule.time_zone, day_of(begin - DAY), day_of(end + DAY))
    found: list[Irregular] = []
    for change in changes:
        if begin < change.at <= end:
            found += _effects(schedule, change)
    return tuple(found)


def _effects(schedule: Schedule, change: Change) -> Iterator[Irregular]:
    """Compares the days around a change; a plain one touches its own day only."""
    fields = read_fields(schedule.cron)
    zone = ZoneInfo(schedule.time_zone)
    first = change.first_day
    last = first if change.plain else first + timedelta(days=3)
    wanted = {
        midnight_of(day) + time
        for day in matching_days(fields, first, last)
        for time in day_times(fields)
    }
    begin = from_wall(zone, midnight_of(first)) - 1
    end = from_wall(zone, midnight_of(last) + DAY) - 1
    # From some way before: a run depends on the one before it.
    early = moment_of(begin - 2 * DAY)
    runs = [seconds_of(run) for run in runtimes.runs_between(schedule, early, moment_of(end))]
    shown = Counter(run + offset_at(zone, run) for run in runs if run > begin)
    lost = sorted(wanted - shown.keys())
    every_hour = len(fields.hours) == _ALL_HOURS
    for effect, exists in ((Effect.MISSING, False), (Effect.PASSED_OVER, True)):
        walls = [wall for wall in lost if _shown(zone, wall) is exists]
        gap = _gap_around(schedule, walls[0]) if walls else None
        if walls and not (every_hour and gap is not None and _usual(fields, gap)):
            yield _irregular(effect, walls, schedule, gap)
    if not every_hour and (twice := sorted(wall for wall in shown if shown[wall] > 1)):
        yield _irregular(Effect.TWICE, twice, schedule)
    if extra := sorted(shown.keys() - wanted):
        yield _irregular(Effect.EXTRA, extra, schedule)


def _irregular(
    effect: Effect, walls: list[int], schedule: Schedule, gap: Gap | None = None
) -> Irregular:
    naive = tuple(datetime.fromtimestamp(wall, UTC).replace(tzinfo=None) for wall in walls)
    return Irregular(effect=effect, walls=naive, zone=schedule.time_zone, gap=gap)


def _shown(zone: ZoneInfo, wall: int) -> bool:
    """Whether the zone's clocks ever show a wall time."""
    moment = from_wall(zone, wall)
    return moment + offset_at(zone, moment) == wall


def _gap_around(schedule: Schedule, wall: int) -> Gap | None:
    """The time without a run in which a lost wall time lies; None if there is none before or after.

    Looks back a little at first: a schedule of every minute has many runs.
    """
    moment = moment_of(from_wall(ZoneInfo(schedule.time_zone), wall))
    for days in _LOOK_BACK:
        runs = runtimes.runs_between(schedule, moment - timedelta(days=days), moment)
        before = deque(runs, maxlen=1)
        if before:
            after = next_time(schedule, before[0])
            return Gap(before[0], after) if after is not None else None
    return None


def _usual(fields: CronFields, gap: Gap) -> bool:
    """Whether a schedule of every hour waits no longer than on any other day."""
    times = day_times(fields)
    longest = max((after - before for before, after in pairwise(times)), default=0)
    return gap.seconds <= max(longest, times[0] + DAY - times[-1])
