"""What a status counts goes by the methods that a run would choose, which storage decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.counting import Counting
from reconciler.engine.observe import observe_claims, observe_namespaces
from reconciler.engine.storageclasses import StorageOnce
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.policy import BackupPolicy, CopyMethod
from reconciler.plan.cronjob import WantedPolicy
from reconciler.plan.entries import Entry
from reconciler.plan.mirrorcover import Counter
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.snapshots import DRIVER, SNAPSHOT_CLASS, STORAGE_CLASS, FakeSnapshots
from tests.unit.engine.controller_world import CONFIG
from tests.unit.engine.mirror_world import claim
from tests.unit.engine.run_world import manifest
from tests.unit.plan.schedules_world import policy


@pytest.fixture
def cluster() -> FakeCluster:
    """Return a claim of a CSI driver and one of a class that is not there."""
    made = FakeCluster()
    FakeSnapshots(made)
    made.put(manifest("Namespace", "shop", ""))
    for name, storage_class in (("data", STORAGE_CLASS), ("old", "gone")):
        raw = claim(name)
        raw["spec"]["storageClassName"] = storage_class
        made.put(raw)
    made.put(manifest("storage.k8s.io/v1/StorageClass", STORAGE_CLASS, "", provisioner=DRIVER))
    return made


def put_class(cluster: FakeCluster) -> None:
    api = "snapshot.storage.k8s.io/v1/VolumeSnapshotClass"
    cluster.put(manifest(api, SNAPSHOT_CLASS, "", driver=DRIVER, deletionPolicy="Delete"))


def wants(method: CopyMethod) -> BackupPolicy:
    base = policy("shop")
    return replace(base, volumes=replace(base.volumes, copy_method=method))


def entry(method: CopyMethod) -> Entry:
    found = WantedPolicy(
        policy=wants(method), text="", source="a.yaml#0", digest="sha256:1", revision="1"
    )
    return Entry(name="shop", source="a.yaml#0", wanted=found)


def counting(cluster: FakeCluster, reader: FaultyReader | None = None) -> Counting:
    config = replace(CONFIG, shared_key_in_tenants=True)
    counter = Counter(
        observe_namespaces(cluster),
        observe_claims(cluster),
        config,
        own_namespace="backstay-system",
    )
    cluster.requests.clear()
    return Counting(counter, StorageOnce(reader or cluster), {})


@pytest.mark.parametrize(
    ("method", "without", "having"),
    [
        (CopyMethod.SNAPSHOT, 0, 1),
        (CopyMethod.AUTO, 2, 2),
        (CopyMethod.CLONE, 1, 1),
        (CopyMethod.DIRECT, 2, 2),
        (CopyMethod.SKIP, 0, 0),
    ],
)
def test_only_what_can_be_copied_counts(
    cluster: FakeCluster, method: CopyMethod, without: int, having: int
) -> None:
    for expected in (without, having):
        found = counting(cluster).count(entry(method))
        assert found is not None
        assert (found.namespaces, found.claims) == (1, expected)
        put_class(cluster)


def test_classes_are_read_once_and_only_where_a_policy_asks(cluster: FakeCluster) -> None:
    made = counting(cluster)
    made.count(entry(CopyMethod.DIRECT))
    assert cluster.requests["pages"] == 0
    for _ in range(3):
        made.count(entry(CopyMethod.AUTO))
    assert cluster.requests["pages"] == 2


def test_who_may_not_read_classes_still_counts_what_needs_none(cluster: FakeCluster) -> None:
    reader = FaultyReader(cluster, lambda r, _: r.kind == "StorageClass", error=Refused("no"))
    made = counting(cluster, reader)
    assert made.count(entry(CopyMethod.SNAPSHOT)) is None
    assert made.untold == ["no"]
    assert made.count(entry(CopyMethod.DIRECT)) is not None


def test_a_list_of_classes_that_breaks_is_no_empty_one(cluster: FakeCluster) -> None:
    reader = FaultyReader(cluster, lambda r, _: r.kind == "VolumeSnapshotClass")
    with pytest.raises(Incomplete):
        counting(cluster, reader).count(entry(CopyMethod.AUTO))
