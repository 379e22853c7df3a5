"""What changed in the cluster since a recovery point; what is not known is not called removed."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from reconciler import ports
from reconciler.engine.drift import NO_KEY, Drift, find_drift
from reconciler.engine.reading import PointFinder, Wanted
from reconciler.engine.restoresource import fingerprint_key
from reconciler.model.errors import Transient
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import ClusterScoped
from reconciler.plan.diff import HIDDEN
from reconciler.plan.pointnames import PointName
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, RunWorld, manifest
from tests.unit.engine.test_capture_selected import world as choosing
from tests.unit.engine.test_run import list_of


@pytest.fixture
def world() -> RunWorld:
    world = RunWorld()
    world.run()
    return world


def drift(
    world: RunWorld,
    wanted: Wanted | None = None,
    *,
    reader: ports.ClusterReader | None = None,
    key: bool = True,
) -> Drift:
    store = FakeManifestStore(world.remote)
    named = PointFinder(store, CLUSTER).find(PointName("shop", "latest"))
    found = fingerprint_key(world.keyring, named.record) if key else None
    return find_drift(store, named, reader or world.cluster, wanted or Wanted(), found)


def told(found: Drift) -> list[str]:
    return [f"{change.kind} {change}" for change in found.changes]


def password(text: str) -> dict[str, Any]:
    data = {"password": base64.b64encode(text.encode()).decode()}
    return manifest("Secret", "db", data=data, metadata={"annotations": {"note": f"it is {text}"}})


def test_nothing_changed(world: RunWorld) -> None:
    assert drift(world) == Drift()


def test_what_was_added_changed_and_removed(world: RunWorld) -> None:
    world.cluster.put(manifest("ConfigMap", "settings", data={"colour": "red"}))
    world.cluster.put(manifest("ConfigMap", "new"))
    world.cluster.put(manifest("Namespace", "elsewhere", ""))
    world.cluster.put(manifest("ConfigMap", "new", "elsewhere"))
    world.cluster.remove(manifest("apps/v1/Deployment", "web"))
    before = len(world.cluster.writes)
    found = drift(world)
    assert len(world.cluster.writes) == before
    assert told(found) == [
        "added shop/configmap/new",
        "changed shop/configmap/settings",
        "removed shop/deployment.apps/web",
    ]
    assert [(one.old, one.new) for one in found.changes[1].fields] == [("green", "red")]
    assert told(drift(world, Wanted(kinds=("deployment",)))) == found_only(found, "deployment")
    assert told(drift(world, Wanted(namespaces=("other",)))) == []


def found_only(found: Drift, kind: str) -> list[str]:
    return [line for line in told(found) if f"/{kind}" in line]


def test_secrets_by_their_fingerprints(world: RunWorld) -> None:
    world.cluster.put(password("another one"))
    (change,) = drift(world).changes
    assert [one.field for one in change.fields] == ["data.password", "metadata.annotations.note"]
    assert {one.new for one in change.fields} == {HIDDEN}
    assert "another one" not in repr(change)
    found = drift(world, key=False)
    assert (found.changes, found.notes) == ([], [NO_KEY])


def test_i2_what_could_not_be_listed_is_not_removed(world: RunWorld) -> None:
    world.cluster.remove(manifest("ConfigMap", "settings"))
    world.cluster.remove(manifest("apps/v1/Deployment", "web"))
    reader = FaultyReader(world.cluster, list_of("ConfigMap"), error=Transient("403"))
    found = drift(world, reader=reader)
    assert told(found) == ["removed shop/deployment.apps/web"]
    assert [gap.folder for gap in found.gaps] == ["configmap"]
    world.cluster.failed = [Gap(group="apps", reason="503")]
    world.cluster.resources = [one for one in world.cluster.resources if one.group != "apps"]
    assert told(drift(world, reader=reader)) == []


def test_a_namespace_that_is_gone(world: RunWorld) -> None:
    world.lose_shop()
    found = told(drift(world))
    assert "removed namespace/shop" in found
    assert "removed shop/configmap/settings" in found


def test_what_is_new_and_cluster_scoped_under_all() -> None:
    world = choosing(cluster_scoped=ClusterScoped.ALL, exclude=("csidriver*", "*.example.org"))
    world.run()
    assert drift(world) == Drift()
    gauge = Resource(
        group="new.example.org", version="v1", kind="Gauge", plural="gauges", namespaced=False
    )
    world.cluster.serve(gauge)
    for kind, name in (
        ("new.example.org/v1/Gauge", "one"),
        ("storage.k8s.io/v1/CSIDriver", "new"),
        ("scheduling.k8s.io/v1/PriorityClass", "new"),
        ("rbac.authorization.k8s.io/v1/ClusterRole", "the-first-of-its-kind"),
        ("Namespace", "elsewhere"),
        ("Node", "n2"),
    ):
        world.cluster.put(manifest(kind, name, ""))
    world.cluster.remove(manifest("scheduling.k8s.io/v1/PriorityClass", "unused", ""))
    # Of the excluded kinds one was there, and the glob of the other is not known: no run told it.
    assert told(drift(world)) == [
        "added clusterrole.rbac.authorization.k8s.io/the-first-of-its-kind",
        "added gauge.new.example.org/one",
        "added priorityclass.scheduling.k8s.io/new",
        "removed priorityclass.scheduling.k8s.io/unused",
    ]
    assert told(drift(world, Wanted(namespaces=("shop",)))) == []
    world.run(2)
    world.cluster.put(manifest("new.example.org/v1/Gauge", "two", ""))
    assert drift(world) == Drift(), "a run has met the glob"


def test_the_volume_of_a_copy_is_neither_captured_nor_new_under_all() -> None:
    spec = {"claimRef": {"namespace": "shop", "name": "backstay-0123456789ab"}}
    made = {"annotations": {"pv.kubernetes.io/provisioned-by": "csi.example.org"}}
    world = choosing(cluster_scoped=ClusterScoped.ALL)
    world.cluster.put(manifest("PersistentVolume", "copy", "", spec=spec, metadata=made))
    world.cluster.put(manifest("PersistentVolume", "written", "", spec=spec))
    world.run()
    kept = [path for path in world.tree() if "/persistentvolume/" in path]
    assert kept == ["_cluster/persistentvolume/written.yaml"]
    world.cluster.put(manifest("PersistentVolume", "next", "", spec=spec, metadata=made))
    assert drift(world) == Drift()


def test_i2_a_kind_of_all_that_could_not_be_listed_is_not_removed() -> None:
    world = choosing(cluster_scoped=ClusterScoped.ALL)
    world.run()
    world.cluster.remove(manifest("scheduling.k8s.io/v1/PriorityClass", "unused", ""))
    reader = FaultyReader(world.cluster, list_of("PriorityClass"), error=Transient("403"))
    assert told(drift(world, reader=reader)) == []


@pytest.mark.parametrize("mode", [ClusterScoped.REFERENCED, ClusterScoped.NONE])
def test_what_is_new_and_cluster_scoped_is_not_added_under_less(mode: ClusterScoped) -> None:
    world = choosing(cluster_scoped=mode)
    world.run()
    world.cluster.put(manifest("scheduling.k8s.io/v1/PriorityClass", "new", ""))
    world.cluster.put(manifest("storage.k8s.io/v1/StorageClass", "new", ""))
    assert drift(world) == Drift()


def test_another_cluster_is_told(world: RunWorld) -> None:
    other = FakeCluster(uid="00000000-0000-4000-8000-000000000002")
    found = drift(world, reader=other)
    assert found.notes == ["it is another cluster than the one that the run read"]
