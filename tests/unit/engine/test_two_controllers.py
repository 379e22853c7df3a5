"""Two controllers at once, handing over to each other at every call: never both write."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.engine.applying import LEASE_SECONDS
from reconciler.engine.controller import Cycle
from reconciler.model.errors import Waiting
from tests.fakes.turns import Process
from tests.fakes.watched import Life
from tests.unit.engine.busy_world import (
    AFTER,
    assert_each_schedule_can_run,
    assert_settled,
    busy_world,
    cycle_of,
    deleted,
    holder_of,
    state,
)
from tests.unit.engine.controller_world import ControllerWorld, files, policy_yaml

ONE, TWO = "backstay-controller-1/a", "backstay-controller-2/b"


@functools.cache
def undisturbed() -> tuple[list[str], dict[str, Any], list[str]]:
    """The moments of one controller's cycle, what it leaves, and what it deletes."""
    world, life = busy_world(), Life()
    assert cycle_of(world, ONE, life).exit_code == 0
    return life.moments, state(world), deleted(world)


MOMENTS = [
    number
    for number, moment in enumerate(undisturbed()[0])
    if number == 0 or moment.startswith("after ")
]


def controller(world: ControllerWorld, holder: str) -> Process:
    """One that may write only while the Lease is its own."""

    def work(step: Callable[[str], None]) -> Cycle:
        def watched(moment: str) -> None:
            if moment in ("before apply", "before delete"):
                assert holder_of(world) == holder, f"{holder}: {moment}"
            step(moment)

        return cycle_of(world, holder, watched)

    return Process(work)


def ended(process: Process) -> Cycle:
    """The cycle of a process, after its end."""
    cycle = process.finish()
    assert isinstance(cycle, Cycle)
    return cycle


def assert_one_waited_at_most(one: Cycle, two: Cycle) -> None:
    """Each has done its cycle, or says who writes and waits."""
    failed = [cycle.error for cycle in (one, two) if cycle.error is not None]
    assert len(failed) <= 1
    for error in failed:
        assert isinstance(error, Waiting)
        other = TWO if one.error else ONE
        assert (error.message, error.retry_after) in (
            (f"another controller, {other}, is writing", 30),
            ("the schedules were changed by another since this cycle looked", 1),
        )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS)
def test_one_is_held_while_the_other_does_a_whole_cycle(moment: int) -> None:
    world = busy_world()
    one, two = controller(world, ONE), controller(world, TWO)
    one.run_to(moment)
    second = ended(two)
    first = ended(one)
    assert_one_waited_at_most(first, second)
    assert state(world) == undisturbed()[1]
    assert deleted(world) == undisturbed()[2]
    assert_settled(world)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS[::3])
def test_each_is_held_at_any_moment_of_the_other(moment: int) -> None:
    for other in MOMENTS[1::5]:
        world = busy_world()
        one, two = controller(world, ONE), controller(world, TWO)
        one.run_to(moment)
        two.run_to(other)
        assert_one_waited_at_most(ended(one), ended(two))
        assert state(world) == undisturbed()[1], other
        assert deleted(world) == undisturbed()[2], other


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_planned_before_the_lease_is_not_written_over_what_is_newer(moment: int) -> None:
    """One has fetched, and is held; a newer revision comes and the other applies that."""
    world = busy_world()
    one, two = controller(world, ONE), controller(world, TWO)
    one.run_to(moment)
    newest = {"news": policy_yaml("news", "3 3 * * *"), "docs": policy_yaml("docs", "4 4 * * *")}
    revision = world.source.push(files(*AFTER, "shop", **newest))
    second = ended(two)
    first = ended(one)
    assert_one_waited_at_most(first, second)
    if second.error is None:
        remembered = world.cluster.all("ConfigMap")
        (memory,) = [raw for raw in remembered if raw["metadata"]["name"] == "backstay-state"]
        assert memory["data"]["revision"] == revision
        assert world.cron_job("news")["spec"]["schedule"] == "3 3 * * *"
        assert world.cron_job("shop")
        assert "CronJob/backstay-shop" not in deleted(world)[1:]
        assert_settled(world)
    assert world.cycle(holder=TWO).exit_code == 0
    assert_settled(world)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS)
def test_one_that_slept_longer_than_its_lease_writes_once_at_most(moment: int) -> None:
    world = busy_world()
    one = Process(lambda step: cycle_of(world, ONE, step))
    one.run_to(moment)
    world.clock.sleep(LEASE_SECONDS + 1)
    assert world.cycle(holder=TWO).exit_code == 0
    world.cluster.writes.clear()
    first = ended(one)
    assert first.error is None or isinstance(first.error, Waiting)
    assert len([ref for _, ref in world.cluster.writes if ref.kind != "Lease"]) <= 1
    assert_each_schedule_can_run(world)
    assert world.cycle(holder=TWO).exit_code == 0
    assert state(world) == undisturbed()[1]
    assert_settled(world)
