"""How close two times of a schedule can be."""

from __future__ import annotations

import pytest

from reconciler.plan.intervals import shortest_interval

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", MINUTE),
        ("*/15 * * * *", 15 * MINUTE),
        ("*/7 * * * *", 4 * MINUTE),  # 56 → 0
        ("0,50 * * * *", 10 * MINUTE),
        ("30 */5 * * *", 4 * HOUR),  # 20:30 → 0:30
        ("17 2 * * *", DAY),
        ("0 4 * * 1", 7 * DAY),
        ("0 4 * * 1,2", DAY),
        ("0 0 1 * *", 28 * DAY),
        ("0 0 29 2 *", (4 * 365 + 1) * DAY),
        ("0 12 31 12 *", 365 * DAY),
        ("59 23 31 12 *", 365 * DAY),
    ],
)
def test_shortest_interval(cron: str, seconds: int) -> None:
    assert shortest_interval(cron) == seconds


def test_what_is_no_schedule_has_none() -> None:
    assert shortest_interval("every day") is None
