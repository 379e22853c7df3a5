"""What every ClusterReader and ClusterWriter promises. Run on the fake and on a real cluster."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from reconciler.model.errors import Refused
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.rights import Right
from reconciler.ports import ClusterProbe, ClusterReader, ClusterWriter
from tests.fakes.kubekinds import kind

SPECIAL = 'quotes " and newlines\n and ünïcode \x07 and 0777'


class Cluster(ClusterReader, ClusterWriter, ClusterProbe, Protocol):
    """All ports in one object, as both implementations are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The cluster under test, a namespace that is empty, and a way to be somebody else."""

    cluster: Cluster
    namespace: str
    apply_as: Callable[[dict[str, Any], str], object]
    """Server-side apply by another field manager, forced."""
    large: int
    """How many objects are more than one page."""

    def configmap(self, name: str, **extra: Any) -> dict[str, Any]:
        """A ConfigMap of this namespace."""
        metadata = {"name": name, "namespace": self.namespace, **extra.pop("metadata", {})}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **extra}

    def names(self, resource: Resource, **selectors: str) -> list[str]:
        """Names in this namespace."""
        pages = self.cluster.pages(resource, namespace=self.namespace, **selectors)
        return [raw["metadata"]["name"] for page in pages for raw in page]


CONFIGMAP = kind("ConfigMap")


def ref(name: str, namespace: str, *, group: str = "", kind: str = "ConfigMap") -> ObjectRef:
    """A reference, short."""
    return ObjectRef(group=group, kind=kind, namespace=namespace, name=name)


class ProbeContract:
    """ClusterProbe."""

    def test_ones_own_rights_and_those_of_an_account(self, world: World) -> None:
        right = Right(verb="create", resource="secrets", namespace=world.namespace)
        assert world.cluster.may(right).allowed
        nobody = f"system:serviceaccount:{world.namespace}:nobody"
        assert not world.cluster.may(right, subject=nobody).allowed
        assert not world.cluster.may(right, subject=nobody).reason.count("secret-value")

    def test_a_right_on_everything_can_be_asked_for(self, world: World) -> None:
        assert world.cluster.may(Right(verb="list", group="*", resource="*")).allowed

    def test_who_asks_has_a_name(self, world: World) -> None:
        assert world.cluster.whoami()

    def test_the_servers_time_is_about_now(self, world: World) -> None:
        first, second = world.cluster.server_time(), world.cluster.server_time()
        assert first.tzinfo is not None
        assert first <= second

    def test_asking_stores_nothing(self, world: World) -> None:
        # A new namespace gets its certificate whenever the cluster has time for it.
        certificate = "kube-root-ca.crt"
        before = {*world.names(CONFIGMAP), certificate}
        world.cluster.may(Right(verb="get", resource="pods", namespace=world.namespace))
        assert {*world.names(CONFIGMAP), certificate} == before
        kinds = {resource.kind for resource in world.cluster.discover().resources}
        assert not {kind for kind in kinds if kind.startswith("Self")}


class ReaderContract:
    """ClusterReader."""

    def test_identity_is_that_of_kube_system(self, world: World) -> None:
        identity = world.cluster.identity()
        home = world.cluster.get(kind("Namespace"), "kube-system")
        assert home is not None
        assert identity.uid == home["metadata"]["uid"]
        assert identity.version.startswith("v1.")

    def test_discovery_has_each_kind_once(self, world: World) -> None:
        found = world.cluster.discover()
        assert found.failed == ()
        assert list(found.resources) == sorted(found.resources)
        names = [(resource.group, resource.plural) for resource in found.resources]
        assert len(names) == len(set(names))
        kinds = [resource.kind for resource in found.resources]
        assert kinds.count("Event") == 1
        for expected in ("ConfigMap", "Deployment", "Ingress", "CronJob", "Role", "StorageClass"):
            assert kind(expected) in found.resources, expected
        assert not any("/" in resource.plural for resource in found.resources)

    def test_a_new_definition_is_discovered(self, world: World) -> None:
        group = f"g{uuid.uuid4().hex[:8]}.example.org"
        definition = _definition(group)
        made, created = world.cluster.create(definition)
        assert created
        try:
            _until(lambda: any(r.group == group for r in world.cluster.discover().resources))
            widget = Resource(
                group=group, version="v1", kind="Widget", plural="widgets", namespaced=True
            )
            assert widget in world.cluster.discover().resources
            body = {
                "apiVersion": f"{group}/v1",
                "kind": "Widget",
                "metadata": {"name": "one", "namespace": world.namespace},
                "spec": {"size": 3},
            }
            assert world.cluster.apply(body)["spec"] == {"size": 3}
            assert world.names(widget) == ["one"]
        finally:
            gone = ref(
                made["metadata"]["name"],
                "",
                group="apiextensions.k8s.io",
                kind="CustomResourceDefinition",
            )
            assert world.cluster.delete(gone)

    def test_pages_give_everything_with_kind(self, world: World) -> None:
        for number in range(world.large):
            world.cluster.create(world.configmap(f"many-{number:04}", data={"n": str(number)}))
        pages = list(world.cluster.pages(CONFIGMAP, namespace=world.namespace))
        assert len(pages) > 1
        found = [raw for page in pages for raw in page]
        mine = [raw for raw in found if raw["metadata"]["name"].startswith("many-")]
        assert {raw["data"]["n"] for raw in mine} == {str(n) for n in range(world.large)}
        assert {(raw["apiVersion"], raw["kind"]) for raw in found} == {("v1", "ConfigMap")}

    def test_selectors_choose(self, world: World) -> None:
        for name, labels in (("a", {"app": "x"}), ("b", {"app": "y"}), ("c", {})):
            world.cluster.create(world.configmap(name, metadata={"labels": labels}))
        assert world.names(CONFIGMAP, label_selector="app=x") == ["a"]
        assert world.names(CONFIGMAP, label_selector="app in (x,y)") == ["a", "b"]
        assert world.names(CONFIGMAP, label_selector="app,app!=x") == ["b"]
        assert world.names(CONFIGMAP, field_selector="metadata.name=c") == ["c"]

    def test_a_list_of_all_namespaces_has_this_one(self, world: World) -> None:
        world.cluster.create(world.configmap("everywhere"))
        found = {
            (raw["metadata"]["namespace"], raw["metadata"]["name"])
            for page in world.cluster.pages(CONFIGMAP)
            for raw in page
        }
        assert (world.namespace, "everywhere") in found

    def test_a_kind_is_counted_over_all_namespaces(self, world: World) -> None:
        for number in range(3):
            world.cluster.create(world.configmap(f"counted-{number}"))
        listed = sum(map(len, world.cluster.pages(kind("LimitRange"))))
        assert world.cluster.count(kind("LimitRange")) == listed
        counted = world.cluster.count(CONFIGMAP)
        assert counted is not None
        assert counted >= 3

    def test_what_is_not_there_is_none(self, world: World) -> None:
        assert world.cluster.get(CONFIGMAP, "nobody", namespace=world.namespace) is None
        assert world.cluster.get(kind("Namespace"), f"no-{world.namespace}") is None
        assert world.names(kind("Job")) == []

    def test_logs_of_no_pod_are_empty(self, world: World) -> None:
        assert world.cluster.logs(world.namespace, "nobody") == ""


class WriterContract:
    """ClusterWriter without leases."""

    def test_create_is_once(self, world: World) -> None:
        first, created = world.cluster.create(world.configmap("once", data={"a": SPECIAL}))
        again, created_again = world.cluster.create(world.configmap("once", data={"a": "other"}))
        assert (created, created_again) == (True, False)
        assert again["metadata"]["uid"] == first["metadata"]["uid"]
        assert again["data"] == {"a": SPECIAL}

    def test_apply_makes_changes_and_removes(self, world: World) -> None:
        one = world.cluster.apply(world.configmap("x", data={"a": "1", "b": "2"}))
        two = world.cluster.apply(world.configmap("x", data={"a": "1", "c": SPECIAL}))
        assert one["metadata"]["uid"] == two["metadata"]["uid"]
        assert two["data"] == {"a": "1", "c": SPECIAL}
        read = world.cluster.get(CONFIGMAP, "x", namespace=world.namespace)
        assert read is not None
        assert (read["data"], read["kind"], read["apiVersion"]) == (two["data"], "ConfigMap", "v1")

    def test_any_text_is_applied_as_it_is(self, world: World) -> None:
        """The server reads an apply as YAML, which has its own ideas of line breaks."""
        signs = "\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\U0001f600\x1b"
        data = {f"k{number}": f"a {sign} b{sign}" for number, sign in enumerate(signs)}
        assert world.cluster.apply(world.configmap("odd", data=data))["data"] == data
        assert world.cluster.create(world.configmap("odd-2", data=data))[0]["data"] == data

    def test_apply_of_the_same_changes_nothing(self, world: World) -> None:
        body = world.configmap("same", data={"a": "1"}, metadata={"labels": {"x": "y"}})
        one = world.cluster.apply(body)
        two = world.cluster.apply(body)
        assert one["metadata"]["resourceVersion"] == two["metadata"]["resourceVersion"]

    def test_apply_leaves_others_fields_alone(self, world: World) -> None:
        world.cluster.apply(world.configmap("shared", data={"mine": "1"}))
        world.apply_as(world.configmap("shared", data={"theirs": "2"}), "someone")
        result = world.cluster.apply(world.configmap("shared", data={"mine": "3"}))
        assert result["data"] == {"mine": "3", "theirs": "2"}

    def test_apply_never_takes_others_fields(self, world: World) -> None:
        world.apply_as(world.configmap("theirs", data={"key": "2"}), "someone")
        with pytest.raises(Refused, match=r"key.*someone"):
            world.cluster.apply(world.configmap("theirs", data={"key": "3"}))
        read = world.cluster.get(CONFIGMAP, "theirs", namespace=world.namespace)
        assert read is not None
        assert read["data"] == {"key": "2"}

    def test_what_was_created_is_not_applied_over(self, world: World) -> None:
        """Creating and applying are two field managers, although both are called backstay."""
        world.cluster.create(world.configmap("made", data={"key": "1"}))
        assert world.cluster.apply(world.configmap("made", data={"key": "1"}))["data"] == {
            "key": "1"
        }
        with pytest.raises(Refused, match=r"key.*backstay"):
            world.cluster.apply(world.configmap("made", data={"key": "2"}))

    def test_an_unknown_kind_is_refused(self, world: World) -> None:
        body = {"apiVersion": "nobody.example.org/v1", "kind": "Ghost", "metadata": {"name": "x"}}
        with pytest.raises(Refused, match=r"does not serve Ghost"):
            world.cluster.apply(body)

    def test_a_missing_namespace_is_refused(self, world: World) -> None:
        body = world.configmap("x", metadata={"namespace": f"no-{world.namespace}"})
        with pytest.raises(Refused, match="not found"):
            world.cluster.create(body)

    def test_a_namespace_must_fit_the_kind(self, world: World) -> None:
        with pytest.raises(Refused, match="ConfigMap"):
            world.cluster.apply(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
            )

    def test_an_immutable_object_stays(self, world: World) -> None:
        world.cluster.apply(world.configmap("fixed", data={"a": "1"}, immutable=True))
        with pytest.raises(Refused, match="immutable"):
            world.cluster.apply(world.configmap("fixed", data={"a": "2"}, immutable=True))

    def test_delete_by_uid(self, world: World) -> None:
        made, _ = world.cluster.create(world.configmap("gone"))
        target = ref("gone", world.namespace)
        assert not world.cluster.delete(target, uid=str(uuid.uuid4()))
        assert world.cluster.get(CONFIGMAP, "gone", namespace=world.namespace) is not None
        assert world.cluster.delete(target, uid=made["metadata"]["uid"])
        assert not world.cluster.delete(target, uid=made["metadata"]["uid"])
        assert not world.cluster.delete(target)

    def test_dependents_go_with_their_owner(self, world: World) -> None:
        self._owned(world, "owner", "dependent")
        assert world.cluster.delete(ref("owner", world.namespace))
        _until(lambda: world.names(CONFIGMAP, field_selector="metadata.name=dependent") == [])

    def test_orphans_stay(self, world: World) -> None:
        self._owned(world, "parent", "orphan")
        assert world.cluster.delete(ref("parent", world.namespace), orphan=True)
        _until(lambda: world.names(CONFIGMAP, field_selector="metadata.name=parent") == [])
        left = world.cluster.get(CONFIGMAP, "orphan", namespace=world.namespace)
        assert left is not None
        assert not left["metadata"].get("ownerReferences")

    def _owned(self, world: World, owner: str, dependent: str) -> None:
        made, _ = world.cluster.create(world.configmap(owner))
        reference = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner,
            "uid": made["metadata"]["uid"],
        }
        metadata = {"ownerReferences": [reference]}
        world.cluster.create(world.configmap(dependent, metadata=metadata))


class LeaseContract:
    """ClusterWriter: leases."""

    def test_free_then_held(self, world: World) -> None:
        take = world.cluster.acquire_lease
        assert take(world.namespace, "run", "one", seconds=60) == "one"
        assert take(world.namespace, "run", "two", seconds=60) == "one"
        assert take(world.namespace, "run", "one", seconds=60) == "one"
        lease = self._lease(world, "run")
        assert lease["spec"]["leaseTransitions"] == 0
        assert lease["spec"]["leaseDurationSeconds"] == 60
        assert lease["metadata"]["labels"]["backstay.dev/component"] == "lease"

    def test_renewing_moves_renew_time_only(self, world: World) -> None:
        world.cluster.acquire_lease(world.namespace, "run", "one", seconds=60)
        before = self._lease(world, "run")["spec"]
        world.cluster.acquire_lease(world.namespace, "run", "one", seconds=60)
        after = self._lease(world, "run")["spec"]
        assert after["acquireTime"] == before["acquireTime"]
        assert after["renewTime"] >= before["renewTime"]

    def test_released_by_its_holder_only(self, world: World) -> None:
        world.cluster.acquire_lease(world.namespace, "run", "one", seconds=60)
        world.cluster.release_lease(world.namespace, "run", "two")
        assert world.cluster.acquire_lease(world.namespace, "run", "two", seconds=60) == "one"
        world.cluster.release_lease(world.namespace, "run", "one")
        assert world.cluster.acquire_lease(world.namespace, "run", "two", seconds=60) == "two"
        assert self._lease(world, "run")["spec"]["leaseTransitions"] == 1
        world.cluster.release_lease(world.namespace, "nobody-made-this", "two")

    def test_taken_from_the_dead(self, world: World) -> None:
        world.cluster.acquire_lease(world.namespace, "run", "dead", seconds=600)
        take = world.cluster.acquire_lease
        assert take(world.namespace, "run", "new", seconds=60, take_from="another") == "dead"
        assert take(world.namespace, "run", "new", seconds=60, take_from="dead") == "new"

    def test_an_expired_lease_is_free(self, world: World) -> None:
        world.cluster.acquire_lease(world.namespace, "run", "late", seconds=60)
        lease = self._lease(world, "run")
        spec = {**lease["spec"], "renewTime": "2020-01-01T00:00:00.000000Z"}
        metadata = {"name": "run", "namespace": world.namespace}
        old = {**lease, "metadata": metadata, "spec": spec}
        world.apply_as(old, "someone")
        assert world.cluster.acquire_lease(world.namespace, "run", "next", seconds=60) == "next"

    def test_one_of_many_wins(self, world: World) -> None:
        start = threading.Barrier(8)
        told: dict[str, str] = {}

        def take(holder: str) -> None:
            start.wait()
            told[holder] = world.cluster.acquire_lease(world.namespace, "race", holder, seconds=60)

        threads = [threading.Thread(target=take, args=(f"h{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(told) == 8
        assert len(set(told.values())) == 1
        (winner,) = set(told.values())
        assert told[winner] == winner

    def _lease(self, world: World, name: str) -> dict[str, Any]:
        lease = world.cluster.get(kind("Lease"), name, namespace=world.namespace)
        assert lease is not None
        return lease


def _definition(group: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _until(holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
    """Waits for the cluster's own controllers."""
    waiting = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if holds():
            return
        waiting.wait(0.1)
    pytest.fail(f"did not come true in {seconds:.0f} s")
