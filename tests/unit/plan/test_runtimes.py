"""Runs and gaps as CronJob has them; a year of arithmetic is the search step by step."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.policy import Schedule
from reconciler.plan.crontimes import next_time
from reconciler.plan.runtimes import count_runs, runs_between, worst_gap
from reconciler.plan.zonechanges import changes_of
from reconciler.policy.cron import CronError, parse_cron

SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
YEAR = timedelta(days=366)
HOUR, DAY = 3600, 86400
ZONES = (
    "Etc/UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Santiago",
    "America/Nuuk",
    "Atlantic/Azores",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
)


def walked(schedule: Schedule, since: datetime, until: datetime) -> list[datetime]:
    found = []
    run = next_time(schedule, since)
    while run is not None and run <= until:
        found.append(run)
        run = next_time(schedule, run)
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("17 4 * * *", "Etc/UTC", "2026-11-21T04:16:59", "2026-11-21T04:17"),
        ("17 4 * * *", "Etc/UTC", "2026-11-21T04:17", "2026-11-22T04:17"),
        ("17 4 * * *", "Asia/Kathmandu", "2026-11-21T00:00", "2026-11-21T22:32"),
        ("0 0 29 2 *", "Etc/UTC", "2026-11-21T00:00", "2028-02-29T00:00"),
        ("0 0 31 * *", "Etc/UTC", "2026-11-01T00:00", "2026-12-31T00:00"),
        ("0 0 13 * FRI", "Etc/UTC", "2026-11-01T00:00", "2026-11-06T00:00"),
        ("17 2 * * *", "Europe/Berlin", "2027-03-27T02:00", "2027-03-29T00:17"),
        ("17 2 * * *", "Europe/Berlin", "2027-10-31T00:00", "2027-10-31T00:17"),
        ("17 2 * * *", "Europe/Berlin", "2027-10-31T00:17", "2027-10-31T01:17"),
        ("17 2 * * *", "Europe/Berlin", "2027-10-31T01:17", "2027-11-01T01:17"),
        # The search jumps over the Friday on which clocks change at midnight.
        ("0 5 * * FRI", "Africa/Cairo", "2027-04-24T00:00", "2027-05-07T02:00"),
    ],
)
def test_the_next_time(cron: str, zone: str, after: str, expected: str) -> None:
    assert next_time(Schedule(cron, zone), at(after)) == at(expected)


def test_a_schedule_without_a_time_in_five_years_has_none() -> None:
    assert next_time(Schedule("0 0 29 2 *"), at("2096-03-01T00:00")) is None
    assert worst_gap(Schedule("0 0 29 2 *"), at("2096-03-01T00:00")) is None


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "cron", ["30 0,2 * * *", "15 1 * * THU-SAT", "0 5 * * FRI", "0 0 1,26-31 * *", "45 23 * * 6"]
)
def test_a_year_of_runs_is_the_search_step_by_step(zone: str, cron: str) -> None:
    schedule = Schedule(cron, zone)
    runs = list(runs_between(schedule, SINCE, SINCE + YEAR))
    assert runs == walked(schedule, SINCE, SINCE + YEAR)
    assert count_runs(schedule, SINCE, SINCE + YEAR) == len(runs)


@st.composite
def crons(draw: st.DrawFn) -> str:
    """Schedules of some times a day, most of them around the hours in which clocks change."""
    minute = draw(st.sampled_from(["0", "30", "59", "*/20", "17"]))
    hour = draw(st.sampled_from(["0", "1", "2", "3", "23", "0,12", "1-3", "*/6", "22,23", "5"]))
    day = draw(st.sampled_from(["*", "*", "1", "31", "25-31", "*/2", "1-31/3"]))
    month = draw(st.sampled_from(["*", "*", "3,4,9-11", "*/2", "2"]))
    weekday = draw(st.sampled_from(["*", "*", "0", "FRI", "SAT", "1-5", "*/2"]))
    return f"{minute} {hour} {day} {month} {weekday}"


@settings(max_examples=60)
@given(
    text=crons(),
    zone=st.sampled_from(ZONES),
    minutes=st.integers(0, 2 * 366 * 1440),
    days=st.integers(0, 60),
)
def test_any_stretch_of_runs_is_the_search_step_by_step(
    text: str, zone: str, minutes: int, days: int
) -> None:
    try:
        schedule = Schedule(parse_cron(text), zone)
    except CronError:
        return
    since = SINCE + timedelta(minutes=minutes)
    until = since + timedelta(days=days)
    assert list(runs_between(schedule, since, until)) == walked(schedule, since, until)


@settings(max_examples=60)
@given(text=crons(), zone=st.sampled_from(ZONES), days=st.integers(0, 800))
def test_the_worst_gap_is_the_longest_of_all(text: str, zone: str, days: int) -> None:
    try:
        schedule = Schedule(parse_cron(text), zone)
    except CronError:
        return
    since = SINCE + timedelta(days=days)
    runs = list(runs_between(schedule, since, since + YEAR))
    runs = runs or [run for run in [next_time(schedule, since)] if run]
    after = next_time(schedule, runs[-1])
    pairs = list(pairwise([*runs, after] if after else runs))
    found = worst_gap(schedule, since)
    assert found is not None
    assert found.seconds == max((end - begin).total_seconds() for begin, end in pairs)
    assert (found.begin, found.end) in pairs


@pytest.mark.parametrize(
    ("cron", "zone", "seconds", "begin"),
    [
        ("17 4 * * *", "Etc/UTC", DAY, "2026-11-22T04:17"),
        ("17 2 * * *", "Europe/Berlin", 47 * HOUR, "2027-03-27T01:17"),
        ("17 4 * * *", "Europe/Berlin", 25 * HOUR, "2027-10-30T02:17"),
        ("* * * * *", "Europe/Berlin", 60, "2026-11-21T18:01"),
        ("0 * * * *", "Europe/Berlin", HOUR, "2026-11-21T19:00"),
        ("0 8-18 * * 1-5", "Etc/UTC", 62 * HOUR, "2026-11-27T18:00"),
        ("0 0 1 1 *", "Etc/UTC", 365 * DAY, "2027-01-01T00:00"),
        ("0 0 29 2 *", "Etc/UTC", 1461 * DAY, "2028-02-29T00:00"),
        ("0 5 * * FRI", "Africa/Cairo", 14 * DAY - HOUR, "2027-04-23T03:00"),
        ("0 * * * *", "Australia/Lord_Howe", 5400, "2027-04-03T14:00"),
    ],
)
def test_worst_gaps(cron: str, zone: str, seconds: int, begin: str) -> None:
    found = worst_gap(Schedule(cron, zone), SINCE)
    assert found is not None
    assert (found.seconds, found.begin) == (seconds, at(begin))


def test_the_window_is_open_at_its_begin_and_closed_at_its_end() -> None:
    first, second = at("2026-11-22T04:17"), at("2026-11-23T04:17")
    assert list(runs_between(Schedule("17 4 * * *"), first, second)) == [second]
    assert list(runs_between(Schedule("17 4 * * *"), first, first)) == []


def test_changes_of_clocks() -> None:
    spring, autumn = changes_of("Europe/Berlin", date(2027, 1, 1), date(2027, 12, 31))
    assert (spring.by, autumn.by) == (HOUR, -HOUR)
    assert spring.first_day == date(2027, 3, 28)
    assert spring.plain
    assert autumn.plain
    assert changes_of("Etc/UTC", date(2027, 1, 1), date(2030, 12, 31)) == ()
    cairo = changes_of("Africa/Cairo", date(2027, 1, 1), date(2027, 12, 31))
    assert not any(change.plain for change in cairo)
