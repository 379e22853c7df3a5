"""Leases: decisions, and races that are lost for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.adapters import kubelease
from reconciler.model.errors import Transient

NOW = datetime(2026, 11, 21, 4, 17, 3, 123456, tzinfo=UTC)


def lease(**spec: Any) -> dict[str, Any]:
    """A lease held since now for a minute."""
    held = {
        "holderIdentity": "one",
        "leaseDurationSeconds": 60,
        "renewTime": kubelease.render_micro_time(NOW),
        "leaseTransitions": 4,
    }
    return {"metadata": {"name": "x", "resourceVersion": "7"}, "spec": {**held, **spec}}


def test_times_have_microseconds() -> None:
    assert kubelease.render_micro_time(NOW) == "2026-11-21T04:17:03.123456Z"
    assert kubelease.parse_micro_time("2026-11-21T04:17:03.123456Z") == NOW
    assert kubelease.parse_micro_time("2026-11-21T05:17:03.123456+01:00") == NOW
    for text in (None, "", "soon", "2026-11-21T04:17:03", 7):
        assert kubelease.parse_micro_time(text) is None


@pytest.mark.parametrize(
    ("found", "after", "holder"),
    [
        (None, 0, ""),
        ({}, 0, ""),
        ({"spec": None}, 0, ""),
        (lease(), 0, "one"),
        (lease(), 59, "one"),
        (lease(), 60, ""),
        (lease(holderIdentity=""), 0, ""),
        (lease(holderIdentity=None), 0, ""),
        (lease(renewTime=None), 0, ""),
        (lease(renewTime="2126-11-21T04:17:03.123456Z"), 0, "one"),
        (lease(leaseDurationSeconds=None), 0, ""),
    ],
)
def test_who_holds_it(found: dict[str, Any] | None, after: int, holder: str) -> None:
    assert kubelease.held_by(found, NOW + timedelta(seconds=after)) == holder


def test_taking_over_counts_and_keeps_the_version() -> None:
    later = NOW + timedelta(seconds=90)
    new = kubelease.taken(lease(), later, namespace="n", name="x", holder="two", seconds=30)
    assert new["metadata"]["resourceVersion"] == "7"
    assert new["spec"] == {
        "holderIdentity": "two",
        "leaseDurationSeconds": 30,
        "acquireTime": "2026-11-21T04:18:33.123456Z",
        "renewTime": "2026-11-21T04:18:33.123456Z",
        "leaseTransitions": 5,
    }


def test_a_freed_lease_keeps_its_count() -> None:
    assert kubelease.freed(lease())["spec"] == {"leaseTransitions": 4}


def test_a_race_that_is_always_lost_ends() -> None:
    with pytest.raises(Transient, match="lost 10 races"):
        kubelease.acquire(
            lambda: None,
            lambda _: False,
            lambda: NOW,
            namespace="n",
            name="x",
            holder="one",
            seconds=60,
            take_from="",
        )
    with pytest.raises(Transient, match="giving it back"):
        kubelease.release(lease, lambda _: False, holder="one")
