"""What a Lease says of open hooks is read back as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model.errors import Refused
from reconciler.plan.hooklease import HOOKS, OpenHook, QuietPod, make_lease, read_lease

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
OPEN = OpenHook(hook="quiesce", container="db", command=("unlock",), timeout=20)
OTHER = OpenHook(hook="other", container="db")
POD = QuietPod(namespace="shop", pod="db-0", uid="u1")


def lease_of(pod: QuietPod) -> dict[str, object]:
    """A raw one."""
    return make_lease(
        pod, namespace="backstay-system", holder="r/p", policy="shop", run_id="r", job="", now=NOW
    )


def test_until_when_a_pre_command_may_be_at_work_is_read_back() -> None:
    opened = OPEN.with_until(NOW + timedelta(seconds=30, microseconds=1))
    (found,) = read_lease(lease_of(POD.with_open(opened))).pod.open
    assert (found, found.until) == (OPEN, "2026-11-21T04:17:34Z")
    assert found.moment == NOW + timedelta(seconds=31)
    assert found.is_unsure(NOW)
    assert not found.is_unsure(NOW + timedelta(seconds=31))
    ended = found.with_until(None)
    assert (ended.moment, ended.is_unsure(NOW)) == (None, False)


def test_a_lease_without_it_is_as_before() -> None:
    raw = lease_of(POD.with_open(OPEN))
    assert "until" not in str(raw)
    assert read_lease(raw).pod == POD.with_open(OPEN)


def test_what_is_known_later_takes_the_place_of_what_was_written() -> None:
    pod = POD.with_open(OPEN).with_open(OTHER).with_open(OPEN.with_until(NOW))
    assert [(one.hook, one.moment) for one in pod.open] == [("quiesce", NOW), ("other", None)]
    assert pod.without(OPEN).open == (OTHER,)


@pytest.mark.parametrize("until", ["soon", "2026-11-21", "2026-13-21T04:17:03Z"])
def test_a_time_that_is_none_is_refused(until: str) -> None:
    raw = lease_of(POD.with_open(OPEN.with_until(NOW)))
    annotations = raw["metadata"]["annotations"]  # type: ignore[index]
    annotations[HOOKS] = annotations[HOOKS].replace("2026-11-21T04:17:03Z", until)
    with pytest.raises(Refused, match="was changed: time data"):
        read_lease(raw)
