"""What raw objects say in an inventory, and what it leaves out."""

from __future__ import annotations

import pytest

from reconciler.model.cluster import Claim
from reconciler.model.inventory import ClaimTemplate, SnapshotClass, StorageClass
from reconciler.plan.inventory import (
    About,
    Objects,
    make_inventory,
    slim,
    slim_pod,
    slim_set,
    templates_of,
    workload_of,
)
from reconciler.plan.inventoryfiles import (
    namespace_path,
    published,
    read_namespace,
    render_inventory,
)
from reconciler.plan.observe import claim_of
from tests.unit.plan.inventories import ABOUT, OBJECTS, POINTS, UID, claim, named, pod, small


def test_everything_is_sorted_and_the_uid_is_that_of_kube_system() -> None:
    found = small()
    assert (found.cluster, found.uid) == ("prod-eu", UID)
    names = [part.namespace.name for part in found.namespaces]
    assert names == ["aux", "blog", "kube-system", "shop"]
    shop = found.namespaces[3]
    assert [one.name for one in shop.claims] == ["data-db-0", "data-db-1", "uploads"]
    assert shop.claims[2] == Claim(
        namespace="shop",
        name="uploads",
        storage_class="nfs",
        phase="Bound",
        access_modes=("ReadWriteMany",),
        size=1500 * 2**20,
        uid="uid-uploads",
    )
    assert found.storage_classes == (
        StorageClass(name="fast", provisioner="csi.example.org", default=True),
        StorageClass(name="nfs", provisioner="nfs.example.org"),
    )
    assert found.snapshot_classes == (SnapshotClass(name="fast-snap", driver="csi.example.org"),)
    assert [(point.policy, point.started.day) for point in found.points] == [
        ("shop", 19), ("blog", 20), ("shop", 20), ("shop", 21),
    ]  # fmt: skip


def test_the_order_of_lists_never_matters() -> None:
    turned = Objects(
        namespaces=list(reversed(list(OBJECTS.namespaces))),
        claims=list(reversed(list(OBJECTS.claims))),
        pods=list(reversed(list(OBJECTS.pods))),
        stateful_sets=OBJECTS.stateful_sets,
        storage_classes=list(reversed(list(OBJECTS.storage_classes))),
    )
    about = About(cluster="prod-eu")
    assert make_inventory(about, turned).namespaces == make_inventory(about, OBJECTS).namespaces


def test_a_claim_of_a_namespace_that_came_between_two_lists_is_left_out() -> None:
    assert all(one.namespace != "younger" for part in small().namespaces for one in part.claims)


def test_a_claim_is_told_by_the_workload_that_people_know() -> None:
    blog, shop = small().namespaces[1], small().namespaces[3]
    assert shop.workloads == {
        "data-db-0": "StatefulSet/db",
        "data-db-1": "Pod/bare",
        "uploads": "Deployment/web",
    }
    assert blog.workloads == {"raw": "CronJob/report"}
    assert shop.users["data-db-0"].pod == "db-0"


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        ("ReplicaSet/by-hand", "ReplicaSet/by-hand"),
        ("Job/import-2026", "Job/import-2026"),
        ("Cluster/pg", "Cluster/pg"),
        ("", "Pod/x"),
    ],
)
def test_other_owners_are_told_as_they_are(owner: str, workload: str) -> None:
    assert workload_of(pod("shop", "x", "data", owner)) == workload


def test_claim_templates_are_those_of_the_stateful_sets() -> None:
    assert small().namespaces[3].templates == (
        ClaimTemplate(
            workload="db", name="data", storage_class="fast", size=10 * 2**30, replicas=2
        ),
    )
    none = named("StatefulSet", "one", "shop", spec={"volumeClaimTemplates": [named("", "data")]})
    found = make_inventory(
        About(cluster="x"), Objects(namespaces=[named("Namespace", "shop")], stateful_sets=[none])
    )
    assert found.namespaces[0].templates == (
        ClaimTemplate(workload="one", name="data", replicas=1),
    )


