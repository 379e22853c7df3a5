"""Each kind of the table is followed for real, by each of the ways that the table names."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.capture import references
from reconciler.model.objects import Resource
from tests.unit.capture.test_references import ADMISSION, RBAC, cluster, inside, subject, wanted

Seen = tuple[Resource, dict[str, Any]]
STORAGE = "storage.k8s.io"
SNAPSHOT = f"snapshot.{STORAGE}"
SERVICE = {"namespace": "shop", "name": "hook"}
ELSEWHERE = {"namespace": "other", "name": "hook"}
POD = {"priorityClassName": "x", "runtimeClassName": "x"}
TEMPLATE = {"template": {"spec": POD}}


def binding(role: str, **who: Any) -> Seen:
    found = {"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": [who]}
    return cluster(f"clusterrolebinding.{RBAC}", "x", **found)


def webhook(kind: str, service: dict[str, str]) -> Seen:
    return cluster(f"{kind}.{ADMISSION}", "x", webhooks=[{"clientConfig": {"service": service}}])


def request(part: dict[str, Any]) -> dict[str, Any]:
    return {"devices": {"requests": [part]}}


def definition(service: dict[str, str]) -> Seen:
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": {"service": service}}}
    folder = "customresourcedefinition.apiextensions.k8s.io"
    return cluster(folder, "x", spec={"conversion": conversion})


FIRST = {"deviceClassName": "x"}
CLAIM = "persistentvolumeclaim"
CASES: tuple[tuple[str, Seen | None, Seen | None, str], ...] = (
    ("namespace", None, cluster("namespace", "shop"), "selected"),
    ("persistentvolume", inside(CLAIM, "c", spec={"volumeName": "x"}), None, f"used by {CLAIM}"),
    (
        "persistentvolume",
        None,
        cluster("persistentvolume", "x", spec={"claimRef": {"namespace": "shop", "name": "c"}}),
        "bound to claim shop/c",
    ),
    (
        "customresourcedefinition.apiextensions.k8s.io",
        None,
        definition(SERVICE),
        "converted by service shop/hook",
    ),
    (
        f"storageclass.{STORAGE}",
        inside(CLAIM, "c", spec={"storageClassName": "x"}),
        None,
        f"used by {CLAIM} shop/c",
    ),
    (
        f"storageclass.{STORAGE}",
        inside(
            "statefulset.apps",
            "s",
            spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "x"}}]},
        ),
        None,
        "used by statefulset.apps shop/s",
    ),
    (
        f"volumeattributesclass.{STORAGE}",
        inside(CLAIM, "c", spec={"volumeAttributesClassName": "x"}),
        None,
        f"used by {CLAIM} shop/c",
    ),
    (
        f"volumesnapshotclass.{SNAPSHOT}",
        inside(f"volumesnapshot.{SNAPSHOT}", "s", spec={"volumeSnapshotClassName": "x"}),
        None,
        f"used by volumesnapshot.{SNAPSHOT} shop/s",
    ),
    (
        f"volumesnapshotcontent.{SNAPSHOT}",
        None,
        cluster(
            f"volumesnapshotcontent.{SNAPSHOT}",
            "x",
            spec={"volumeSnapshotRef": {"namespace": "shop", "name": "s"}},
        ),
        "holds volumesnapshot shop/s",
    ),
    (
        f"clusterrole.{RBAC}",
        inside(f"rolebinding.{RBAC}", "b", roleRef={"kind": "ClusterRole", "name": "x"}),
        None,
        f"used by rolebinding.{RBAC} shop/b",
    ),
    (
        f"clusterrolebinding.{RBAC}",
        None,
        binding("r", **subject("web")),
        "binds serviceaccount shop/web",
    ),
    (
        f"clusterrolebinding.{RBAC}",
        None,
        binding("r", kind="Group", name="system:serviceaccounts:shop"),
        "binds all service accounts of shop",
    ),
    (
        f"clusterrolebinding.{RBAC}",
        None,
        binding("r", kind="User", name="system:serviceaccount:shop:web"),
        "binds serviceaccount shop/web",
    ),
    *(
        (folder, inside(kind, "w", spec=spec), None, f"used by {kind} shop/w")
        for folder in ("priorityclass.scheduling.k8s.io", "runtimeclass.node.k8s.io")
        for kind, spec in (
            ("pod", POD),
            ("deployment.apps", TEMPLATE),
            ("job.batch", TEMPLATE),
            ("cronjob.batch", {"jobTemplate": {"spec": TEMPLATE}}),
            ("rollout.argoproj.io", TEMPLATE),
        )
    ),
    (
        "ingressclass.networking.k8s.io",
        inside("ingress.networking.k8s.io", "i", spec={"ingressClassName": "x"}),
        None,
        "used by ingress.networking.k8s.io shop/i",
    ),
    (
        "gatewayclass.gateway.networking.k8s.io",
        inside("gateway.gateway.networking.k8s.io", "g", spec={"gatewayClassName": "x"}),
        None,
        "used by gateway.gateway.networking.k8s.io shop/g",
    ),
    *(
        (
            "deviceclass.resource.k8s.io",
            inside(f"{kind}.resource.k8s.io", "d", spec=spec),
            None,
            f"used by {kind}.resource.k8s.io shop/d",
        )
        for kind, spec in (
            ("resourceclaim", request({"deviceClassName": "x"})),
            ("resourceclaim", request({"exactly": {"deviceClassName": "x"}})),
            ("resourceclaimtemplate", {"spec": request({"firstAvailable": [FIRST]})}),
        )
    ),
    *(
        (f"{kind}.{ADMISSION}", None, webhook(kind, SERVICE), "calls service shop/hook")
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
    ),
    (
        "apiservice.apiregistration.k8s.io",
        None,
        cluster("apiservice.apiregistration.k8s.io", "x", spec={"service": SERVICE}),
        "served by service shop/hook",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("folder", "user", "itself", "why"), CASES)
def test_it_comes_with_what_needs_it(
    folder: str, user: Seen | None, itself: Seen | None, why: str
) -> None:
    needed = itself or cluster(folder, "x")
    other = cluster(folder, "another")
    found = wanted(*filter(None, (user, needed, other)))
    name = needed[1]["metadata"]["name"]
    assert found[f"{folder}/{name}"].startswith(why)
    assert f"{folder}/another" not in found


def test_there_is_a_case_for_each_kind_of_the_table() -> None:
    assert {folder for folder, *_ in CASES} == {folder for folder, _ in references.TABLE}


@pytest.mark.parametrize(
    "found",
    [
        definition(ELSEWHERE),
        webhook("mutatingwebhookconfiguration", ELSEWHERE),
        binding("r", **subject("web", "other")),
        binding("r", kind="Group", name="system:serviceaccounts"),
        binding("r", kind="Group", name="system:serviceaccounts:other"),
        binding("r", kind="User", name="jane"),
        cluster("customresourcedefinition.apiextensions.k8s.io", "x", spec={"conversion": None}),
        cluster("namespace", "other"),
    ],
)
def test_what_points_elsewhere_stays_there(found: Seen) -> None:
    assert wanted(found) == {}


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("service", webhook("validatingwebhookconfiguration", SERVICE)),
        ("service", definition(SERVICE)),
        (
            "service",
            cluster("apiservice.apiregistration.k8s.io", "x", spec={"service": SERVICE}),
        ),
        ("serviceaccount", binding("r", **subject("web"))),
        (
            f"volumesnapshot.{SNAPSHOT}",
            cluster(
                f"volumesnapshotcontent.{SNAPSHOT}",
                "x",
                spec={"volumeSnapshotRef": {"namespace": "shop", "name": "s"}},
            ),
        ),
    ],
)
def test_what_points_at_a_kind_that_is_not_captured_is_not_needed(kind: str, found: Seen) -> None:
    kept, left = references.References(["shop"]), references.References(["shop"], without=[kind])
    for collector in (kept, left):
        collector.observe(*found)
    assert len(kept.wanted()) == 1
    assert left.wanted() == {}
