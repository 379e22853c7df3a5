"""A restore where the cluster serves other versions than the one that was captured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.objects import Resource
from reconciler.model.restore import RestoreAction
from tests.unit.engine.run_world import RunWorld, manifest

OLD = Resource(group="example.org", version="v1beta1", kind="Gate", plural="gates", namespaced=True)
NEW = replace(OLD, version="v1")
GATE = manifest("example.org/v1beta1/Gate", "front", spec={"open": True})
PATH = "shop/gate.example.org/front.yaml"


def captured_world() -> RunWorld:
    """A gate was captured when v1beta1 was all there was."""
    world = RunWorld()
    world.cluster.serve(OLD)
    world.cluster.put(GATE)
    world.run()
    return world


def prefer_new(world: RunWorld, *, old_too: bool) -> None:
    """An upgrade of the operator."""
    kept = [found for found in world.cluster.resources if found != OLD]
    world.cluster.resources = [NEW, *kept, *([OLD] if old_too else [])]


def test_a_version_that_is_still_served_is_compared_and_created_as_it_was_captured() -> None:
    world = captured_world()
    prefer_new(world, old_too=True)
    (step,) = [step for step in world.restore().plan().steps if step.path == PATH]
    assert (step.action, step.differs) == (RestoreAction.KEEP, False)
    world.cluster.remove(GATE)
    assert world.restored().created == 1
    (gate,) = world.cluster.all("Gate")
    assert (gate["apiVersion"], gate["spec"]) == ("example.org/v1beta1", {"open": True})
    assert world.restore().plan().empty


def test_a_version_that_is_not_served_any_more_is_skipped_and_never_tried() -> None:
    world = captured_world()
    prefer_new(world, old_too=False)
    world.lose_shop()
    world.cluster.writes.clear()
    plan = world.restore().plan()
    (step,) = [step for step in plan.steps if step.path == PATH]
    assert step.action is RestoreAction.SKIP
    assert step.why.startswith("captured as v1beta1, served here as v1: convert it by hand")
    result = world.restored()
    assert (result.skipped, result.created) == (1, 6)
    assert not [ref for _, ref in world.deeds() if ref.kind == "Gate"]


def test_what_is_there_in_another_version_is_kept() -> None:
    world = captured_world()
    prefer_new(world, old_too=False)
    (step,) = [step for step in world.restore().plan().steps if step.path == PATH]
    assert (step.action, step.differs) == (RestoreAction.KEEP, True)


@pytest.mark.parametrize("served", [True, False])
def test_a_definition_of_the_point_must_serve_the_version_of_its_objects(served: bool) -> None:
    world = captured_world()
    spec = {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"kind": "Gate", "plural": "gates"},
        "versions": [{"name": "v1beta1", "served": served}, {"name": "v1", "served": True}],
    }
    definition = manifest(
        "apiextensions.k8s.io/v1/CustomResourceDefinition", "gates.example.org", "", spec=spec
    )
    world.cluster.put(definition)
    world.run(2)
    world.lose_shop()
    world.cluster.remove(definition)
    (step,) = [step for step in world.restore().plan().steps if step.path == PATH]
    if served:
        assert step.action is RestoreAction.CREATE
    else:
        assert step.why == "captured as v1beta1, and its definition serves v1"
