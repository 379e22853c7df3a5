"""When a schedule runs between two moments, and the longest it ever waits. Pure.

The same times as asking `crontimes.next_time` again and again, a thousand times faster: a day on
which no clock changes is arithmetic, and so is one on which clocks change by whole hours away from
midnight. Only around other changes the search itself is walked. A property test compares both.

A day's runs are kept as one `_Block`, so that a year of "every minute" costs 366 of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from reconciler.model.policy import Schedule
from reconciler.plan.crontimes import (
    DAY,
    HOUR,
    MINUTE,
    CronFields,
    day_of,
    from_wall,
    midnight_of,
    moment_of,
    next_second,
    next_time,
    offset_at,
    read_fields,
    seconds_of,
)

YEAR = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Gap:
    """Two runs with none between them."""

    begin: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """How long no run starts."""
        return int((self.end - self.begin).total_seconds())


@dataclass(frozen=True, slots=True)
class Change:
    """A moment at which a zone's clocks are put forward (``by`` > 0) or back; seconds."""

    at: int
    before: int
    """Offset from UTC until then."""
    after: int

    @property
    def by(self) -> int:
        """Seconds that are left out, or come again."""
        return self.after - self.before

    @property
    def first_day(self) -> date:
        """The earlier of the dates that clocks show on both sides."""
        return day_of(min(self.at + self.before - 1, self.at + self.after))

    @property
    def plain(self) -> bool:
        """By whole hours and away from midnight: nothing but the clock's hands moves."""
        before, after = self.at + self.before, self.at + self.after
        same = before // DAY == after // DAY
        return same and self.by % HOUR == 0 and before % DAY > 0 and after % DAY > 0


def changes_of(zone: str, since: date, until: date) -> tuple[Change, ...]:
    """The changes of a zone's clocks from one date to another."""
    years = range(since.year, until.year + 1)
    found = (change for year in years for change in _changes_in(zone, year))
    return tuple(change for change in found if since <= change.first_day <= until)


@functools.lru_cache(maxsize=2048)
def _changes_in(name: str, year: int) -> tuple[Change, ...]:
    zone = ZoneInfo(name)
    days = range(midnight_of(date(year, 1, 1)), midnight_of(date(year + 1, 1, 1)) + 1, DAY)
    found = []
    before = offset_at(zone, days[0])
    for begin, end in pairwise(days):
        after = offset_at(zone, end)
        if after != before:
            found.append(Change(_moment_of_change(zone, begin, end), before, after))
        before = after
    return tuple(found)


def _moment_of_change(zone: ZoneInfo, begin: int, end: int) -> int:
    """The first second of the new offset; the old one is in force at ``begin``."""
    before = offset_at(zone, begin)
    while end - begin > 1:
        middle = (begin + end) // 2
        if offset_at(zone, middle) == before:
            begin = middle
        else:
            end = middle
    return end


@dataclass(frozen=True, slots=True)
class _Block:
    """Runs at ``base`` plus each of ``times``, all in seconds."""

    base: int
    times: tuple[int, ...]

    @property
    def first(self) -> int:
        return self.base + self.times[0]

    @property
    def last(self) -> int:
        return self.base + self.times[-1]


class _Runs:
    """All runs of a schedule in (since, until], in order; see `blocks`."""

    def __init__(self, schedule: Schedule, since: int, until: int) -> None:
        self._fields = read_fields(schedule.cron)
        self._zone = ZoneInfo(schedule.time_zone)
        self._since = since
        self._until = until
        self._times = day_times(self._fields)
        self._changes = changes_of(
            schedule.time_zone,
            day_of(since - 3 * DAY),
            day_of(until + 3 * DAY),
        )

    def blocks(self) -> Iterator[_Block]:
        """Never empty ones; each day's runs together where it is arithmetic."""
        here = self._since
        for begin, end in self._odd_windows():
            if here < end and here < self._until:
                for block in self._calm(here, min(begin, self._until)):
                    yield block
                    here = block.last
                if begin >= self._until:
                    return
                for block in self._walked(here, end):
                    yield block
                    here = block.last
                if here <= end:
                    return
        yield from self._calm(here, self._until)

    def _odd_windows(self) -> Iterator[tuple[int, int]]:
        """Times around changes that are not plain, in order, apart from each other."""
        last: tuple[int, int] | None = None
        for change in self._changes:
            if change.plain:
                continue
            begin, end = (
                from_wall(self._zone, midnight_of(change.first_day + timedelta(days=days)))
                for days in (-1, 4)
            )
            if last is not None and begin <= last[1]:
                last = (last[0], end)
                continue
            if last is not None:
                yield last
            last = (begin, end)
        if last is not None:
            yield last

    def _walked(self, here: int, end: int) -> Iterator[_Block]:
        """Runs from the one after ``here`` on, until the first one past ``end``."""
        found = next_second(self._fields, self._zone, here)
        while found is not None and found <= self._until:
            yield _Block(found, (0,))
            if found > end:
                return
            found = next_second(self._fields, self._zone, found)

    def _calm(self, since: int, until: int) -> Iterator[_Block]:
        """Runs in (since, until], where every change is plain."""
        if since >= until:
            return
        begin, end = (seconds + offset_at(self._zone, seconds) for seconds in (since, until))
        changes = {change.at: change for change in self._changes if change.plain}
        waiting = sorted(at for at in changes if since - DAY <= at <= until + DAY)
        offset = offset_at(self._zone, since - DAY)
        for day in matching_days(self._fields, day_of(begin - DAY), day_of(end + DAY)):
            midnight = midnight_of(day)
            while waiting and waiting[0] <= midnight - changes[waiting[0]].after:
                offset = changes[waiting.pop(0)].after
            block = _Block(midnight - offset, self._times)
            if waiting and waiting[0] < midnight + DAY - offset:
                block = _changed(midnight, self._times, changes[waiting[0]])
            yield from _within(block, since, until)


