"""The inventory of a cluster and of its branch: the same values, complete or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.inventory import inventory_branch, observe_inventory, read_inventory
from reconciler.model import kinds
from reconciler.model.errors import Incomplete, InvalidInput, Refused
from reconciler.model.objects import Gap
from reconciler.model.store import Write
from reconciler.plan.inventoryfiles import published
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.plan.inventories import ABOUT, OBJECTS, POINTS, TAKEN, UID, small
from tests.unit.plan.test_inventory_files import files_of

VERSIONS = {
    "StatefulSet": "apps/v1",
    "StorageClass": "storage.k8s.io/v1",
    "VolumeSnapshotClass": "snapshot.storage.k8s.io/v1",
}


def shop_cluster(*, snapshots: bool = True, uid: str = UID) -> FakeCluster:
    """A cluster with all that `tests.unit.plan.inventories` has."""
    cluster = FakeCluster(uid=uid)
    if snapshots:
        cluster.serve(kinds.SNAPSHOT_CLASSES)
    for raws in (
        OBJECTS.namespaces,
        OBJECTS.claims,
        OBJECTS.pods,
        OBJECTS.stateful_sets,
        OBJECTS.storage_classes,
        OBJECTS.snapshot_classes if snapshots else (),
    ):
        for raw in raws:
            if raw["metadata"].get("namespace") != "younger" and not _is_home(raw):
                cluster.put({"apiVersion": VERSIONS.get(raw["kind"], "v1"), **raw})
    cluster.requests.clear()
    return cluster


def _is_home(raw: Mapping[str, Any]) -> bool:
    return bool(raw["metadata"]["name"] == "kube-system")


def store_with(files: dict[str, bytes], cluster: str = "prod-eu") -> FakeManifestStore:
    """A repository whose branch has these files."""
    store = FakeManifestStore()
    branch = inventory_branch(cluster)
    changes = [Write(path, data) for path, data in files.items()]
    store.push({branch: store.commit(branch, None, changes, "Publish", when=TAKEN)})
    return store


def without_default(found: Any) -> Any:
    """What the fake cluster has of its own left out."""
    return replace(
        found, namespaces=tuple(p for p in found.namespaces if p.namespace.name != "default")
    )


def test_cluster_and_branch_give_the_same_values() -> None:
    live = without_default(observe_inventory(shop_cluster(), ABOUT, POINTS))
    assert published(live) == published(small())
    assert read_inventory(store_with(files_of(live)), "prod-eu") == published(live)


def test_a_cluster_costs_six_lists_whatever_its_size() -> None:
    cluster = shop_cluster()
    for number in range(30):
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"n{number}"}})
    cluster.requests.clear()
    observe_inventory(cluster, ABOUT)
    assert cluster.requests == {"pages": 6, "discover": 1}


def test_without_a_snapshot_controller_there_are_no_snapshot_classes() -> None:
    cluster = shop_cluster(snapshots=False)
    assert observe_inventory(cluster, ABOUT).snapshot_classes == ()
    assert cluster.requests == {"pages": 5, "discover": 1}


def test_a_group_that_does_not_answer_is_not_taken_for_none() -> None:
    cluster = shop_cluster()
    cluster.failed.append(Gap(group="snapshot.storage.k8s.io", plural="", reason="503"))
    with pytest.raises(Incomplete, match="volumesnapshotclass"):
        observe_inventory(cluster, ABOUT)


@pytest.mark.parametrize(
    "kind",
    [
        "Namespace",
        "PersistentVolumeClaim",
        "Pod",
        "StatefulSet",
        "StorageClass",
        "VolumeSnapshotClass",
    ],
)
def test_i2_half_a_list_is_no_inventory(kind: str) -> None:
    reader = FaultyReader(shop_cluster(), lambda resource, _: resource.kind == kind)
    with pytest.raises(Incomplete):
        observe_inventory(reader, ABOUT)


def test_an_object_without_a_name_is_an_error_and_no_traceback() -> None:
    class Odd(FakeCluster):
        def pages(self, resource: Any, **_: Any) -> Any:
            yield [{"kind": resource.kind, "metadata": {}}]

    with pytest.raises(Incomplete, match="lacks what every one of its kind has"):
        observe_inventory(Odd(), ABOUT)


def test_no_branch_says_who_would_write_it() -> None:
    with pytest.raises(Refused, match="no branch inventory/prod-eu") as caught:
        read_inventory(FakeManifestStore(), "prod-eu")
    assert "inventory.url" in caught.value.hint


def test_another_name_is_told_with_those_that_are_there() -> None:
    with pytest.raises(Refused) as caught:
        read_inventory(store_with(files_of(small())), "prod-us")
    assert "inventories there: prod-eu" in caught.value.hint


def test_a_copied_branch_is_not_read_as_another_clusters() -> None:
    store = store_with(files_of(small()), "prod-us")
    with pytest.raises(Refused, match="holds the inventory of cluster prod-eu"):
        read_inventory(store, "prod-us")


def test_what_does_not_fit_is_told_with_branch_file_and_line() -> None:
    files = files_of(small())
    files["namespaces/blog.json"] = b"{\n what"
    with pytest.raises(InvalidInput) as caught:
        read_inventory(store_with(files), "prod-eu")
    assert str(caught.value.problems[0]).startswith("inventory/prod-eu:namespaces/blog.json:2:2: ")
