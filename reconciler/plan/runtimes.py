"""When a schedule runs between two moments, and the longest it ever waits. Pure.

The same times as asking `crontimes.next_time` again and again, a thousand times faster: a day on
which no clock changes is arithmetic, and so is one on which clocks change by whole hours away from
midnight. Only around other changes the search itself is walked. A property test compares both.

A day's runs are kept as one `_Block`; where only gaps matter, days alike are one `_Span`. So a year
of "every minute" costs little, and a thousand policies that differ by the minute little more.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TypeVar
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
from reconciler.plan.zonechanges import Change, changes_of

YEAR = timedelta(days=366)
_Piece = TypeVar("_Piece", "_Block", "_Span")


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


@dataclass(frozen=True, slots=True)
class _Span:
    """Some runs of which only the ends are known, and the longest wait in between."""

    first: int
    last: int
    longest: int
    begin: int
    """Where the longest wait begins; 0 and its own ``first`` for a single run."""


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A schedule's days of one offset, or a single day on which clocks change plainly.

    ``first``, ``last`` and ``begin`` are midnights on the wall; ``longest`` is the longest distance
    of two neighbours, ``begin`` the earlier one.
    """

    first: int
    last: int
    longest: int
    begin: int
    offset: int
    change: Change | None = None


class _Runs:
    """All runs of a schedule in (since, until], in order; see `blocks` and `spans`."""

    def __init__(self, schedule: Schedule, since: int, until: int) -> None:
        self._fields = read_fields(schedule.cron)
        self._name = schedule.time_zone
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
        return self._pieces(self._calm, lambda run: _Block(run, (0,)))

    def spans(self) -> Iterator[_Span]:
        """The same runs in few pieces."""
        return self._pieces(self._calm_spans, lambda run: _Span(run, run, 0, run))

    def _pieces(
        self, calm: Callable[[int, int], Iterator[_Piece]], single: Callable[[int], _Piece]
    ) -> Iterator[_Piece]:
        here = self._since
        for begin, end in self._odd_windows():
            if here < end and here < self._until:
                for piece in calm(here, min(begin, self._until)):
                    yield piece
                    here = piece.last
                if begin >= self._until:
                    return
                for here in self._walked(here, end):  # noqa: B020 - the last one found
                    yield single(here)
                if here <= end:
                    return
        yield from calm(here, self._until)

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

    def _walked(self, here: int, end: int) -> Iterator[int]:
        """Runs from the one after ``here`` on, until the first one past ``end``."""
        found = next_second(self._fields, self._zone, here)
        while found is not None and found <= self._until:
            yield found
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

    def _calm_spans(self, since: int, until: int) -> Iterator[_Span]:
        """The same in few pieces: whole days together, and what is left at both ends."""
        if since >= until:
            return
        first = day_of(since + offset_at(self._zone, since)) + timedelta(days=1)
        last = day_of(until + offset_at(self._zone, until)) - timedelta(days=1)
        if first > last:
            yield from map(_span_of, self._calm(since, until))
            return
        begin = from_wall(self._zone, midnight_of(first)) - 1
        end = from_wall(self._zone, midnight_of(last) + DAY) - 1
        yield from map(_span_of, self._calm(since, begin))
        for stretch in _stretches(*day_key(self._fields), self._name, first, last):
            if stretch.change is not None:
                block = _changed(stretch.first, self._times, stretch.change)
                yield from map(_span_of, _within(block, since, until))
            else:
                yield _stretched(stretch, self._times)
        yield from map(_span_of, self._calm(end, until))


def _span_of(block: _Block) -> _Span:
    length, at = _widest(block.times)
    return _Span(block.first, block.last, length, block.base + at)


def _stretched(stretch: _Stretch, times: tuple[int, ...]) -> _Span:
    """The runs of some days alike: the longest wait is by day, or over the longest night."""
    length, at = _widest(times)
    by_day = (length, -(stretch.first + at))
    by_night = (stretch.longest + times[0] - times[-1], -(stretch.begin + times[-1]))
    longest, begin = max(by_day, by_night) if stretch.longest else by_day
    offset = stretch.offset
    first, last = stretch.first + times[0], stretch.last + times[-1]
    return _Span(first - offset, last - offset, longest, -begin - offset)


@functools.lru_cache(maxsize=1024)
def _stretches(
    days: frozenset[int],
    months: frozenset[int],
    weekdays: frozenset[int],
    either: bool,
    name: str,
    first: date,
    last: date,
) -> tuple[_Stretch, ...]:
    """The days from first to last, whose changes of clocks are all plain."""
    zone = ZoneInfo(name)
    changes = {change.first_day: change for change in changes_of(name, first, last)}
    found: list[_Stretch] = []
    for day in days_between((days, months, weekdays, either), first, last):
        midnight = midnight_of(day)
        offset = midnight - from_wall(zone, midnight)
        if day in changes or not found or found[-1].change or found[-1].offset != offset:
            found.append(_Stretch(midnight, midnight, 0, 0, offset, changes.get(day)))
            continue
        before = found[-1]
        longest = max((before.longest, -before.begin), (midnight - before.last, -before.last))
        found[-1] = replace(before, last=midnight, longest=longest[0], begin=-longest[1])
    return tuple(found)


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
    return days_between(day_key(fields), since, until)


DayKey = tuple[frozenset[int], frozenset[int], frozenset[int], bool]


def day_key(fields: CronFields) -> DayKey:
    """What decides of days: policies that differ by the minute share it."""
    return fields.days, fields.months, fields.weekdays, fields.either


def days_between(key: DayKey, since: date, until: date) -> Iterator[date]:
    """`matching_days` of all schedules with the same days."""
    for year in range(since.year, until.year + 1):
        days = _days_in(*key, year)
        yield from days[bisect_left(days, since) : bisect_right(days, until)]


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
    for found in _Runs(schedule, since, since + span).spans():
        if last is not None:
            worst = max(worst, (found.first - last, -last))
        worst = max(worst, (found.longest, -found.begin))
        last = found.last
    begin = moment_of(since) if last is None else moment_of(last)
    end = next_time(schedule, begin)
    if last is None and end is not None:
        begin, end = end, next_time(schedule, end)
    if end is None:
        return Gap(moment_of(-worst[1]), moment_of(worst[0] - worst[1])) if worst[0] else None
    over = (seconds_of(end) - seconds_of(begin), -seconds_of(begin))
    length, begun = max(worst, over)
    return Gap(moment_of(-begun), moment_of(length - begun))


@functools.lru_cache(maxsize=4096)
def _widest(times: tuple[int, ...]) -> tuple[int, int]:
    """The longest distance of two neighbours, and the first of them."""
    if len(times) == 1:
        return 0, times[0]
    length, begun = max((after - before, -before) for before, after in pairwise(times))
    return length, -begun
