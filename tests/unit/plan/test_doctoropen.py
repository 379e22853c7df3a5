"""What `doctor` says of pods in which hooks are open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.model.doctor import Level
from reconciler.plan.doctoropen import CHECK, find_open
from reconciler.plan.finishjob import finish_name
from reconciler.plan.hooklease import OpenHook, QuietPod, make_lease, read_lease

RUN = "shop-20261121-041703-7c1e9"
PLACE = {"namespace": "backstay-system", "policy": ""}


def lease() -> dict[str, Any]:
    """Of a pod with two open hooks."""
    pod = QuietPod(namespace="shop", pod="db-0", uid="u-1")
    for name in ("quiesce", "freeze"):
        pod = pod.with_open(OpenHook(hook=name, container="db", command=("end", name), timeout=9))
    return make_lease(
        pod, namespace="backstay-system", holder=f"{RUN}/run-a", policy="shop", run_id=RUN,
        job="backstay-shop-1", now=datetime(2026, 11, 21, tzinfo=UTC),
    )  # fmt: skip


def test_a_run_at_work_is_waited_for() -> None:
    (found,) = find_open([lease()], [], alive={RUN}, **PLACE)
    assert (found.id, found.level) == (CHECK, Level.INFO)
    assert "has hooks open in pod shop/db-0: quiesce, freeze" in found.message


def test_a_dead_one_is_told_with_what_ends_it() -> None:
    (found,) = find_open([lease()], [], alive=set(), **PLACE)
    assert found.level is Level.PROBLEM
    assert f"backstay run shop --finish {lease()['metadata']['name']}" in found.hint
    job = {"metadata": {"name": finish_name(read_lease(lease()))}}
    (found,) = find_open([lease()], [job], alive=set(), **PLACE)
    assert f"logs job/{job['metadata']['name']}" in found.hint


def test_other_leases_and_policies_are_passed_over() -> None:
    other = lease()
    other["metadata"]["labels"] = {}
    assert list(find_open([other], [], alive=set(), **PLACE)) == []
    elsewhere = {**PLACE, "policy": "crm"}
    assert list(find_open([lease()], [], alive=set(), **elsewhere)) == []


def test_one_that_somebody_broke_is_told() -> None:
    broken = lease()
    broken["metadata"]["annotations"] = {}
    (found,) = find_open([broken], [], alive=set(), **PLACE)
    assert found.level is Level.WARNING
    assert "not a hook's, or was changed" in found.message
