"""How often a schedule fires at most, for grants that say how often it may.

Local time without daylight saving. Deliberately small: `reconciler.plan.intervals` answers the same
for plans, with all that calendars know; a test holds the two together.
"""

from __future__ import annotations

import functools
from datetime import date, timedelta
from itertools import pairwise

from reconciler.policy.cron import CronSets, read_sets

_DAY = 86400
_FIRST = date(2000, 1, 1)
_DAYS = 9 * 366
"""Days that hold every pattern of months, weekdays and leap years."""


def shortest_interval(cron: str) -> int | None:
    """Seconds between the two closest times of five fields without ``H``; None for one time."""
    sets = read_sets(cron)
    times = sorted(60 * (60 * hour + minute) for hour in sets.hours for minute in sets.minutes)
    found = [after - before for before, after in pairwise(times)]
    nights = _fewest_nights(sets.days, sets.months, sets.weekdays, sets.either)
    if nights is not None:
        found.append(nights * _DAY + times[0] - times[-1])
    return min(found, default=None)


@functools.lru_cache(maxsize=1024)
def _fewest_nights(
    days: frozenset[int], months: frozenset[int], weekdays: frozenset[int], either: bool
) -> int | None:
    sets = CronSets(frozenset(), frozenset(), days, months, weekdays, either)
    last, fewest = None, None
    for number in range(_DAYS):
        if not sets.on(_FIRST + timedelta(days=number)):
            continue
        if last is not None and (fewest is None or number - last < fewest):
            fewest = number - last
        last = number
    return fewest
