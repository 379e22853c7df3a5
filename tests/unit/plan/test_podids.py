"""As whom restored files are written."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.podids import PodIds, ids_by_claim


def workload(kind: str, spec: Any, name: str = "web") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def claim(name: str) -> dict[str, Any]:
    return workload("PersistentVolumeClaim", {}, name)


def pod(claim_name: str = "files", **context: Any) -> dict[str, Any]:
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}
    return {"securityContext": context, "containers": [{}], "volumes": [volume]}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Pod", pod(runAsUser=7)),
        ("Deployment", {"template": {"spec": pod(runAsUser=7)}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": pod(runAsUser=7)}}}}),
        ("Coupon", {"template": {"spec": pod(runAsUser=7)}}),
    ],
)
def test_a_claims_user_is_the_workloads(kind: str, spec: dict[str, Any]) -> None:
    assert ids_by_claim([workload(kind, spec)]) == {("shop", "files"): PodIds(user=7)}


def test_containers_win_where_they_agree_and_the_pod_where_they_do_not() -> None:
    spec = pod(runAsUser=1, fsGroup=3)
    spec["containers"] = [{"securityContext": {"runAsUser": 5}}] * 2
    found = ids_by_claim([workload("Pod", spec)])
    assert found["shop", "files"] == PodIds(user=5, fs_group=3)
    spec["containers"] = [{"securityContext": {"runAsUser": 5}}, {}]
    assert ids_by_claim([workload("Pod", spec)])["shop", "files"] == PodIds(user=1, fs_group=3)


def test_the_first_workload_that_mounts_it_counts() -> None:
    first, second = workload("Pod", pod(runAsUser=1), "a"), workload("Pod", pod(runAsUser=2), "b")
    assert ids_by_claim([first, second])["shop", "files"].user == 1


@pytest.mark.parametrize("replicas", [{}, {"replicas": 0}, {"replicas": None}, {"replicas": 2}])
def test_a_stateful_sets_claims_are_known_by_their_names(replicas: dict[str, Any]) -> None:
    template = {"spec": {"securityContext": {"runAsUser": 70}, "containers": [{}]}}
    templates = [{"metadata": {"name": "data"}}]
    spec = {"template": template, "volumeClaimTemplates": templates, **replicas}
    found = ids_by_claim(
        [claim("data-db-0"), claim("data-db-11"), claim("data-dbx-0"), claim("data-db-x"),
         workload("StatefulSet", spec, "db")]
    )  # fmt: skip
    assert found == {
        ("shop", "data-db-0"): PodIds(user=70),
        ("shop", "data-db-11"): PodIds(user=70),
    }


@pytest.mark.parametrize(
    "spec",
    [
        "text", ["list"], None, 7, {"template": "text"}, {"template": {"spec": ["list"]}},
        {"jobTemplate": "text"}, {"volumeClaimTemplates": "text"}, {"volumeClaimTemplates": [7]},
        {"template": {"spec": {"volumes": "text", "containers": {"a": 1}}}},
        {"template": {"spec": {"volumes": ["text", {"persistentVolumeClaim": "x"}]}}},
        {"template": {"spec": {"securityContext": "root", "containers": [{"securityContext": 1}]}}},
    ],
)  # fmt: skip
def test_custom_kinds_may_have_anything_anywhere(spec: Any) -> None:
    assert ids_by_claim([workload("Coupon", spec), {"kind": "X", "metadata": "text"}]) == {}


def test_what_is_no_number_is_no_id() -> None:
    found = ids_by_claim([workload("Pod", pod(runAsUser="root", fsGroup=True))])
    assert found == {("shop", "files"): PodIds()}
