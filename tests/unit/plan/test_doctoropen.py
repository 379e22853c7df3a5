"""What `doctor` says of pods in which hooks are open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.model.doctor import Finding, Level
from reconciler.plan.cronjob import Place
from reconciler.plan.doctoropen import CHECK, find_open
from reconciler.plan.finishjob import make_finish_job
from reconciler.plan.hooklease import (
    ANYBODY,
    HOOKS,
    OpenHook,
    QuietPod,
    make_lease,
    read_lease,
    render_pod,
)
from tests.unit.engine.run_world import CONFIG

RUN = "shop-20261121-041703-7c1e9"
NOW = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
AT_WORK = {"metadata": {"name": "run-a"}, "status": {"phase": "Running"}}


def find(
    *leases: dict[str, Any], jobs: Any = (), pods: Any = (), dead: Any = (), policy: str = ""
) -> list[Finding]:
    """What is said of them."""
    return list(
        find_open(
            leases, jobs, pods, namespace="backstay-system", now=NOW, dead=dead, policy=policy
        )
    )


def lease() -> dict[str, Any]:
    """Of a pod with two open hooks."""
    pod = QuietPod(namespace="shop", pod="db-0", uid="u-1")
    for name in ("quiesce", "freeze"):
        pod = pod.with_open(OpenHook(hook=name, container="db", command=("end", name), timeout=9))
    return make_lease(
        pod, namespace="backstay-system", holder=f"{RUN}/run-a", policy="shop", run_id=RUN,
        job="backstay-shop-1", now=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip


def finish_job(number: int, *conditions: dict[str, str]) -> dict[str, Any]:
    """The Job that ends these hooks."""
    place, read = Place(namespace="backstay-system"), read_lease(lease())
    job = make_finish_job(read, CONFIG, place, number=number, now=NOW)
    return job | {"status": {"conditions": [*conditions]}}


def failed(reason: str, at: str) -> dict[str, str]:
    """A condition."""
    return {
        "type": "Failed", "status": "True", "reason": reason, "message": "",
        "lastTransitionTime": at,
    }  # fmt: skip


def test_a_run_at_work_is_waited_for() -> None:
    (found,) = find(lease(), pods=[AT_WORK])
    assert (found.id, found.level) == (CHECK, Level.INFO)
    assert "has hooks open in pod shop/db-0: quiesce, freeze" in found.message
    assert found.hint == "wait for pod run-a: it ends them itself"


def with_failed(*names: str) -> dict[str, Any]:
    """The Lease, with what went wrong of some of its hooks."""
    raw = lease()
    pod = read_lease(raw).pod
    for hook in pod.open:
        if hook.hook in names:
            pod = pod.with_open(
                replace(hook, failed=f"hook {hook.hook} (post) failed: exit code 1")
            )
    raw["metadata"]["annotations"][HOOKS] = render_pod(pod)
    return raw


@pytest.mark.parametrize("pods", [[], [AT_WORK]])
def test_what_is_only_there_to_be_told_is_told_once(pods: Any) -> None:
    raw = with_failed("quiesce", "freeze")
    (found,) = find(raw, pods=pods)
    assert (found.id, found.level) == (CHECK, Level.PROBLEM)
    assert found.message == (
        f"pod shop/db-0 may still be quiesced by run {RUN}: hook quiesce (post) failed: exit code"
        " 1; hook freeze (post) failed: exit code 1"
    )
    assert found.hint.endswith(f"kubectl -n backstay-system delete lease {raw['metadata']['name']}")


def test_what_failed_is_told_beside_what_is_open() -> None:
    failed, held = find(with_failed("freeze"), pods=[AT_WORK])
    assert (failed.level, held.level) == (Level.PROBLEM, Level.INFO)
    assert "freeze (post) failed" in failed.message
    assert "delete" not in failed.hint
    assert held.message.endswith("db-0: quiesce")


def test_what_a_run_at_work_could_not_end_is_told() -> None:
    raw = lease()
    pod = read_lease(raw).pod
    given = pod.with_given(pod.open[1:], ANYBODY)
    raw["metadata"]["annotations"][HOOKS] = render_pod(given)
    held, found = find(raw, pods=[AT_WORK])
    assert (held.level, found.level) == (Level.INFO, Level.PROBLEM)
    assert found.message == f"run {RUN} could not end hooks in pod shop/db-0: freeze"
    assert found.hint.startswith("the controller starts the Job backstay-finish-")
    assert "--finish" not in found.hint


def test_whoever_ends_them_now_is_named() -> None:
    taken = lease()
    taken["spec"] |= {
        "holderIdentity": "laptop/4711@1f0c9a2b/88123", "leaseDurationSeconds": 900,
        "renewTime": "2026-11-21T04:20:00.000000Z",
    }  # fmt: skip
    (found,) = find(taken)
    assert (found.level, found.hint) == (Level.INFO, "wait for laptop/4711: it ends them itself")
    assert found.message.startswith(f"laptop/4711 ends the hooks that run {RUN} left open")
    (found,) = find(taken, dead=["laptop/4711@1f0c9a2b/88123"])
    assert found.level is Level.PROBLEM


def test_a_dead_one_is_told_with_what_ends_it() -> None:
    (found,) = find(lease())
    assert found.level is Level.PROBLEM
    assert "pod run-a of backstay-system is gone" in found.message
    assert f"backstay run shop --finish {lease()['metadata']['name']}" in found.hint
    given = lease()
    given["spec"]["holderIdentity"] = f"{RUN}/"
    (other,) = find(given)
    assert (other.level, other.hint) == (found.level, found.hint)
    assert other.message.endswith("quiesce, freeze; nobody has begun to end them for good")
    job = finish_job(1)
    (found,) = find(lease(), jobs=[job])
    assert f"logs job/{job['metadata']['name']}" in found.hint


def test_a_job_that_failed_is_told_with_the_time_of_the_next_one() -> None:
    job = finish_job(2, failed("BackoffLimitExceeded", "2026-11-21T04:29:00Z"))
    (found,) = find(lease(), jobs=[job])
    name = job["metadata"]["name"]
    assert found.hint.startswith(f"Job {name} failed: BackoffLimitExceeded (kubectl -n ")
    assert f"{name[:-2]}-3 after 04:31 UTC; without a controller: backstay run" in found.hint


def test_a_post_command_that_failed_is_told_though_nothing_is_open() -> None:
    job = finish_job(1, failed("PodFailurePolicy", "2026-11-21T04:29:00Z"))
    (found,) = find(jobs=[job])
    assert (found.id, found.level) == (CHECK, Level.PROBLEM)
    assert found.where == f"Job backstay-system/{job['metadata']['name']}"
    assert f"failed in pod shop/db-0, which run {RUN} had left quiesced" in found.message
    assert find(jobs=[job], policy="crm") == []
    assert find(jobs=[finish_job(1, failed("DeadlineExceeded", "2026-11-21T04:29:00Z"))]) == []


def test_other_leases_and_policies_are_passed_over() -> None:
    other = lease()
    other["metadata"]["labels"] = {}
    assert find(other) == []
    assert find(lease(), policy="crm") == []


def test_one_that_somebody_broke_is_told() -> None:
    broken = lease()
    broken["metadata"]["annotations"] = {}
    (found,) = find(broken)
    assert found.level is Level.WARNING
    assert "not a hook's, or was changed" in found.message
