"""Which pods may still be at work, by what Kubernetes says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.plan.podlife import is_at_work, is_lost, moment_of

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
DONE = {"name": "run", "state": {"terminated": {"exitCode": 137}}}
RUNS = {"name": "run", "state": {"running": {}}}


def pod(phase: str = "Running", deleted: str = "", *containers: dict[str, Any]) -> dict[str, Any]:
    """One of a Job."""
    metadata = {"name": "run-1-a"} | ({"deletionTimestamp": deleted} if deleted else {})
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": [*containers]}}


AT_WORK = {
    "it runs": pod(),
    "it starts": pod("Pending"),
    "nobody knows": pod("Unknown"),
    "one of its containers runs": pod("Running", "", DONE, RUNS),
    "it is told to end, and has time": pod("Running", "2026-11-21T04:20:00Z", RUNS),
    "its time is over just now": pod("Running", "2026-11-21T04:16:03Z", RUNS),
    "it is told to end some time": pod("Running", "soon", RUNS),
    "nothing is known of it yet": {"metadata": {"name": "run-1-a"}},
}
DEAD = {
    "it is gone": None,
    "it ended well": pod("Succeeded"),
    "it ended badly": pod("Failed"),
    "its containers ended, and nobody summed up": pod("Running", "", DONE, DONE),
    "its time is over for more than a minute": pod("Running", "2026-11-21T04:16:02Z", RUNS),
}


@pytest.mark.parametrize("found", AT_WORK.values(), ids=AT_WORK)
def test_a_pod_that_may_be_at_work(found: dict[str, Any]) -> None:
    assert is_at_work(found, NOW)


@pytest.mark.parametrize("found", DEAD.values(), ids=DEAD)
def test_a_pod_that_does_nothing_any_more(found: dict[str, Any] | None) -> None:
    assert not is_at_work(found, NOW)


def test_what_has_ended_is_not_lost() -> None:
    assert is_lost(pod("Running", "2026-11-21T04:10:00Z", RUNS), NOW)
    assert not is_lost(pod("Failed", "2026-11-21T04:10:00Z", DONE), NOW)


def test_a_time_without_a_zone_is_none() -> None:
    assert moment_of("2026-11-21T04:17:03Z") == NOW
    assert [moment_of(text) for text in (None, "", "2026-11-21T04:17:03")] == [None] * 3
