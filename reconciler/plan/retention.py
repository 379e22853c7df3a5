"""Which recovery points a retention keeps, and by which of its words. Pure.

The words mean what they mean to restic (`ApplyPolicy` in its internal/data/snapshot_policy.go, of
which a contract test holds the results against ours), applied to the recovery points of one
policy in one namespace. Hours, days, weeks (ISO), months and years are those of UTC; restic has
them in the zone of the machine that made a snapshot, which for our movers is UTC.

What restic has no word for, because its snapshots don't fail:

- Only a complete point fills a place. A partial one stands in where a period that a word still
  has a place for has no complete one; a word keeps at most as many of them as it has places.
- The last complete point always stays (I13), and so does the newest partial one after it.
- What Failed or was Skipped is no recovery point, and nothing keeps it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.model.inventory import PointDigest
from reconciler.model.policy import Retention
from reconciler.model.run import Outcome

_SPAN = re.compile(r"(?:(\d{1,6})y)?(?:(\d{1,6})m)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Point:
    """A run's part for one namespace: when the run began, and how that part ended."""

    run: str
    started: datetime
    outcome: Outcome = Outcome.COMPLETED


@dataclass(frozen=True, slots=True)
class Verdict:
    """Keep or expire; ``reasons`` are never empty (I8)."""

    point: Point
    keep: bool
    reasons: tuple[str, ...]


_Period = Callable[[Point], str]

_PERIODS: Mapping[str, _Period] = {
    "Last": lambda point: point.run,
    "Hourly": lambda point: f"{point.started:%Y-%m-%dT%H}h",
    "Daily": lambda point: f"{point.started:%Y-%m-%d}",
    "Weekly": lambda point: "{}-W{:02}".format(*point.started.isocalendar()[:2]),
    "Monthly": lambda point: f"{point.started:%Y-%m}",
    "Yearly": lambda point: f"{point.started:%Y}",
}


@dataclass(slots=True)
class _Table:
    """The points of one decision, newest first, and what was found for each."""

    good: Sequence[Point]
    partial: Sequence[Point]
    now: datetime
    why: dict[Point, list[str]] = field(default_factory=dict)

    def keep(self, point: Point, reason: str) -> None:
        self.why.setdefault(point, []).append(reason)

    def fill(self, word: str, count: int, period: _Period) -> None:
        """restic's keep-last to keep-yearly: the newest of each of the newest ``count`` periods.

        Has it fewer periods, the oldest point stays as well: the longest history there can be.
        """
        used, last = 0, ""
        for number, point in enumerate(self.good, start=1):
            here = period(point)
            if used == count:
                break
            if here == last and number < len(self.good):
                continue
            used += 1
            place = f"{used} of {count}"
            told = "the oldest there is" if here == last else _named(word, here)
            self.keep(point, f"{word}: {told}, {place}")
            last = here
        self._stand_in(word, count, period)

    def _stand_in(self, word: str, count: int, period: _Period) -> None:
        """Partial points where a place is left and its period has no complete point."""
        begins = sorted(-_seconds(point) for point in _firsts(self.good, period))
        complete = {period(point) for point in self.good}
        for point in _firsts(self.partial, period, limit=count, without=complete):
            if bisect_left(begins, -_seconds(point)) < count:
                told = "" if word == "keepLast" else f"{period(point)} has "
                self.keep(point, f"{word}: {told}no complete one in its place")

    def within(self, word: str, span: str, period: _Period | None) -> None:
        """restic's keep-within family: not older than ``span`` before the newest point."""
        since = _before(self._latest(), span)
        good = [point for point in self.good if point.started > since]
        partial = [point for point in self.partial if point.started > since]
        if period is None:
            for point in (*good, *partial):
                self.keep(point, f"{word}: within {span}")
            return
        firsts = _firsts(good, period)
        for point in firsts:
            self.keep(point, f"{word}: {period(point)}, within {span}")
        if firsts and len(good) == len(self.good) and good[-1] is not firsts[-1]:
            self.keep(good[-1], f"{word}: the oldest there is, within {span}")
        complete = {period(point) for point in self.good}
        for point in _firsts(partial, period, without=complete):
            self.keep(point, f"{word}: {period(point)} has no complete one, within {span}")

    def _latest(self) -> datetime:
        """The newest point that is not of the future."""
        points = self.good or self.partial
        return max((p.started for p in points if p.started < self.now), default=_LONG_AGO)


