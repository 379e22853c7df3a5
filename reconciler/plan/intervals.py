"""How often a schedule fires: pure calendar work on five cron fields.

Local time without daylight saving: an hour more or less does not matter to what is derived here.
"""

from __future__ import annotations

import functools
from datetime import date
from itertools import pairwise

from cronsim import CronSimError

from reconciler.plan.crontimes import DAY, read_fields
from reconciler.plan.runtimes import day_key, day_times, days_between

_FIRST, _LAST = date(2000, 1, 1), date(2008, 12, 31)
"""Nine years hold every pattern of months, days and leap years that five fields can say."""


@functools.lru_cache(maxsize=4096)
def shortest_interval(cron: str) -> int | None:
    """Seconds between the two closest times of a compiled schedule; None if it never fires."""
    try:
        fields = read_fields(cron)
    except CronSimError:
        return None
    times = day_times(fields)
    nights = _fewest_nights(*day_key(fields))
    found = [after - before for before, after in pairwise(times)]
    if nights is not None:
        found.append(nights * DAY + times[0] - times[-1])
    return min(found, default=None)


@functools.lru_cache(maxsize=1024)
def _fewest_nights(
    days: frozenset[int], months: frozenset[int], weekdays: frozenset[int], either: bool
) -> int | None:
    """Between two days of a schedule; None if there is one day at most."""
    found = pairwise(days_between((days, months, weekdays, either), _FIRST, _LAST))
    return min(((after - before).days for before, after in found), default=None)
