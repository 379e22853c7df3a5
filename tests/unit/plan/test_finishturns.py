"""Which Job ends the hooks of a Lease: the first, the next one, or none yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.plan.cronjob import Place
from reconciler.plan.finishjob import finish_name, finish_seconds, make_finish_job
from reconciler.plan.finishturns import Turn, find_dead, find_failed, find_turn
from reconciler.plan.hooklease import HookLease, OpenHook, QuietPod
from tests.unit.engine.run_world import CONFIG

NOW = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
HOOK = OpenHook(hook="quiesce", container="db", command=("unlock",), timeout=20)
LEASE = HookLease(
    name="backstay-hook-1", uid="u-1", version="1", holder="r-1/run-1-a", policy="shop",
    run_id="r-1", job="backstay-shop-1",
    pod=QuietPod(namespace="shop", pod="db-0", uid="p-1", open=(HOOK,)),
)  # fmt: skip
PLACE = Place(namespace="backstay-system")
MINUTE = timedelta(minutes=1)


def job(number: int, condition: str = "", reason: str = "", *, ago: timedelta = MINUTE) -> Any:
    """One that ends the hooks of `LEASE`."""
    made = make_finish_job(LEASE, CONFIG, PLACE, number=number, now=NOW)
    made["metadata"]["uid"] = f"job-{number}"
    if condition:
        told = {"type": condition, "status": "True", "reason": reason, "message": "said so"}
        told["lastTransitionTime"] = (NOW - ago).isoformat()
        made["status"] = {"conditions": [told]}
    return made


def pod_of(number: int, **status: Any) -> dict[str, Any]:
    """A pod of such a Job."""
    owner = {"kind": "Job", "uid": f"job-{number}"}
    return {"metadata": {"name": f"finish-{number}-a", "ownerReferences": [owner]}, **status}


def turn(*jobs: Any, pods: tuple[Any, ...] = ()) -> Turn:
    """Of `LEASE`."""
    return find_turn(LEASE, jobs, pods, NOW)


def test_the_first_one_is_due_at_once() -> None:
    other = job(1)
    other["metadata"]["name"] = "backstay-finish-000000000000-7"
    foreign = {"metadata": {"name": finish_name(LEASE).removesuffix("1") + "x"}}
    assert turn(other, foreign) == Turn(number=1)
    assert turn().is_due(NOW)


def test_a_job_that_is_at_work_is_waited_for() -> None:
    assert turn(job(1)) == Turn(number=1, at_work=True)
    assert not turn(job(1)).is_due(NOW)
    assert turn(job(1, "Failed"), job(2)) == Turn(number=2, at_work=True)
    assert turn(job(1, "Suspended")) == Turn(number=1, at_work=True)


@pytest.mark.parametrize("kind", ["Failed", "FailureTarget"])
def test_the_next_one_says_why_the_last_one_failed(kind: str) -> None:
    found = turn(job(1, kind, "DeadlineExceeded"))
    assert (found.number, found.due) == (2, NOW)
    assert (found.before, found.why) == (finish_name(LEASE, 1), "DeadlineExceeded: said so")


def test_after_one_that_was_complete_the_next_is_no_failures_successor() -> None:
    found = turn(job(9, "Complete"), job(10, "Complete"))
    assert (found.number, found.before) == (11, "")
    assert not found.is_due(NOW)


def test_pauses_grow_to_half_an_hour() -> None:
    due = {number: turn(job(number, "Failed", ago=timedelta())).due for number in (1, 2, 5, 6, 99)}
    assert due == {
        1: NOW + MINUTE, 2: NOW + 2 * MINUTE, 5: NOW + 16 * MINUTE, 6: NOW + 30 * MINUTE,
        99: NOW + 30 * MINUTE,
    }  # fmt: skip


def test_an_end_without_a_time_is_not_waited_for() -> None:
    ended = job(1, "Failed")
    ended["status"]["conditions"][0]["lastTransitionTime"] = None
    assert turn(ended).due is None
    assert turn(ended).is_due(NOW)


def test_a_job_whose_pod_is_lost_with_its_node_makes_no_other() -> None:
    due = {"deletionTimestamp": (NOW - 2 * MINUTE).isoformat()}
    lost = pod_of(1, status={"phase": "Running"})
    lost["metadata"] |= due
    found = turn(job(1), pods=(lost,))
    assert (found.number, found.due) == (2, NOW - MINUTE)
    assert found.why == "its pod finish-1-a is lost with its node"
    elsewhere = {**lost, "metadata": {**lost["metadata"], "ownerReferences": []}}
    assert turn(job(1), pods=(elsewhere, pod_of(1))).at_work


def test_only_leases_of_dead_holders_get_one() -> None:
    there = {"metadata": {"name": "run-1-a"}, "status": {"phase": "Running"}}
    assert find_dead([LEASE], [], [there], NOW) == []
    assert find_dead([LEASE], [], [], NOW) == [(LEASE, Turn(number=1))]
    assert find_dead([LEASE], [job(1)], [], NOW) == []


def test_a_post_command_that_failed_is_found_and_nothing_else() -> None:
    other = job(3, "Failed", "PodFailurePolicy")
    other["metadata"]["labels"] = naming.labels("run")
    jobs = [job(1, "Failed", "DeadlineExceeded"), job(2, "Failed", "PodFailurePolicy"), other]
    (found,) = find_failed([*jobs, job(4), job(5, "Complete")])
    assert (found.job, found.policy, found.run_id) == (finish_name(LEASE, 2), "shop", "r-1")
    assert (found.pod, found.ended) == ("shop/db-0", NOW - MINUTE)


def test_a_job_lives_as_long_as_its_commands_may_take() -> None:
    plain = make_finish_job(LEASE, CONFIG, PLACE, number=1, now=NOW)["spec"]
    unsure = HOOK.with_until(NOW + timedelta(hours=1))
    pod = QuietPod(namespace="shop", pod="db-0", uid="p-1", open=(unsure,))
    assert finish_seconds(pod, NOW) == finish_seconds(LEASE.pod, NOW) + 3600
    assert finish_seconds(pod, NOW + timedelta(hours=2)) == finish_seconds(LEASE.pod, NOW)
    assert plain["activeDeadlineSeconds"] > finish_seconds(LEASE.pod, NOW)
    assert plain["template"]["spec"]["terminationGracePeriodSeconds"] > HOOK.timeout
