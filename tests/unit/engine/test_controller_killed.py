"""A controller is killed before and after each call of a cycle, and another goes on (I11)."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from reconciler.engine.applying import LEASE_SECONDS
from reconciler.model.errors import Waiting
from tests.fakes.watched import Killed, Life
from tests.unit.engine.busy_world import (
    assert_each_schedule_can_run,
    assert_settled,
    busy_world,
    cycle_of,
    deleted,
    holder_of,
    state,
)
from tests.unit.engine.controller_world import ControllerWorld

OLD, NEW = "backstay-controller-1/a", "backstay-controller-2/b"


@functools.cache
def undisturbed() -> tuple[list[str], dict[str, Any], list[str]]:
    """The moments of a cycle that nobody kills, what it leaves, and what it deletes."""
    world, life = busy_world(), Life()
    assert cycle_of(world, OLD, life).exit_code == 0
    return life.moments, state(world), sorted(deleted(world))


MOMENTS = [
    number
    for number, moment in enumerate(undisturbed()[0])
    if number == 0 or moment.startswith("after ")
]
"""After a call is before the next one: nothing happens in the world between the two."""


def killed(moment: int) -> ControllerWorld:
    """A world whose controller died at this moment; nothing in it is half made."""
    world = busy_world()
    with pytest.raises(Killed):
        cycle_of(world, OLD, Life(moment))
    assert_each_schedule_can_run(world)
    return world


def assert_done(world: ControllerWorld) -> None:
    """As if nobody had been killed, each deletion once, and then there is peace."""
    _, wanted, gone = undisturbed()
    assert state(world) == wanted
    assert sorted(deleted(world)) == gone
    assert_settled(world)


def test_the_cycle_creates_changes_and_deletes() -> None:
    moments, _, gone = undisturbed()
    assert gone[1:] == ["CronJob/backstay-shop"]
    assert gone[0].startswith("ConfigMap/backstay-docs-")
    calls = {moment.partition(" ")[2] for moment in moments}
    assert calls == {"get", "fetch", "pages", "acquire_lease", "apply", "delete", "release_lease"}
    assert moments.count("after apply") >= 5


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS)
def test_i11_another_pod_goes_on_when_the_lease_has_run_out(moment: int) -> None:
    world = killed(moment)
    held = holder_of(world)
    assert held in ("", OLD)
    so_far = len(world.cluster.writes)
    work_left = state(world) != undisturbed()[1]
    cycle = world.cycle(holder=NEW)
    if held and work_left:
        assert isinstance(cycle.error, Waiting)
        assert cycle.error.message == f"another controller, {OLD}, is writing"
        assert len(world.cluster.writes) == so_far
        world.clock.sleep(LEASE_SECONDS)
        cycle = world.cycle(holder=NEW)
    assert cycle.exit_code == 0
    assert_done(world)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("moment", MOMENTS)
def test_i11_the_same_pod_goes_on_at_once(moment: int) -> None:
    world = killed(moment)
    assert world.cycle(holder=OLD).exit_code == 0
    assert holder_of(world) in ("", OLD)
    assert_done(world)


def test_i11_killed_again_and_again_after_each_write() -> None:
    world = busy_world()
    deaths = 0
    while True:
        writes = len(world.cluster.writes)
        life = Life()

        def one_more(moment: str, life: Life = life, writes: int = writes) -> None:
            wrote = len(world.cluster.writes) > writes
            if wrote and moment in ("after apply", "after delete"):
                life.ends_at = len(life.moments)
            life(moment)

        try:
            cycle = cycle_of(world, OLD, one_more)
        except Killed:
            deaths += 1
            assert_each_schedule_can_run(world)
            continue
        assert cycle.exit_code == 0
        break
    assert deaths >= 5
    assert_done(world)
