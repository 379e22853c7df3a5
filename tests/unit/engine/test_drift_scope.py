"""Drift in what is cluster-scoped, and in kinds that discovery does not tell of."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.drift import Drift
from reconciler.engine.reading import Wanted
from reconciler.model.errors import Transient
from reconciler.model.objects import Resource
from reconciler.model.policy import ClusterScoped
from tests.fakes.faults import FaultyReader
from tests.unit.engine.run_world import RunWorld, manifest
from tests.unit.engine.test_capture_selected import world as choosing
from tests.unit.engine.test_drift import drift, told
from tests.unit.engine.test_run import list_of

GROUP = "example.org"
WIDGET = Resource(group=GROUP, version="v1", kind="Widget", plural="widgets", namespaced=True)
SERVERS = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
)
DEFINITION = "apiextensions.k8s.io/v1/CustomResourceDefinition"
RBAC = "rbac.authorization.k8s.io"
NEW = [f"added clusterrole.{RBAC}/shop", f"added clusterrolebinding.{RBAC}/shop"]


def add_rights(world: RunWorld) -> None:
    """A role for the shop's account, and one for nobody."""
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
    for name, subjects in (("shop", [subject]), ("nobody", [])):
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
        world.cluster.put(manifest(f"{RBAC}/v1/ClusterRole", name, "", rules=[]))
        binding = manifest(f"{RBAC}/v1/ClusterRoleBinding", name, "", subjects=subjects)
        world.cluster.put({**binding, "roleRef": role})


def test_what_is_new_and_needed_is_added() -> None:
    world = choosing()
    world.run()
    add_rights(world)
    assert told(drift(world)) == NEW
    world.run(2)
    assert drift(world) == Drift(), "a run takes the same"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(namespaces=("shop",)), []),
        (Wanted(kinds=("clusterrole",)), NEW[:1]),
        (Wanted(kinds=("configmap",)), []),
        (Wanted(namespaces=("_cluster",)), []),
    ],
)
def test_only_what_is_asked_for(wanted: Wanted, expected: list[str]) -> None:
    """Who asks for `_cluster` alone has nothing listed that could need something."""
    world = choosing()
    world.run()
    add_rights(world)
    assert told(drift(world, wanted)) == expected


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ({"cluster_scoped": ClusterScoped.NONE}, []),
        ({"exclude": ("serviceaccount",)}, []),
        ({"exclude": (f"*.{RBAC}",)}, []),
        ({"match_labels": {"tier": "gold"}}, NEW),
    ],
)
def test_it_is_added_where_a_run_would_take_it(
    objects: dict[str, Any], expected: list[str]
) -> None:
    world = choosing(**objects)
    world.run()
    add_rights(world)
    assert told(drift(world)) == expected
    before = {path for path in world.tree() if path.startswith("_cluster/")}
    world.run(2)
    after = {path for path in world.tree() if path.startswith("_cluster/")}
    assert len(after - before) == len(expected), "a run takes the same"


def define(world: RunWorld) -> None:
    """A kind, with an object."""
    names = {"kind": "Widget", "plural": "widgets"}
    served = [{"name": "v1", "served": True}]
    spec = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": served}
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    raw = manifest(DEFINITION, f"widgets.{GROUP}", "", spec=spec)
    world.cluster.put({**raw, "status": established})
    if WIDGET not in world.cluster.resources:
        world.cluster.serve(WIDGET)
    world.cluster.put(manifest(f"{GROUP}/v1/Widget", "one", spec={"size": 1}))


def hide(world: RunWorld) -> None:
    """Discovery does not name it any more."""
    world.cluster.resources = [kind for kind in world.cluster.resources if kind != WIDGET]


@pytest.fixture
def defined() -> RunWorld:
    world = RunWorld()
    define(world)
    world.run()
    return world


def test_i2_a_kind_that_discovery_hides_is_a_gap_and_not_removed(defined: RunWorld) -> None:
    hide(defined)
    found = drift(defined)
    assert told(found) == []
    (gap,) = found.gaps
    assert gap.folder == f"widget.{GROUP}"
    assert "its definition is there" in gap.reason


def test_i2_nor_is_it_removed_where_definitions_can_not_be_listed(defined: RunWorld) -> None:
    hide(defined)
    kind = list_of("CustomResourceDefinition")
    reader = FaultyReader(defined.cluster, kind, error=Transient("403"))
    found = drift(defined, reader=reader)
    assert told(found) == []
    assert {gap.folder for gap in found.gaps} > {f"widget.{GROUP}"}


def test_a_kind_whose_definition_is_gone_is_removed(defined: RunWorld) -> None:
    defined.cluster.remove(manifest(f"{GROUP}/v1/Widget", "one"))
    defined.cluster.remove(manifest(DEFINITION, f"widgets.{GROUP}", ""))
    hide(defined)
    found = drift(defined)
    assert told(found) == [
        f"removed customresourcedefinition.apiextensions.k8s.io/widgets.{GROUP}",
        f"removed shop/widget.{GROUP}/one",
    ]
    assert found.gaps == []


def test_i2_a_group_whose_server_discovery_hides_is_a_gap(defined: RunWorld) -> None:
    defined.cluster.remove(manifest(DEFINITION, f"widgets.{GROUP}", ""))
    spec = {"group": GROUP, "version": "v1", "service": {"namespace": "shop", "name": "widgets"}}
    defined.cluster.serve(SERVERS)
    defined.cluster.put(
        manifest("apiregistration.k8s.io/v1/APIService", f"v1.{GROUP}", "", spec=spec)
    )
    hide(defined)
    asked = Wanted(namespaces=("shop",), kinds=("widget",))
    found = drift(defined, asked)
    assert told(found) == []
    assert [(gap.group, gap.folder) for gap in found.gaps] == [(GROUP, "")]
