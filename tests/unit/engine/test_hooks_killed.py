"""I5: a post-hook runs whenever its pre-hook was started, wherever its run is struck.

Every call of a whole run to the world outside is a place to die, to fail or to be told to stop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.run import execute_run
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.run import Outcome
from tests.unit.engine.hook_world import HookWorld
from tests.unit.engine.killing import WRITES, Killed, Life, Point
from tests.unit.engine.run_world import RUN_IDS
from tests.unit.engine.test_run_killed import Pods, records

CHANGING = (*WRITES, "patch", "run")
UNLOCK = "run shop db-0 db"


def make_world() -> HookWorld:
    """One quiesced namespace; only kinds that matter here."""
    world = HookWorld()
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


def find_calls() -> list[Point]:
    """Every call of one whole run that nobody disturbs, in its order."""
    life = Life()
    world = make_world()
    Pods(world).live(1, "run-1-a", life)
    assert world.events == ["lock shop/db-0", "copy shop/files", "unlock shop/db-0"]
    return sorted(life.calls)


CALLS = find_calls()
POINTS = sorted(
    {
        *CALLS,
        *(replace(one, after=True) for one in CALLS if one.call.split()[0] in CHANGING),
    }
)


CHANGES = [one for one in POINTS if one.call.split()[0] in (*CHANGING, "sleep", "finish")]
"""Between two of them the world outside is the same."""
NEAR = [
    one
    for one in CALLS
    if one.call.split()[0] in CHANGING or "leases" in one.call or "pods" in one.call
]
"""Calls that are about hooks, among others."""


def assert_ended(world: HookWorld) -> None:
    """Nothing is open, and the application works."""
    assert world.leases() == []
    pods = [event for event in world.events if not event.startswith("copy")]
    assert not pods or pods[-1].startswith("unlock")


def count(world: HookWorld, what: str) -> int:
    return sum(event.startswith(what) for event in world.events)


def die(point: Point) -> HookWorld:
    world = make_world()
    with pytest.raises(Killed):
        Pods(world).live(1, "run-1-a", Life(point))
    return world


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_i5_killed_and_started_again(point: Point) -> None:
    world = die(point)
    if POINTS.index(point) % 2:
        world.clock.advance(20)
        world.work()
    begun = len(world.events)
    Pods(world).live(1, "run-1-b", Life())
    assert_ended(world)
    assert [made.name for made in records(world)] == [RUN_IDS[0]]
    made = records(world)[0]
    assert made.outcome is Outcome.COMPLETED
    later = world.events[begun:]
    if later[-3:]:
        # What is recorded was copied while the application was quiet.
        assert later[-3:] == ["lock shop/db-0", "copy shop/files", "unlock shop/db-0"]
    assert [hook.exit_code for part in made.namespaces for hook in part.hooks] == [0, 0]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", CHANGES, ids=str)
def test_i5_killed_for_good_and_ended_by_the_job(point: Point) -> None:
    world = die(point)
    open_hooks, before = len(world.leases()), count(world, "unlock")
    assert count(world, "lock") <= open_hooks + before
    now = world.clock.now()
    unsure = sum(hook.is_unsure(now) for lease in world.leases() for hook in lease.pod.open)
    world.finish()
    assert_ended(world)
    # Once; again only where nobody had been told that it had run, or that its pre had ended.
    assert count(world, "unlock") == before + open_hooks + unsure
    world.finish()
    assert count(world, "unlock") == before + open_hooks + unsure


def test_i5_a_run_that_is_killed_while_its_pre_command_may_be_at_work_has_left_word_of_that() -> (
    None
):
    world = die(Point(UNLOCK, 0, after=True))
    (lease,) = world.leases()
    assert [hook.is_unsure(world.clock.now()) for hook in lease.pod.open] == [True]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", CHANGES, ids=str)
def test_i5_killed_for_good_and_ended_by_the_next_run(point: Point) -> None:
    world = die(point)
    Pods(world).live(2, "run-2-a", Life())
    assert_ended(world)
    assert world.events[-3:] == ["lock shop/db-0", "copy shop/files", "unlock shop/db-0"]
    assert records(world)[0].outcome is Outcome.COMPLETED


@pytest.mark.one_in(5)
@pytest.mark.parametrize("error", [Transient("it is away"), Refused("not allowed")], ids=str)
@pytest.mark.parametrize("point", NEAR, ids=str)
def test_i5_a_call_fails(point: Point, error: BackstayError) -> None:
    world = make_world()
    life = Life(point, error)
    try:
        Pods(world).live(1, "run-1-a", life)
    except BackstayError:
        assert life.struck
    world.finish()
    assert_ended(world)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", CALLS, ids=str)
def test_i5_the_run_is_told_to_stop(point: Point) -> None:
    world = make_world()
    life = _Stopping(point)
    try:
        execute_run(world.request(), life.ports(world), stopped=lambda: life.told)
    except BackstayError:
        assert life.told
    assert_ended(world)


class _Stopping(Life):
    """A process that is told to stop at a point, and lives."""

    def __init__(self, point: Point) -> None:
        super().__init__()
        self._at = (point.call, point.nth)
        self.told = False

    def call(self, name: str, do: Any) -> Any:
        made = super().call(name, do)
        last = self.calls[-1]
        self.told = self.told or (last.call, last.nth) == self._at
        return made


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", [one for one in POINTS if one in NEAR or one.after], ids=str)
def test_i5_the_job_that_ends_it_is_killed_too(point: Point) -> None:
    world = make_world()
    after_lock = next(one for one in POINTS if one.call == UNLOCK and one.nth == 0 and one.after)
    with pytest.raises(Killed):
        Pods(world).live(1, "run-1-a", Life(after_lock))
    ports = Life(point).ports(world)
    try:
        world.finish(reader=ports.reader, writer=ports.writer, execute=ports.execute)
    except Killed:
        world.finish("finish-b")
    assert_ended(world)
    assert world.events[0] == "lock shop/db-0"
    assert set(world.events[1:]) == {"unlock shop/db-0"}
