"""When the clocks of a time zone change, and by how much. Pure: the tz database is data."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

from reconciler.plan.crontimes import DAY, HOUR, day_of, midnight_of, offset_at


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
