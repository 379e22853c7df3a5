"""A run in which any one call fails: it is mended, or told and recorded, and leaves nothing.

Each call raises once: what an adapter raises for a world that is in the way, and what no adapter
should ever raise, with a Secret in its text.
"""

from __future__ import annotations

import pytest

from reconciler.model.errors import BackstayError, Bug, Transient
from reconciler.model.run import Outcome
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.killing import Life, Point
from tests.unit.engine.run_world import BRANCH, MARKER, RUN_IDS
from tests.unit.engine.test_run_killed import (
    POINTS,
    Pods,
    assert_clean,
    assert_whole,
    make_world,
    records,
)

ENDS = ("begin", "write", "finish", "sleep")
"""Calls that no other machine answers: a commit is begun and written in the run's own pod."""


def live(world: JobWorld, point: Point, error: Exception) -> BackstayError | None:
    """One run with that error in it; what it ended with."""
    life = Life(point, error)
    try:
        ended = Pods(world).live(1, "run-1-a", life).error
    except BackstayError as raised:
        ended = raised
    assert life.struck
    return ended


def assert_over(world: JobWorld) -> None:
    """Nothing of the run is left that could be in anybody's way, and the next one is right."""
    assert MARKER not in world.log.text()
    for commit in world.commits():
        assert MARKER not in commit.message
        assert MARKER.encode() not in commit.files["_run.yaml"]
    world.clock.advance(600)  # a Lease that could not be given back has ended by itself
    Pods(world).live(2, "run-2-a", Life())
    assert records(world)[0].name == RUN_IDS[1]
    assert_whole(world, records(world)[0])
    assert_clean(world)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_call_that_no_adapter_should_fail_so_is_a_failed_run(point: Point) -> None:
    world = make_world()
    ended = live(world, point, KeyError(MARKER))
    if ended is not None:
        assert isinstance(ended, Bug)
        assert MARKER not in ended.message + ended.hint
        if BRANCH in world.remote.heads:
            assert records(world)[0].name == RUN_IDS[0]
    assert world.traces() == []
    assert_over(world)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_call_that_fails_once_is_tried_again_or_told(point: Point) -> None:
    world = make_world()
    ended = live(world, point, Transient("the other side hung up"))
    assert world.traces() == []
    call = point.call.split()[0]
    if ended is not None:
        assert call in ENDS, "the world outside is asked again"
        assert "the other side hung up" in ended.message
    elif records(world)[0].outcome is not Outcome.COMPLETED:
        assert call == "pages", "one list that fails, while the server is there, is a gap"
        assert records(world)[0].outcome is Outcome.PARTIALLY_FAILED
    assert_over(world)