def _changed(midnight: int, times: tuple[int, ...], change: Change) -> _Block:
    """The runs of a day on which clocks change plainly."""
    old = [time for time in times if midnight - change.before + time < change.at]
    new = [time - change.by for time in times if midnight - change.after + time >= change.at]
    return _Block(midnight - change.before, (*old, *new))


def _within(block: _Block, since: int, until: int) -> Iterator[_Block]:
    """The part of a block in (since, until], if there is one."""
    if block.times and since < block.first and block.last <= until:
        yield block
        return
    times = tuple(time for time in block.times if since < block.base + time <= until)
    if times:
        yield _Block(block.base, times)


@functools.lru_cache(maxsize=4096)
def day_times(fields: CronFields) -> tuple[int, ...]:
    """The times of a day, in seconds since its midnight."""
    return tuple(
        hour * HOUR + minute * MINUTE
        for hour in sorted(fields.hours)
        for minute in sorted(fields.minutes)
    )


def matching_days(fields: CronFields, since: date, until: date) -> Iterator[date]:
    """The schedule's days from one date to another, both included."""
    key = (fields.days, fields.months, fields.weekdays, fields.either)
    for year in range(since.year, until.year + 1):
        for day in _days_in(*key, year):
            if since <= day <= until:
                yield day


@functools.lru_cache(maxsize=2048)
def _days_in(
    days: frozenset[int],
    months: frozenset[int],
    weekdays: frozenset[int],
    either: bool,
    year: int,
) -> tuple[date, ...]:
    fields = CronFields(
        minutes=frozenset(), hours=frozenset(), days=days, months=months, weekdays=weekdays,
        either=either,
    )  # fmt: skip
    first = date(year, 1, 1)
    every = (first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))
    return tuple(day for day in every if day.month in months and fields.on(day))


def runs_between(schedule: Schedule, since: datetime, until: datetime) -> Iterator[datetime]:
    """The runs in (since, until], UTC, in order. ``schedule`` is compiled."""
    for block in _Runs(schedule, seconds_of(since), seconds_of(until)).blocks():
        for time in block.times:
            yield moment_of(block.base + time)


def count_runs(schedule: Schedule, since: datetime, until: datetime) -> int:
    """How many `runs_between` gives, without making them."""
    blocks = _Runs(schedule, seconds_of(since), seconds_of(until)).blocks()
    return sum(len(block.times) for block in blocks)


def worst_gap(schedule: Schedule, since: datetime, span: timedelta = YEAR) -> Gap | None:
    """The longest time between two runs of which the first begins within ``span``.

    The first of several equal ones. None where the schedule has fewer than two runs ahead.
    """
    return _worst_gap(schedule, seconds_of(since), int(span.total_seconds()))


@functools.lru_cache(maxsize=4096)
def _worst_gap(schedule: Schedule, since: int, span: int) -> Gap | None:
    worst = (0, 0)
    last: int | None = None
    times: tuple[int, ...] = ()
    length = at = 0
    for block in _Runs(schedule, since, since + span).blocks():
        if last is not None:
            worst = max(worst, (block.first - last, -last))
        if block.times is not times:
            times = block.times
            length, at = _widest(times)
        worst = max(worst, (length, -(block.base + at)))
        last = block.last
    begin = moment_of(since) if last is None else moment_of(last)
    end = next_time(schedule, begin)
    if last is None and end is not None:
        begin, end = end, next_time(schedule, end)
    if end is None:
        return Gap(moment_of(-worst[1]), moment_of(worst[0] - worst[1])) if worst[0] else None
    over = (seconds_of(end) - seconds_of(begin), -seconds_of(begin))
    length, begun = max(worst, over)
    return Gap(moment_of(-begun), moment_of(length - begun))


def _widest(times: tuple[int, ...]) -> tuple[int, int]:
    """The longest distance of two neighbours, and the first of them."""
    if len(times) == 1:
        return 0, times[0]
    length, begun = max((after - before, -before) for before, after in pairwise(times))
    return length, -begun
