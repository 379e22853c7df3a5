"""Lists that are read whole: one that expires begins again, one that fails is told."""

from __future__ import annotations

import pytest

from reconciler.engine import observe
from reconciler.model.errors import Expired, Incomplete
from reconciler.model.objects import Resource
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.kubekinds import kind
from tests.unit.kube.test_observe import pod


def _configmaps(resource: Resource, _: str) -> bool:
    return resource.kind == "ConfigMap"


@pytest.fixture
def cluster() -> FakeCluster:
    """Return five ConfigMaps, two to a page, a claim and its user."""
    cluster = FakeCluster(page_size=2)
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    for number in range(5):
        metadata = {"name": f"c{number}", "namespace": "shop", "labels": {"odd": str(number % 2)}}
        cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    metadata = {"name": "data", "namespace": "shop"}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {}}
    cluster.put(claim)
    cluster.put({"apiVersion": "v1", "kind": "Pod", **pod("web")})
    return cluster


def test_all_pages_once(cluster: FakeCluster) -> None:
    found = observe.read_all(cluster, kind("ConfigMap"), lambda raw: raw["metadata"]["name"])
    assert found == ["c0", "c1", "c2", "c3", "c4"]
    odd = observe.read_all(
        cluster, kind("ConfigMap"), lambda raw: raw["metadata"]["name"], label_selector="odd=1"
    )
    assert odd == ["c1", "c3"]


def test_an_expired_list_begins_again(cluster: FakeCluster) -> None:
    reader = FaultyReader.expiring(cluster, _configmaps, pages=2)
    assert len(observe.read_all(reader, kind("ConfigMap"), dict)) == 5
    assert reader.struck == 1


def test_a_list_that_always_expires_is_told(cluster: FakeCluster) -> None:
    reader = FaultyReader(cluster, _configmaps, error=Expired("list: HTTP 410"), pages=1)
    with pytest.raises(Expired):
        observe.read_all(reader, kind("ConfigMap"), dict)
    assert reader.struck == 3


def test_a_list_that_fails_gives_nothing(cluster: FakeCluster) -> None:
    reader = FaultyReader(cluster, _configmaps, pages=1)
    with pytest.raises(Incomplete):
        observe.read_all(reader, kind("ConfigMap"), dict)
    assert len(observe.read_all(reader, kind("Pod"), dict)) == 1


def test_what_selection_needs(cluster: FakeCluster) -> None:
    names = [namespace.name for namespace in observe.observe_namespaces(cluster)]
    assert names == ["default", "kube-system", "shop"]
    (claim,) = observe.observe_claims(cluster, "shop")
    assert (claim.namespace, claim.name) == ("shop", "data")
    assert observe.observe_claims(cluster, "default") == ()
    assert observe.observe_claim_users(cluster, "shop")["data"].pod == "web"
