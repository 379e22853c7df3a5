"""What clock changes take away, double and add, with dates."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.policy import Schedule
from reconciler.plan.clockchanges import Effect, hours, irregular_times

SINCE = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)


def told(cron: str, zone: str) -> list[str]:
    return [str(one) for one in irregular_times(Schedule(cron, zone), SINCE)]


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("17 2 * * *", "Etc/UTC"),
        ("17 2 * * *", "Asia/Kolkata"),
        ("17 4 * * *", "Europe/Berlin"),
        ("0 * * * *", "Europe/Berlin"),
        ("*/5 * * * *", "America/New_York"),
        ("17 2 * * MON", "Europe/Berlin"),
        ("17 2 1 * *", "Europe/Berlin"),
    ],
)
def test_most_schedules_are_not_touched(cron: str, zone: str) -> None:
    assert told(cron, zone) == []


def test_a_daily_time_in_the_gap_is_lost_once_and_comes_twice_once() -> None:
    assert told("17 2 * * *", "Europe/Berlin") == [
        "no run at 02:17 on 2027-03-28: clocks go forward in Europe/Berlin, 47 h without a run",
        "two runs at 02:17 on 2027-10-31: clocks go back in Europe/Berlin",
    ]


def test_several_times_are_one_warning() -> None:
    assert told("*/20 2 * * *", "Europe/Berlin") == [
        (
            "no run at 02:00 on 2027-03-28 and 2 more: clocks go forward in Europe/Berlin,"
            " 46.3 h without a run"
        ),
        "two runs at 02:00 on 2027-10-31 and 2 more: clocks go back in Europe/Berlin",
    ]


def test_a_weekly_time_loses_a_fortnight() -> None:
    first, _ = told("30 2 * * SUN", "Europe/Berlin")
    assert first.endswith("335 h without a run")


def test_a_day_that_the_search_passes_over_is_told() -> None:
    found = irregular_times(Schedule("0 5 * * FRI", "Africa/Cairo"), SINCE)
    assert [one.effect for one in found] == [Effect.PASSED_OVER]
    assert str(found[0]) == (
        "no run at 05:00 on 2027-04-30: CronJob passes over it, because clocks change,"
        " 335 h without a run"
    )
    assert found[0].loses


def test_a_run_that_nobody_asked_for_is_told() -> None:
    found = irregular_times(Schedule("0 5 * * THU", "Africa/Cairo"), SINCE)
    assert [str(one) for one in found] == [
        "a run more at 05:00 on 2027-04-30: CronJob adds it, because clocks change"
    ]
    assert not found[0].loses


def test_every_hour_is_told_of_where_half_an_hour_is_lost() -> None:
    (first,) = told("0 * * * *", "Australia/Lord_Howe")
    assert first == (
        "no run at 02:00 on 2027-10-03: clocks go forward in Australia/Lord_Howe,"
        " 1.5 h without a run"
    )


def test_only_the_asked_time_is_looked_at() -> None:
    schedule = Schedule("17 2 * * *", "Europe/Berlin")
    assert irregular_times(schedule, datetime(2027, 3, 29, tzinfo=UTC))[0].effect is Effect.TWICE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1200, "20 min"), (5400, "1.5 h"), (86400, "24 h"), (47 * 3600, "47 h"), (14 * 86400, "14 d")],
)
def test_lengths(seconds: int, text: str) -> None:
    assert hours(seconds) == text
