"""A kind or a namespace that no side of a comparison has is told, not passed over."""

from __future__ import annotations

import pytest

from reconciler.engine.reading import Known, PointFinder, Wanted, hold_known, known_at
from reconciler.model.errors import UsageError
from reconciler.model.objects import Gap
from reconciler.plan.pointnames import PointName
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, RunWorld

OLD = Known(frozenset({"shop"}), frozenset({"deployment.apps", "ingress.networking.k8s.io"}))
NEW = Known(frozenset({"web"}), frozenset({"configmap", "networkpolicy.networking.k8s.io"}))
AWAY = Known(frozenset(), frozenset(), (Gap(group="", folder="podtemplate", reason="403"),))
BY_PLURAL = Known(frozenset(), frozenset(), (Gap(group="", plural="pods", reason="403"),))
GROUP_AWAY = Known(frozenset(), frozenset(), (Gap(group="metrics.k8s.io", reason="503"),))


@pytest.mark.parametrize(
    ("wrote", "folder"),
    [
        ("deployment", "deployment.apps"),
        ("deployments", "deployment.apps"),
        ("Deployment", "deployment.apps"),
        ("deployments.apps", "deployment.apps"),
        ("deploy*", "deployment.apps"),
        ("ingresses", "ingress.networking.k8s.io"),
        ("networkpolicies", "networkpolicy.networking.k8s.io"),
        ("configmaps", "configmap"),
    ],
)
def test_a_kind_as_kubectl_writes_it(wrote: str, folder: str) -> None:
    wanted = Wanted(kinds=(wrote,))
    assert [one for one in sorted(OLD.folders | NEW.folders) if wanted.takes_kind(one)] == [folder]
    hold_known(wanted, [OLD, NEW])


def test_a_pattern_is_not_held_against_plurals() -> None:
    assert not Wanted(kinds=("*s",)).takes_kind("configmap")


@pytest.mark.parametrize("kind", ["deploy", "deployment.extensions", "podtemplate"])
def test_a_kind_that_neither_side_has_is_an_error(kind: str) -> None:
    with pytest.raises(UsageError, match="neither side has an object of such a kind") as raised:
        hold_known(Wanted(kinds=("configmap", kind)), [OLD, NEW])
    assert "configmap, deployment.apps, ingress.networking.k8s.io" in raised.value.hint


def test_a_kind_that_could_not_be_listed_may_be_there() -> None:
    hold_known(Wanted(kinds=("podtemplates",)), [OLD, AWAY])
    hold_known(Wanted(kinds=("pod", "pods")), [OLD, BY_PLURAL])
    hold_known(Wanted(kinds=("anything",)), [OLD, GROUP_AWAY])
    with pytest.raises(UsageError):
        hold_known(Wanted(kinds=("anything",)), [OLD, AWAY, BY_PLURAL])


@pytest.mark.parametrize("name", ["nix", "shop?"])
def test_a_namespace_that_neither_side_has_is_an_error(name: str) -> None:
    with pytest.raises(UsageError, match="neither side has such a namespace") as raised:
        hold_known(Wanted(namespaces=(name,)), [OLD, NEW])
    assert raised.value.hint == "there are: _cluster, shop, web"


def test_what_is_there_is_no_error() -> None:
    hold_known(Wanted(), [])
    hold_known(Wanted(("shop", "w*", "_cluster"), ("deployment",)), [OLD, NEW])


def test_what_a_recovery_point_has() -> None:
    world = RunWorld()
    world.run()
    store = FakeManifestStore(world.remote)
    known = known_at(store, PointFinder(store, CLUSTER).find(PointName("shop", "latest")))
    assert "shop" in known.namespaces
    assert {"deployment.apps", "secret"} <= known.folders
