"""What every ClusterWriter promises of objects that are Backstay's whole. See `cluster_suite`."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.model import kinds
from reconciler.model.errors import NotServed
from reconciler.model.objects import ObjectRef, Resource
from tests.contract.cluster_suite import World

CRD = "CustomResourceDefinition"


class PatchContract:
    """ClusterWriter: merge patches, the status subresource, Events."""

    @pytest.fixture
    def widget(self, world: World) -> Iterator[Resource]:
        """Return a kind with a status subresource."""
        group = f"g{uuid.uuid4().hex[:8]}.example.org"
        made, _ = world.cluster.create(_definition(group))
        found = Resource(
            group=group, version="v1", kind="Widget", plural="widgets", namespaced=True
        )
        _until_served(world, found)
        yield found
        gone = ObjectRef(
            group="apiextensions.k8s.io", kind=CRD, namespace="", name=made["metadata"]["name"]
        )
        world.cluster.delete(gone)

    def test_a_patch_changes_removes_and_counts_generations(
        self, world: World, widget: Resource
    ) -> None:
        made = self._make(world, widget, {"size": 3, "colour": "red", "deep": {"a": 1, "b": 2}})
        assert "status" not in made
        assert made["metadata"]["generation"] == 1
        changes = {"spec": {"size": 4, "colour": None, "deep": {"b": None, "c": [1, 2]}}}
        told = world.cluster.patch(
            _ref(world, widget), changes | {"status": {"no": "way"}}, version=_at(made)
        )
        assert told is not None
        assert told["spec"] == {"size": 4, "deep": {"a": 1, "c": [1, 2]}}
        assert told["metadata"]["generation"] == 2
        assert not told.get("status")

    def test_status_is_written_alone(self, world: World, widget: Resource) -> None:
        made = self._make(world, widget, {"size": 3})
        changes = {"spec": {"size": 9}, "status": {"ready": True, "deep": {"a": 1, "b": 2}}}
        told = world.cluster.patch(_ref(world, widget), changes, version=_at(made), status=True)
        assert told is not None
        assert told["spec"] == {"size": 3}
        assert told["metadata"]["generation"] == 1
        changes = {"status": {"ready": None, "deep": {"a": 5}}}
        told = world.cluster.patch(_ref(world, widget), changes, version=_at(told), status=True)
        assert told is not None
        assert told["status"] == {"deep": {"a": 5, "b": 2}}

    def test_of_an_older_version_nothing_is_patched(self, world: World, widget: Resource) -> None:
        made = self._make(world, widget, {"size": 3})
        changes = {"spec": {"size": 4}}
        told = world.cluster.patch(_ref(world, widget), changes, version=_at(made))
        assert told is not None
        for status in (False, True):
            late = {"spec": {"size": 5}, "status": {"ready": True}}
            assert (
                world.cluster.patch(_ref(world, widget), late, version=_at(made), status=status)
                is None
            )
        assert world.cluster.get(widget, "one", namespace=world.namespace) == told

    def test_a_patch_that_changes_nothing_is_none(self, world: World, widget: Resource) -> None:
        made = self._make(world, widget, {"size": 3})
        told = world.cluster.patch(_ref(world, widget), {"spec": {"size": 3}}, version=_at(made))
        assert told is not None
        assert _at(told) == _at(made)

    def test_a_patch_takes_what_others_have_set(self, world: World, widget: Resource) -> None:
        body = _widget(world, widget, {"size": 3})
        world.apply_as(body, "someone")
        found = world.cluster.get(widget, "one", namespace=world.namespace)
        assert found is not None
        told = world.cluster.patch(_ref(world, widget), {"spec": {"size": 4}}, version=_at(found))
        assert told is not None
        assert told["spec"] == {"size": 4}

    def test_what_is_gone_or_not_served_is_not_patched(
        self, world: World, widget: Resource
    ) -> None:
        assert world.cluster.patch(_ref(world, widget), {"spec": {}}, version="1") is None
        unknown = ObjectRef(
            group="nobody.example.org", kind="Ghost", namespace=world.namespace, name="one"
        )
        assert world.cluster.patch(unknown, {"spec": {}}, version="1") is None

    def test_an_event_is_written_once(self, world: World) -> None:
        event = _event(world)
        assert world.cluster.announce(event)
        assert not world.cluster.announce(copy.deepcopy(event))
        found = world.cluster.get(kinds.EVENTS, "one.abc", namespace=world.namespace)
        assert found is not None
        told = (found["reason"], found["message"], found["type"], found["involvedObject"]["name"])
        assert told == ("Applied", "its schedule is in force", "Normal", "one")

    def test_a_list_of_what_is_not_served_is_told_as_such(
        self, world: World, widget: Resource
    ) -> None:
        assert world.names(widget) == []
        world.cluster.delete(
            ObjectRef(
                group="apiextensions.k8s.io", kind=CRD, namespace="", name=f"widgets.{widget.group}"
            )
        )
        waiting = threading.Event()
        for _ in range(600):
            try:
                world.names(widget)
            except NotServed:
                return
            waiting.wait(0.1)
        pytest.fail("it is served still")

    def _make(self, world: World, widget: Resource, spec: dict[str, Any]) -> dict[str, Any]:
        made, created = world.cluster.create(
            _widget(world, widget, spec) | {"status": {"made": "up"}}
        )
        assert created
        return made


def _until_served(world: World, resource: Resource) -> None:
    """Waits until the server has made a place for its objects."""
    waiting = threading.Event()
    for _ in range(600):
        try:
            world.names(resource)
        except NotServed:
            pass
        else:
            if resource in world.cluster.discover().resources:
                return
        waiting.wait(0.1)
    pytest.fail(f"{resource} is not served")


def _at(raw: dict[str, Any]) -> str:
    return str(raw["metadata"]["resourceVersion"])


def _ref(world: World, widget: Resource) -> ObjectRef:
    return ObjectRef(group=widget.group, kind="Widget", namespace=world.namespace, name="one")


def _widget(world: World, widget: Resource, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "one", "namespace": world.namespace}
    return {
        "apiVersion": widget.api_version,
        "kind": "Widget",
        "metadata": metadata,
        "spec": spec,
    }


def _event(world: World) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "one.abc", "namespace": world.namespace},
        "regarding": {
            "apiVersion": "backstay.dev/v1alpha1",
            "kind": "BackupPolicy",
            "name": "one",
            "namespace": world.namespace,
        },
        "type": "Normal",
        "reason": "Applied",
        "action": "Reconcile",
        "note": "its schedule is in force",
        "eventTime": "2026-11-21T04:17:03.000000Z",
        "reportingController": "backstay.dev/controller",
        "reportingInstance": "backstay-controller-1",
    }


def _definition(group: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": CRD,
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