def test_a_set_scaled_to_zero_has_no_replicas() -> None:
    raw = named(
        "StatefulSet", "db", "shop", spec={"replicas": 0, "volumeClaimTemplates": [named("", "d")]}
    )
    found = make_inventory(
        About(cluster="x"), Objects(namespaces=[named("Namespace", "shop")], stateful_sets=[raw])
    )
    assert found.namespaces[0].templates[0].replicas == 0


def test_slim_objects_give_the_same_inventory_and_hold_no_values() -> None:
    kept = Objects(
        namespaces=[slim(one) for one in OBJECTS.namespaces],
        claims=[slim(one) for one in OBJECTS.claims],
        pods=[few for one in OBJECTS.pods if (few := slim_pod(one)) is not None],
        stateful_sets=[slim_set(one) for one in OBJECTS.stateful_sets],
        storage_classes=[slim(one) for one in OBJECTS.storage_classes],
        snapshot_classes=[slim(one) for one in OBJECTS.snapshot_classes],
    )
    assert "hunter2" not in repr(kept)
    found, whole = make_inventory(ABOUT, kept, POINTS), small()
    assert published(found) == published(whole)
    assert [part.claims for part in found.namespaces] == [part.claims for part in whole.namespaces]


def test_a_claim_that_a_restore_fills_is_told_as_such_from_a_slim_one_too() -> None:
    raw = claim("shop", "data")
    raw["metadata"]["annotations"] = {"backstay.dev/restoring": "shop-1", "note": "hunter2"}
    kept = slim(raw)
    assert "hunter2" not in repr(kept)
    assert claim_of(kept) == claim_of(raw)


def test_what_no_owner_or_claim_can_be_called_is_not_told() -> None:
    raw = pod("shop", "x", "data", "Job/![a](https://evil.example.org)")
    assert workload_of(raw) == "Pod/x"
    templates = [named("", name) for name in ("data", "<b>", "a b")]
    templates.append({**named("", "odd"), "spec": {"storageClassName": "x\ny"}})
    found = templates_of(
        named("StatefulSet", "db", "shop", spec={"volumeClaimTemplates": templates})
    )
    assert [one.name for one in found] == ["data"]


@pytest.mark.parametrize("metadata", [{}, {"creationTimestamp": None}, None])
def test_a_template_without_a_name_is_left_out(metadata: object) -> None:
    nameless = {"metadata": metadata, "spec": {}}
    templates = [nameless, {"spec": {}}, named("", "data")]
    found = templates_of(
        named("StatefulSet", "db", "shop", spec={"volumeClaimTemplates": templates})
    )
    assert [one.name for one in found] == ["data"]


@pytest.mark.parametrize(
    ("asked", "size"), [("-5Gi", 0), ("-1", 0), ("999E", 2**63 - 1), ("1e18", 10**18)]
)
def test_what_no_claim_can_ask_for_is_cut_to_what_a_reader_takes(asked: str, size: int) -> None:
    spec = {"resources": {"requests": {"storage": asked}}}
    raw = named(
        "StatefulSet", "db", "shop", spec={"volumeClaimTemplates": [named("", "d", spec=spec)]}
    )
    objects = Objects(namespaces=[named("Namespace", "shop")], stateful_sets=[raw])
    found = make_inventory(About(cluster="x", uid=UID), objects)
    assert found.namespaces[0].templates[0].size == size
    path = namespace_path("shop")
    assert read_namespace(path, render_inventory(found)[path]) == published(found).namespaces[0]


def test_a_pod_without_claims_is_forgotten() -> None:
    raw = pod("shop", "x", "data")
    raw["spec"]["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    assert slim_pod(raw) is None
    raw["spec"]["volumes"] = [{"name": "tmp", "ephemeral": {"volumeClaimTemplate": {}}}]
    assert slim_pod(raw) is not None
    assert slim_pod(claim("shop", "no-pod")) is None
