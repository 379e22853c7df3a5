"""Other words of a retention: which ones keep what the words before kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Severity
from reconciler.model.inventory import Inventory
from reconciler.model.policy import Retention, Schedule
from reconciler.plan.retentionfindings import retention_findings
from reconciler.plan.retentionproof import covers
from tests.unit.plan.schedules_world import policy
from tests.unit.plan.test_retentionfindings import NOW, findings, place, points

Words = Mapping[str, Any]


@pytest.mark.parametrize(
    ("before", "after", "cron"),
    [
        ({"keep_daily": 7}, {"keep_within": "100y"}, "H 4 * * *"),
        ({"keep_daily": 7}, {"keep_within_daily": "1y"}, "17 4 * * 1"),
        ({"keep_within_daily": "14d"}, {"keep_within": "14d"}, "17 4 * * 1"),
        ({"keep_daily": 9, "keep_within": "1y"}, {"keep_within": "1y"}, "17 4 * * 1"),
        ({"keep_hourly": 24}, {"keep_within": "100y"}, "0 * * * *"),
    ],
)
def test_covered(before: Words, after: Words, cron: str) -> None:
    assert covers(Retention(**before), Retention(**after), Schedule(cron), NOW)


@pytest.mark.parametrize(
    ("before", "after", "cron"),
    [
        ({"keep_daily": 9}, {"keep_daily": 5}, "17 4 * * *"),
        ({"keep_weekly": 4}, {"keep_daily": 12}, "17 4 * * *"),
        # After weeks without a run a count keeps what a span does not:
        ({"keep_daily": 7}, {"keep_within": "30d"}, "17 4 * * *"),
        # Runs by hand fill the places of some words and not of others:
        ({"keep_daily": 7}, {"keep_last": 7}, "17 4 * * *"),
        ({"keep_last": 7}, {"keep_daily": 7}, "17 4 * * *"),
        ({"keep_daily": 2, "keep_last": 9}, {"keep_last": 9}, "17 4 * * *"),
        # Older than any history that is made up:
        ({"keep_yearly": 3}, {"keep_within": "100y"}, "17 4 * * *"),
        ({"keep_daily": 90}, {"keep_within": "100y"}, "0 * * * *"),
        ({}, {"keep_within": "100y"}, "17 4 * * *"),
        # Nothing to show it by:
        ({"keep_daily": 7}, {"keep_within": "100y"}, "0 0 30 2 *"),
        ({"keep_daily": 7}, {"keep_within": "100y"}, "0 0 29 2 *"),
    ],
)
def test_not_covered(before: Words, after: Words, cron: str) -> None:
    assert not covers(Retention(**before), Retention(**after), Schedule(cron), NOW)


def test_other_words_are_a_note() -> None:
    (found,) = findings({"keep_daily": 7}, {"keep_within": "100y"}, *points("shop", 30, "shop"))
    assert (found.id, found.severity) == ("retention-changed", Severity.NOTE)
    assert found.message == (
        "policy shop: recovery points are kept by other words (keepDaily 7 → none,"
        " keepWithin none → 100y); none would expire, of those of today or by its schedule"
    )
    assert found.place == place("shop", "retention.keepDaily")


def test_words_that_keep_less_stay_a_warning_where_none_expires_today() -> None:
    (found,) = findings({"keep_daily": 7}, {"keep_within": "30d"}, *points("shop", 9, "shop"))
    assert (found.id, found.severity) == ("retention-shortened", Severity.WARNING)


def test_where_points_are_not_known_other_words_stay_a_warning() -> None:
    before, after = {"keep_daily": 7}, {"keep_within": "100y"}
    (found,) = findings(before, after, inventory=False)
    assert (found.id, found.severity) == ("retention-shortened", Severity.WARNING)
    old, new = (replace(policy("shop"), retention=Retention(**w)) for w in (before, after))
    for known in (
        Inventory(cluster="prod", uid="u", points_known=False),
        Inventory(cluster="prod", uid="u", older_points={"shop": 1}),
    ):
        (found,) = retention_findings([old], [new], known, NOW, place)
        assert found.id == "retention-shortened"


def test_both_schedules_count() -> None:
    old = replace(policy("shop", "*/5 * * * *"), retention=Retention(keep_daily=7))
    new = replace(policy("shop"), retention=Retention(keep_within="100y"))
    found = Inventory(cluster="prod", uid="u")
    assert retention_findings([old], [new], found, NOW, place)[0].id == "retention-shortened"
    same = replace(old, schedule=new.schedule)
    assert retention_findings([same], [new], found, NOW, place)[0].id == "retention-changed"
