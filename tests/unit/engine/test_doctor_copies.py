"""Doctor finds what a dead run left of a copy, wherever it died."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.engine.doctorleftovers import observe_scene
from reconciler.model.volumes import MoveTask
from reconciler.plan.doctorleftovers import find_leftovers
from tests.unit.kube.copy_world import HOME, NAME, TASKS, CopyWorld

NOW = datetime(2026, 11, 21, 5, 17, 3, tzinfo=UTC)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("looks", range(1, 7))
def test_a_copy_and_its_mover_are_told(task: MoveTask, looks: int) -> None:
    world = CopyWorld()
    for _ in range(looks):
        world.mover.ensure(task)
        world.turn(end=False)
    scene = observe_scene(world.cluster, namespace=HOME, now=NOW)
    found = list(find_leftovers(scene))
    assert {one.id for one in found} <= {"leftovers/mover", "leftovers/copy"}
    (mover,) = (one for one in found if one.id == "leftovers/mover")
    assert "mover of claim data" in mover.message
    (copy,) = (one for one in found if one.id == "leftovers/copy")
    assert "copy of claim shop/data" in copy.message
    assert NAME in copy.hint
