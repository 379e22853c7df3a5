"""Recovery points with missing parts: what is missing is named, and where it is."""

from __future__ import annotations

import pytest

from reconciler.model.errors import Refused
from reconciler.model.restore import RestoreAction
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from reconciler.report.restore import render_plan
from tests.fakes.faults import FaultyReader
from tests.unit.engine.run_world import RUN_IDS, RunWorld, claim, deployment


def fail_claims(world: RunWorld, *names: str) -> None:
    """The movers of these claims fail from now on."""

    def move(task: MoveTask) -> MoveResult:
        if task.claim in names:
            return MoveResult(state=MoveState.FAILED, message="unreadable")
        return world.move(task)

    world.mover._effect = move


def partial_world() -> RunWorld:
    """Complete; one claim failed; the other failed; both failed."""
    world = RunWorld()
    world.cluster.put(claim("more"))
    world.cluster.put(deployment("more", "more"))
    world.run(1)
    for number, names in ((2, ["files"]), (3, ["more"]), (4, ["files", "more"])):
        fail_claims(world, *names)
        world.run(number)
    return world


def test_each_claim_names_the_newest_point_that_has_it() -> None:
    world = partial_world()
    world.lose_shop()
    plan = world.restore(RUN_IDS[3], allow_partial=True).plan()
    why = {fill.claim: fill.why for fill in plan.fills}
    assert {fill.action for fill in plan.fills} == {RestoreAction.SKIP}
    partial = "no data in this recovery point: unreadable; newest that has:"
    assert why["files"] == f"{partial} {RUN_IDS[2]} (--at {RUN_IDS[2]} --allow-partial)"
    assert why["more"] == f"{partial} {RUN_IDS[1]} (--at {RUN_IDS[1]} --allow-partial)"
    assert f"! shop/files: {why['files']}" in render_plan(plan)


def test_a_complete_point_is_named_without_more() -> None:
    world = RunWorld()
    world.run(1)
    fail_claims(world, "files")
    world.run(2)
    world.lose_shop()
    (fill,) = world.restore(RUN_IDS[1], allow_partial=True).plan().fills
    assert fill.why.endswith(f"newest that has: {RUN_IDS[0]} (--at {RUN_IDS[0]})")


def test_what_no_point_has_is_said() -> None:
    world = RunWorld()
    fail_claims(world, "files")
    world.run(1)
    world.run(2)
    world.lose_shop()
    (fill,) = world.restore(allow_partial=True).plan().fills
    assert fill.why.endswith("no other recovery point has it")


def test_a_claim_that_exists_is_kept_and_not_told_as_missing() -> None:
    world = RunWorld()
    world.run(1)
    fail_claims(world, "files")
    world.run(2)
    (fill,) = world.restore(RUN_IDS[1], allow_partial=True).plan().fills
    assert fill.action is RestoreAction.KEEP
    assert "newest" not in fill.why


def test_each_gap_names_the_newest_point_without_it() -> None:
    world = RunWorld()
    world.run(1)
    settings = FaultyReader(world.cluster, lambda found, _: found.kind == "ConfigMap")
    world.run(2, reader=settings)
    secrets = FaultyReader(world.cluster, lambda found, _: found.kind == "Secret")
    world.run(3, reader=secrets)
    plan = world.restore(RUN_IDS[2], allow_partial=True).plan()
    (told,) = [text for text in plan.warnings if "newest that has" in text]
    assert told.startswith("secrets")
    assert told.endswith(f"newest that has: {RUN_IDS[1]} (--at {RUN_IDS[1]} --allow-partial)")
    assert f"  missing  {told}" in render_plan(plan)


def test_without_the_flag_the_error_names_the_newest_complete_one() -> None:
    world = partial_world()
    with pytest.raises(Refused, match="a part of it is missing") as caught:
        world.restore(RUN_IDS[3]).plan()
    assert f"the newest complete one is --at {RUN_IDS[0]}" in caught.value.hint
    assert "--allow-partial" in caught.value.hint
    plan = world.restore().plan()
    assert plan.run_id == RUN_IDS[0]
    assert f"newest: {RUN_IDS[3]}" in plan.notes[0]
