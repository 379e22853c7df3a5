"""A post command whose Lease is gone runs with a new one, which outlives its run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.finishing import PostFailed
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.model.run import Outcome
from tests.unit.engine.hook_world import THEIRS, HookWorld
from tests.unit.engine.killing import Killed, Life, Point
from tests.unit.engine.run_world import RUN_IDS, SYSTEM, manifest
from tests.unit.engine.test_hooks import AROUND, part
from tests.unit.engine.test_hooks_killed import UNLOCK
from tests.unit.engine.test_hooks_told import points_of
from tests.unit.engine.test_run_killed import Pods

NOBODY = f"{RUN_IDS[0]}/"


class Dropping(HookWorld):
    """The Lease is deleted by hand while the data is copied."""

    def move(self, task: Any) -> Any:
        for raw in self.cluster.all("Lease"):
            if "hook" in raw["metadata"]["name"]:
                self.cluster.remove(raw)
        return super().move(task)


def make_world(**changed: Any) -> Dropping:
    """With another post command."""
    world = Dropping()
    world.program("unlock", **changed)
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


def not_at_rest(world: HookWorld) -> bool:
    """Whether it is told."""
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    told = "not at rest until the end of the copy" in found.reasons[0]
    return told and "somebody deleted Lease" in found.reasons[0]


def test_its_lease_is_there_while_it_runs_and_not_after() -> None:
    world = make_world()
    seen: list[list[str]] = []

    def look(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            seen.append([lease.holder for lease in world.leases()])

    world.execute.before = look
    world.run()
    assert seen == [[f"{NOBODY}run-1-a"]]
    assert (world.events, world.leases()) == (AROUND, [])
    assert not_at_rest(world)


def test_one_that_fails_is_the_controllers() -> None:
    world = make_world(exit_code=1)
    world.run()
    assert [lease.holder for lease in world.leases()] == [NOBODY]
    assert not_at_rest(world)
    with pytest.raises(PostFailed):
        world.finish()


def test_one_that_takes_too_long_keeps_its_moment() -> None:
    world = make_world(takes=35)
    world.run()
    ((hook,),) = [lease.pod.open for lease in world.leases()]
    assert hook.moment is not None
    assert hook.moment > world.clock.now()
    assert not_at_rest(world)


def test_one_that_can_not_be_started_is_executed_by_the_controllers_job() -> None:
    world = make_world()

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise Refused("not allowed")

    world.execute.before = strike
    world.run()
    assert world.events == AROUND[:2]
    assert [lease.holder for lease in world.leases()] == [NOBODY]
    world.execute.before = lambda _: None
    world.finish()
    assert (world.events, world.leases()) == (AROUND, [])


def test_it_is_executed_without_one_where_none_can_be_written() -> None:
    world = make_world()
    writer = world.ports().writer

    class Writer:
        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def create(self, raw: Any) -> Any:
            if "hook" in raw["metadata"]["name"] and AROUND[1] in world.events:
                raise Refused("not allowed")
            return writer.create(raw)

    world.run(writer=Writer())
    assert (world.events, world.leases()) == (AROUND, [])
    assert not_at_rest(world)


@pytest.mark.parametrize(("minutes", "executed"), [(5, True), (60, False)])
def test_it_does_not_undo_what_another_run_quiesces(minutes: int, executed: bool) -> None:
    world = make_world()
    move, sleep = world.move, world.clock.on_sleep
    until = []

    def taken(task: Any) -> Any:
        made = move(task)
        world.cluster.put(manifest("Pod", "run-9-a", SYSTEM, status={"phase": "Running"}))
        world.hold_pod("crm-1/run-9-a", replace(THEIRS, command=("theirs",)), policy="crm")
        until.append(world.clock.now() + timedelta(minutes=minutes))
        return made

    def end() -> None:
        sleep()
        if until and world.clock.now() >= until[0]:
            until.clear()
            for raw in world.cluster.all("Lease"):
                if "hook" in raw["metadata"]["name"]:
                    world.cluster.remove(raw)

    world.move = taken  # type: ignore[method-assign]
    world.clock.on_sleep = end
    world.run()
    assert world.events == (AROUND if executed else AROUND[:2])
    assert not_at_rest(world)
    if not executed:
        assert "not executed: pod shop/db-0 has open hooks of policy crm" in part(world).reasons[1]
        assert [lease.policy for lease in world.leases()] == ["crm"]


@pytest.fixture(scope="module")
def points() -> list[Point]:
    """Return where a run could die."""
    life = Life()
    Pods(make_world()).live(1, "run-1-a", life)
    points = points_of(life)
    assert Point(UNLOCK, 1, after=True) in points
    return points


@pytest.mark.one_in(4)
@pytest.mark.parametrize("part_of", range(8))
def test_killed_from_then_on_it_has_run_or_is_left_to_the_job(
    points: list[Point], part_of: int
) -> None:
    for point in points[part_of::8]:
        world = make_world()
        started: list[str] = []

        def note(command: tuple[str, ...], started: list[str] = started) -> None:
            started.append(command[0])

        world.execute.before = note
        with suppress(Killed):
            Pods(world).live(1, "run-1-a", Life(point))
        if "unlock" in started:
            world.finish()
            assert AROUND[2] in world.events, point
        elif world.leases():
            world.finish()
            assert world.events[-1] == AROUND[2] or AROUND[0] not in world.events, point
        assert world.leases() == [], point


class Away:
    """A writer that can't create hooks' Leases once the data is copied, for ``times`` calls."""

    def __init__(self, world: HookWorld, times: int) -> None:
        self._world = world
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)

    def create(self, raw: Any) -> Any:
        if "hook" in raw["metadata"]["name"] and AROUND[1] in self._world.events and self._left:
            self._left -= 1
            raise Transient("HTTP 503")
        return self._world.cluster.create(raw)


def stop_after_copy(world: HookWorld, **changed: Any) -> None:
    """The run is told to stop when its data is copied."""
    with pytest.raises(Interrupted):
        execute_run(
            world.request(), world.ports(**changed), stopped=lambda: AROUND[1] in world.events
        )


@pytest.mark.parametrize("times", [1, 3, 1000])
def test_told_to_stop_it_is_executed_though_its_lease_can_not_be_written(times: int) -> None:
    world = make_world()
    stop_after_copy(world, writer=Away(world, times))
    assert (world.events, world.leases()) == (AROUND, [])


def test_what_nobody_can_execute_later_is_told_so() -> None:
    world = make_world()

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise Refused("not allowed")

    world.execute.before = strike
    world.run(writer=Away(world, 1000))
    assert (world.events, world.leases()) == (AROUND[:2], [])
    assert not_at_rest(world)
    assert "nobody tries again" in part(world).reasons[1]


def test_told_to_stop_it_does_not_undo_what_another_run_quiesces() -> None:
    world = make_world()
    move = world.move

    def taken(task: Any) -> Any:
        made = move(task)
        world.cluster.put(manifest("Pod", "run-9-a", SYSTEM, status={"phase": "Running"}))
        world.hold_pod("crm-1/run-9-a", replace(THEIRS, command=("theirs",)), policy="crm")
        return made

    world.move = taken  # type: ignore[method-assign]
    stop_after_copy(world)
    assert world.events == AROUND[:2]
    assert [lease.policy for lease in world.leases()] == ["crm"]
    (told,) = world.log.of("hook left open")
    assert str(told["why"]).startswith("not executed: stopped while waiting")
    assert "tries again" not in str(told["why"])


def test_told_to_stop_before_it_knows_of_its_lease_it_leaves_none() -> None:
    world = HookWorld()
    lost: list[str] = []

    class Writer:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.cluster, name)

        def create(self, raw: Any) -> Any:
            made = world.cluster.create(raw)
            if "hook" in raw["metadata"]["name"] and not lost:
                lost.append(raw["metadata"]["name"])
                raise Transient("the answer got lost")
            return made

    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(writer=Writer()), stopped=lambda: bool(lost))
    assert (len(lost), world.events, world.leases()) == (1, [], [])
