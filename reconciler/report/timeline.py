"""Runs as a row of characters: one column is one stretch of time, all rows share a ruler.

``·`` no run, ``1`` to ``9`` so many, ``+`` ten or more. Times are UTC; columns begin at multiples
of their length from midnight, so that the same hour has the same column in every drawing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_HOURS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24)
_LABEL = "00-00 "
NONE, MANY = "·", "+"


@dataclass(frozen=True, slots=True)
class TimeLine:
    """The columns of a drawing."""

    begin: datetime
    step: timedelta
    columns: int

    def row(self, runs: Iterable[datetime]) -> str:
        """One character per column."""
        counts = Counter((run - self.begin) // self.step for run in runs)
        return "".join(_cell(counts[column]) for column in range(self.columns))

    def ruler(self) -> str:
        """The days, each above the column in which it begins, as many as there is room for."""
        text = ""
        for column in range(self.columns):
            begin = self.begin + column * self.step
            midnight = begin.hour == 0
            if midnight and len(text) <= column and column + len(_LABEL) - 1 <= self.columns:
                text = text.ljust(column) + f"{begin:%m-%d} "
        return text.rstrip()

    @property
    def unit(self) -> str:
        """How long a column is: ``12 h``, ``7 d``."""
        hours = int(self.step.total_seconds()) // 3600
        return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"


def time_line(since: datetime, until: datetime, width: int) -> TimeLine:
    """The finest columns of which at most ``width`` hold everything from ``since`` to ``until``."""
    for hours in _HOURS:
        step = timedelta(hours=hours)
        begin = _floor(since, step)
        columns = -((begin - until) // step)
        if columns <= width:
            break
    return TimeLine(begin, step, max(columns, 1))


def _floor(moment: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return moment - (moment - epoch) % step


def _cell(count: int) -> str:
    if count == 0:
        return NONE
    return str(count) if count < 10 else MANY
