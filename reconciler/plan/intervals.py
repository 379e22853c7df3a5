"""How often a schedule fires: pure calendar work on five cron fields.

Local time without daylight saving: an hour more or less does not matter to what is derived here.
"""

from __future__ import annotations

import functools
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

_FIRST = datetime(2000, 1, 1)  # noqa: DTZ001 - wall-clock time of no particular zone
_HORIZON = timedelta(days=9 * 366)
_OCCURRENCES = 200
_SHORTEST = 60


@functools.lru_cache(maxsize=4096)
def shortest_interval(cron: str) -> int | None:
    """Seconds between the two closest times of a schedule; None if it fires once or never.

    Looked for among the first 200 times and nine years, which holds every pattern of months,
    days and leap years that five fields can say.
    """
    try:
        times = CronSim(cron, _FIRST)
    except CronSimError:
        return None
    shortest: int | None = None
    before: datetime | None = None
    for count, time in enumerate(times):
        if count > _OCCURRENCES or time - _FIRST > _HORIZON:
            break
        if before is not None:
            gap = int((time - before).total_seconds())
            shortest = gap if shortest is None else min(shortest, gap)
        if shortest == _SHORTEST:
            break
        before = time
    return shortest