def decide(points: Iterable[Point], retention: Retention, now: datetime) -> tuple[Verdict, ...]:
    """Every point of one policy in one namespace, newest first, each with its reasons.

    The order of ``points`` does not matter; of two with one run the first counts. A retention
    without a word keeps everything. Raises ValueError for a span that is none.
    """
    ordered = _ordered(points)
    table = _Table(
        good=[point for point in ordered if point.outcome is Outcome.COMPLETED],
        partial=[point for point in ordered if point.outcome is Outcome.PARTIALLY_FAILED],
        now=now,
    )
    words = retention.words()
    for name, period in _PERIODS.items():
        if count := words.get(f"keep{name}"):
            table.fill(f"keep{name}", int(count), period)
    for name, within in {"": None, **_PERIODS}.items():
        if span := words.get(f"keepWithin{name}"):
            table.within(f"keepWithin{name}", str(span), within)
    _keep_last_ones(table)
    return tuple(_verdict(point, table.why.get(point, []), bare=not words) for point in ordered)


def expired(points: Iterable[Point], retention: Retention, now: datetime) -> tuple[Point, ...]:
    """Those that `decide` does not keep, newest first."""
    return tuple(found.point for found in decide(points, retention, now) if not found.keep)


def points_in(digests: Iterable[PointDigest], namespace: str) -> tuple[Point, ...]:
    """The points of one namespace among the runs of one policy."""
    return tuple(
        Point(digest.run, digest.started, digest.namespaces[namespace])
        for digest in digests
        if namespace in digest.namespaces
    )


def span_hours(span: str) -> int:
    """About how long ``1y5m7d2h`` is: to compare two of them. Raises ValueError."""
    years, months, days, hours = _parts(span)
    return hours + 24 * (days + 31 * months + 366 * years)


def _ordered(points: Iterable[Point]) -> list[Point]:
    known: dict[str, Point] = {}
    for point in points:
        known.setdefault(point.run, Point(point.run, point.started.astimezone(UTC), point.outcome))
    return sorted(known.values(), key=lambda point: (point.started, point.run), reverse=True)


def _firsts(
    points: Iterable[Point],
    period: _Period,
    *,
    limit: int | None = None,
    without: frozenset[str] | set[str] = frozenset(),
) -> list[Point]:
    """The newest point of each period, at most ``limit`` of them."""
    found: list[Point] = []
    last = ""
    for point in points:
        here = period(point)
        if here == last or here in without:
            continue
        if len(found) == limit:
            break
        found.append(point)
        last = here
    return found


def _keep_last_ones(table: _Table) -> None:
    """What stays whatever the words say."""
    last = table.good[0] if table.good else None
    if last is not None and last not in table.why:
        table.keep(last, "the last complete one always stays")
    newest = table.partial[0] if table.partial else None
    if newest is None or newest in table.why:
        return
    if last is None or (newest.started, newest.run) > (last.started, last.run):
        table.keep(newest, "no complete one is newer")


def _verdict(point: Point, why: list[str], *, bare: bool) -> Verdict:
    if bare:
        return Verdict(point, keep=True, reasons=("the policy has no retention",))
    if why:
        return Verdict(point, keep=True, reasons=tuple(why))
    if point.outcome not in (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED):
        return Verdict(point, keep=False, reasons=(f"{point.outcome}: it is no recovery point",))
    if point.outcome is Outcome.COMPLETED:
        return Verdict(point, keep=False, reasons=("no word of the retention keeps it",))
    told = "it is not complete, and stands in for none that is missing"
    return Verdict(point, keep=False, reasons=(told,))


def _named(word: str, period: str) -> str:
    return "newest" if word == "keepLast" else period


def _seconds(point: Point) -> float:
    return point.started.timestamp()


def _parts(span: str) -> tuple[int, int, int, int]:
    found = _SPAN.fullmatch(span)
    if found is None or not span:
        raise ValueError(f"{span!r} is not a span such as 1y5m7d2h")
    years, months, days, hours = (int(number or 0) for number in found.groups())
    return years, months, days, hours


def _before(moment: datetime, span: str) -> datetime:
    """Go's ``AddDate`` backwards, as restic counts: 31 March less a month is 3 March."""
    years, months, days, hours = _parts(span)
    year, month = divmod(12 * (moment.year - years) + moment.month - 1 - months, 12)
    if year < 1:
        return _LONG_AGO
    first = moment.replace(year=year, month=month + 1, day=1)
    try:
        return first + timedelta(days=moment.day - 1 - days, hours=-hours)
    except OverflowError:
        return _LONG_AGO
