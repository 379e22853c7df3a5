"""A time means what was there by then, and a run goes on copying after it began."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.model.errors import Refused
from reconciler.model.volumes import MoveResult, MoveTask
from reconciler.report.restore import render_plan
from tests.fakes.clock import FakeClock
from tests.unit.engine.run_world import RUN_IDS, RunWorld


@pytest.fixture
def world() -> RunWorld:
    """Runs begun at 01:17:03 and 02:17:03; the second one reads a volume for ten minutes."""
    world = RunWorld(clock=FakeClock(datetime(2026, 11, 21, 1, 17, 3, tzinfo=UTC)))
    begin(world, 1, "2026-11-21T01:17:05Z", 5)
    begin(world, 2, "2026-11-21T02:17:05Z", 600)
    world.lose_shop()
    return world


def begin(world: RunWorld, number: int, taken: str, took: int) -> None:
    """Movers read from ``taken`` on, for so many seconds."""

    def move(task: MoveTask) -> MoveResult:
        return replace(world.move(task), started=taken, took=took)

    world.mover._effect = move
    world.clock.advance((world.request(number).started - world.clock.now()).total_seconds())
    world.run(number)


@pytest.mark.parametrize(
    ("at", "run"),
    [
        ("2026-11-21T01:30:00Z", 0),
        ("2026-11-21T02:17:04Z", 0),
        ("2026-11-21T02:20:00Z", 0),
        ("2026-11-21T02:27:04Z", 0),
        ("2026-11-21T02:27:05Z", 1),
        ("2026-11-21", 1),
        ("latest", 1),
    ],
)
def test_nothing_of_a_later_moment_comes_back(world: RunWorld, at: str, run: int) -> None:
    plan = world.restore(at).plan()
    assert plan.run_id == RUN_IDS[run]
    began = at != "latest" and "2026-11-21T02:17:03Z" < at < "2026-11-21T02:27:05Z"
    assert any("copied until" in note for note in plan.notes) is began


def test_the_plan_says_until_when_was_copied(world: RunWorld) -> None:
    text = render_plan(world.restore().plan())
    assert "started 2026-11-21T02:17:03Z, copied until 2026-11-21T02:27:05Z)" in text
    note = world.restore("2026-11-21T02:20:00Z").plan().notes[0]
    assert note == (
        f"run {RUN_IDS[1]} began before 2026-11-21T02:20:00Z and copied until"
        f" 2026-11-21T02:27:05Z: it may hold what came later; --at {RUN_IDS[1]} takes it"
    )


def test_before_the_first_copy_ended_there_is_nothing(world: RunWorld) -> None:
    with pytest.raises(Refused, match="no recovery point at or before 2026-11-21T01:17:04Z"):
        world.restore("2026-11-21T01:17:04Z").plan()
