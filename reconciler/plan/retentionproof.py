"""Whether other words of a retention keep what the ones before kept, in histories made up. Pure.

No span covers a count for ever: a week of daily points lies years back where nothing ran since.
So this is no proof for any history, but one for those that a schedule makes: all runs complete; a
quarter of a year without one; runs by hand, and partial ones, in between.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.model.cronhash import compile_cron
from reconciler.model.policy import Retention, Schedule
from reconciler.model.run import Outcome
from reconciler.plan import retention, runtimes
from reconciler.plan.intervals import shortest_interval
from reconciler.plan.retention import Point

_LONGEST = timedelta(days=730)
_SHORTEST = _DAY = timedelta(days=1)
_QUICK, _FEW = timedelta(days=40), 40
"""What most words that keep less are found by."""
MOST = 1_000
"""Runs in one history; where two years have more, it is shorter."""
_ENDS = (0, 3, 40)
"""Days before ``until``: other days of the week, of the month, and another month."""
_OUTAGE = timedelta(days=91)
_BURST = 50
"""Runs by hand, a minute apart: a day on which somebody tries something."""


def covers(before: Retention, after: Retention, schedule: Schedule, until: datetime) -> bool:
    """Whether ``after`` expires nothing that ``before`` keeps, in any of the histories.

    ``schedule`` may have ``H``: the minute and hour of a day do not matter here. Never said where
    ``before`` keeps points as old as the history, or the schedule has next to no runs.
    """
    cron = compile_cron(schedule.cron, cluster="", policy="")
    if shortest_interval(cron) is None:
        return False
    minute, hour, *days = cron.split()
    minute, hour = ("7" if field.isdecimal() else field for field in (minute, hour))
    return _proven(before, after, replace(schedule, cron=" ".join((minute, hour, *days))), until)


@functools.lru_cache(maxsize=256)
def _proven(before: Retention, after: Retention, compiled: Schedule, until: datetime) -> bool:
    few = tuple(runtimes.runs_between(compiled, until - _QUICK, until))[-_FEW:]
    if not all(_keeps(points, before, after, until) for points in _histories(few)):
        return False
    span = _LONGEST
    while runtimes.count_runs(compiled, until - span, until) > MOST:
        span /= 2
        if span < _SHORTEST:
            return False
    for days in _ENDS:
        end = until - timedelta(days=days)
        times = tuple(runtimes.runs_between(compiled, end - span, end))
        if not all(_covers(points, before, after, end) for points in _histories(times)):
            return False
    return True


def _covers(points: Sequence[Point], before: Retention, after: Retention, end: datetime) -> bool:
    """``points`` oldest first; what is kept of the oldest quarter shows that more would be."""
    gone = set(retention.expired(points, before, end + _DAY))
    enough = len(points) > 1 and gone.issuperset(points[: len(points) // 4 + 1])
    return enough and gone.issuperset(retention.expired(points, after, end + _DAY))


def _keeps(points: Sequence[Point], before: Retention, after: Retention, end: datetime) -> bool:
    gone = set(retention.expired(points, before, end + _DAY))
    return gone.issuperset(retention.expired(points, after, end + _DAY))


def _histories(times: Sequence[datetime]) -> Iterator[tuple[Point, ...]]:
    even = tuple(_point(time) for time in times)
    by_hand = (time + timedelta(minutes=n) for time in times[-1:] for n in range(1, _BURST))
    yield even
    yield (*even, *map(_point, by_hand))
    yield tuple(_point(time - _OUTAGE) for time in times[:-1]) + tuple(map(_point, times[-1:]))
    uneven: list[Point] = []
    for number, time in enumerate(times):
        uneven.append(_point(time, Outcome.PARTIALLY_FAILED if number % 3 == 0 else _GOOD))
        if number % 5 == 0:
            uneven.append(_point(time + timedelta(seconds=30)))
    yield tuple(uneven)
    yield tuple(
        _point(time, Outcome.PARTIALLY_FAILED if number >= len(times) - 3 else _GOOD)
        for number, time in enumerate(times)
    )


_GOOD = Outcome.COMPLETED


def _point(time: datetime, outcome: Outcome = _GOOD) -> Point:
    return Point(f"{time:%Y%m%d-%H%M%S}", time, outcome)
