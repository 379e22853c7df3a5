"""The next time of a schedule, as Kubernetes' CronJob controller computes it.

CronJob asks `SpecSchedule.Next` of github.com/robfig/cron v3.0.1 (MIT licence), and so do we: this
is that search, step by step. It moves by elapsed time and looks at the clock on the wall. Hence a
wall time that does not exist in spring is left out, and one that comes twice in autumn runs
twice; cronsim, which reads the fields here, would move the first and drop the second.

The search has habits of its own where clocks change at midnight or by half an hour: it may leave
out a whole day, or run on a day that nobody asked for (docs/schedules.md). They are followed too,
because that is what the cluster does. A contract test compares with the original.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from reconciler.model.policy import Schedule

MINUTE, HOUR, DAY = 60, 3600, 86400
_EPOCH = date(1970, 1, 1).toordinal()
_ANY = datetime(2000, 1, 1)  # noqa: DTZ001 - to read the fields only
_YEARS = 5
_QUARTER = 15 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFields:
    """The five fields as numbers; 0 is Sunday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool
    """Whether a day that matches one of its two fields is enough."""

    def on(self, day: date) -> bool:
        """Whether a day of a right month is one of the schedule's."""
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either else of_month and of_week


@functools.lru_cache(maxsize=4096)
def read_fields(cron: str) -> CronFields:
    """The fields of a compiled schedule (`reconciler.model.cronhash`)."""
    sim = CronSim(cron, _ANY)
    return CronFields(
        minutes=frozenset(sim.minutes),
        hours=frozenset(sim.hours),
        days=frozenset(sim.days),
        months=frozenset(sim.months),
        weekdays=frozenset(number % 7 for number in sim.weekdays if isinstance(number, int)),
        either=not sim.day_and,
    )


def next_time(schedule: Schedule, after: datetime) -> datetime | None:
    """The first time after a moment, UTC; None if there is none within five years."""
    found = next_second(read_fields(schedule.cron), ZoneInfo(schedule.time_zone), seconds_of(after))
    return None if found is None else moment_of(found)


def next_second(fields: CronFields, zone: ZoneInfo, after: int) -> int | None:
    """`next_time` in seconds since 1970."""
    return _Search(fields, zone, after).find()


def seconds_of(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return int(moment.timestamp() // 1)


def moment_of(seconds: int) -> datetime:
    """The same as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def offset_at(zone: ZoneInfo, seconds: int) -> int:
    """Seconds that the zone's clocks are ahead of UTC."""
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def from_wall(zone: ZoneInfo, wall: int) -> int:
    """Seconds since 1970 of a wall time, given as if its zone were UTC.

    For a time that does not exist or comes twice: what Go's ``time.Date`` makes of it, which
    tries the offset of the same number of seconds in UTC, and if that is wrong, one more.
    """
    offset = offset_at(zone, wall)
    return wall - offset_at(zone, wall - offset) if offset else wall


def day_of(wall: int) -> date:
    """The date of a wall time."""
    return date.fromordinal(_EPOCH + wall // DAY)


def midnight_of(day: date) -> int:
    """The wall time at which a date begins."""
    return (day.toordinal() - _EPOCH) * DAY


class _Search:
    """One call of ``Next``: each method is the loop over one field.

    A method returns False when its field went over its end: the search begins again above.
    """

    def __init__(self, fields: CronFields, zone: ZoneInfo, after: int) -> None:
        self._fields = fields
        self._zone = zone
        self._now = after + 1
        self._cut = False
        """Whether what is smaller than the field in question was set to its beginning."""
        self._quarter = -1
        self._offset = 0

    def find(self) -> int | None:
        last_year = self._day().year + _YEARS
        while self._day().year <= last_year:
            if self._to_month() and self._to_day() and self._to_hour() and self._to_minute():
                if self._now % MINUTE == 0:
                    return self._now
                self._cut = True
                self._now += -self._now % MINUTE
        return None

    def _wall(self) -> int:
        # Clocks change at full quarters of an hour only, everywhere since 1972.
        if self._now // _QUARTER != self._quarter:
            self._quarter = self._now // _QUARTER
            self._offset = offset_at(self._zone, self._now)
        return self._now + self._offset

    def _day(self) -> date:
        return day_of(self._wall())

    def _cut_to(self, wall: int) -> None:
        if not self._cut:
            self._cut = True
            self._now = from_wall(self._zone, wall)

    def _to_month(self) -> bool:
        while (day := self._day()).month not in self._fields.months:
            self._cut_to(midnight_of(day.replace(day=1)))
            wall = self._wall()
            day = day_of(wall)
            follows = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            wall = midnight_of(follows) + (day.day - 1) * DAY + wall % DAY
            self._now = from_wall(self._zone, wall)
            if self._day().month == 1:
                return False
        return True

    def _to_day(self) -> bool:
        while not self._fields.on(day := self._day()):
            self._cut_to(midnight_of(day))
            self._now = from_wall(self._zone, self._wall() + DAY)
            hour = self._wall() % DAY // HOUR
            if hour:
                # Meant for a midnight that does not exist. Where clocks are ahead of UTC it goes
                # back to the day before, and the day after is not looked at.
                self._now += (24 - hour if hour > 12 else -hour) * HOUR
            if self._day().day == 1:
                return False
        return True

    def _to_hour(self) -> bool:
        while self._wall() % DAY // HOUR not in self._fields.hours:
            self._cut_to(self._wall() // HOUR * HOUR)
            self._now += HOUR
            if self._wall() % DAY // HOUR == 0:
                return False
        return True

    def _to_minute(self) -> bool:
        while self._wall() % HOUR // MINUTE not in self._fields.minutes:
            if not self._cut:
                self._cut = True
                self._now -= self._now % MINUTE
            self._now += MINUTE
            if self._wall() % HOUR // MINUTE == 0:
                return False
        return True
