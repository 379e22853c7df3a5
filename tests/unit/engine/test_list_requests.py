"""How often a run asks the API server: it does not grow with what the run does not want."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.engine.claimlists import observe_claims_in, observe_users_in
from reconciler.engine.listing import Page, Spread, list_all
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.objects import Gap, Resource
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.kubekinds import BUILT_IN, kind
from tests.unit.engine.run_world import RunWorld, claim, deployment, manifest, put_shop

MAPS = kind("ConfigMap")
NAMESPACED = tuple(found for found in BUILT_IN if found.namespaced)


class Large(FakeCluster):
    """So many objects of one kind in each namespace, made when they are asked for."""

    def __init__(self, per_namespace: dict[str, int], namespaces: int) -> None:
        super().__init__()
        self.names = [f"n{number:04}" for number in range(namespaces)]
        self.per_namespace = per_namespace
        self.read = 0
        self.counting = threading.Lock()
        """Lists are read by several threads."""

    def pages(self, resource: Resource, **where: Any) -> Iterator[list[dict[str, Any]]]:
        """Pages of 500, each a request."""
        names = [where["namespace"]] if where.get("namespace") else self.names
        found = [
            manifest(resource.kind, f"o{number}", name)
            for name in names
            for number in range(self.per_namespace.get(resource.kind, 0))
        ]
        starts = range(0, max(len(found), 1), 500)
        with self.counting:
            self.read += len(found)
            self.requests["pages"] += len(starts)
        if found:
            for start in starts:
                yield found[start : start + 500]

    def count(self, resource: Resource) -> int | None:
        """One request."""
        with self.counting:
            self.requests["count"] += 1
        return self.per_namespace.get(resource.kind, 0) * len(self.names)


def read_all(cluster: Large, selected: int, *listed: Resource) -> Counter[str]:
    """The requests of a capture of the first ``selected`` namespaces."""
    names = tuple(cluster.names[:selected])
    cluster.requests.clear()
    targets = [Spread(found, names, len(cluster.names)) for found in listed]
    found = list(list_all(cluster, targets))
    seen = {
        (page.resource.kind, raw["metadata"]["namespace"], raw["metadata"]["name"])
        for page in found
        if isinstance(page, Page)
        for raw in page.items
        if raw["metadata"]["namespace"] in names
    }
    wanted = {
        (resource.kind, name, f"o{number}")
        for resource in listed
        for name in names
        for number in range(cluster.per_namespace.get(resource.kind, 0))
    }
    assert seen == wanted, "complete, whichever way"
    return cluster.requests


def test_three_of_many_namespaces_do_not_read_the_whole_cluster() -> None:
    cluster = Large({"ConfigMap": 2, "Secret": 1}, 2_000)
    requests = read_all(cluster, 3, *NAMESPACED)
    assert cluster.read == 9
    # Each kind is counted; the two that have objects are read in three namespaces.
    assert requests == {"count": len(NAMESPACED), "pages": 6}


def test_all_namespaces_are_not_asked_one_by_one() -> None:
    cluster = Large({"ConfigMap": 2, "Secret": 1}, 2_000)
    requests = read_all(cluster, 2_000, *NAMESPACED)
    assert requests["count"] == 0
    # 4,000 and 2,000 objects in pages of 500, and one request for each kind without objects.
    assert requests["pages"] == 8 + 4 + len(NAMESPACED) - 2


def test_a_kind_without_objects_costs_one_request() -> None:
    assert read_all(Large({}, 2_000), 3, MAPS).total() == 1
    assert read_all(Large({}, 2_000), 2_000, MAPS).total() == 1
    assert read_all(Large({}, 2_000), 1, MAPS).total() == 1


def test_a_kind_with_few_objects_is_read_whole() -> None:
    cluster = Large({"ConfigMap": 1}, 30)
    assert read_all(cluster, 9, MAPS) == {"count": 1, "pages": 1}
    assert cluster.read == 30


@pytest.mark.parametrize("error", [Refused("HTTP 403"), Incomplete("cut")])
def test_a_number_that_nobody_gets_is_no_gap(error: Refused | Incomplete) -> None:
    """The lists themselves tell what is wrong, of each namespace."""
    cluster = Large({"ConfigMap": 1}, 30)
    reader = FaultyReader(cluster, lambda _, namespace: not namespace, error=error)
    names = tuple(cluster.names[:2])
    found = list(list_all(reader, [Spread(MAPS, names, 30)]))
    assert sum(len(page.items) for page in found if isinstance(page, Page)) == 2
    assert not [item for item in found if isinstance(item, Gap)]


def with_claims(count: int) -> FakeCluster:
    cluster = FakeCluster()
    for number in range(count):
        name = f"n{number}"
        cluster.put(manifest("Namespace", name, ""))
        cluster.put(claim("data", name))
        pod = deployment("web", "data", name)["spec"]["template"]["spec"]
        status = {"phase": "Running"}
        spec = {**pod, "nodeName": "n"}
        cluster.put({**manifest("Pod", "web-1", name, spec=spec), "status": status})
        cluster.put({**manifest("Pod", "none", name, spec={"nodeName": "n"}), "status": status})
    return cluster


@pytest.mark.parametrize(("selected", "requests"), [(40, 2), (20, 2), (2, 6), (1, 2)])
def test_claims_and_their_users_are_listed_the_cheaper_way(selected: int, requests: int) -> None:
    cluster = with_claims(40)
    names = tuple(f"n{number}" for number in range(selected))
    cluster.requests.clear()
    claims = observe_claims_in(cluster, names, 40)
    users = observe_users_in(cluster, names, 40)
    assert set(claims) == set(users) == set(names)
    assert {tuple(one.name for one in found) for found in claims.values()} == {("data",)}
    assert {found["data"].pod for found in users.values()} == {"web-1"}
    assert cluster.requests.total() <= requests


def test_nothing_is_asked_for_no_namespace() -> None:
    cluster = with_claims(1)
    cluster.requests.clear()
    assert (observe_claims_in(cluster, (), 1), observe_users_in(cluster, (), 1)) == ({}, {})
    assert cluster.requests.total() == 0


def lists_of(world: RunWorld) -> dict[str, int]:
    """What its last run has listed, counted and discovered."""
    return {name: world.cluster.requests[name] for name in ("pages", "count", "discover")}


def capture_requests(objects: int) -> dict[str, int]:
    """Of a run over a shop with so many ConfigMaps and claims."""
    world = RunWorld()
    for number in range(objects):
        world.cluster.put(manifest("ConfigMap", f"c{number}"))
        world.cluster.put(claim(f"d{number}", phase="Pending"))
    world.run()
    world.cluster.requests.clear()
    world.run(2)
    return lists_of(world)


def test_no_request_per_object_or_claim() -> None:
    assert capture_requests(60) == capture_requests(3)


def test_other_namespaces_cost_nothing() -> None:
    few, many = RunWorld(), RunWorld()
    for world, number in ((few, 5), (many, 60)):
        for name in range(number):
            put_shop(world.cluster, f"other-{name}")
        world.run()
        world.cluster.requests.clear()
        world.run(2)
    assert lists_of(few) == lists_of(many)
