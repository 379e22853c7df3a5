"""A clock that jumps, between cycles and in their middle: nothing is lost, repeated or stuck.

Only the Clock port moves. Intervals and back-off are seconds to wait and know no time of day.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.engine.applying import LEASE_SECONDS
from reconciler.engine.controller import run_controller
from reconciler.engine.figures import figures_of
from reconciler.model.errors import Refused, Transient, Waiting
from reconciler.model.figures import Figures
from reconciler.plan.collection import UNUSED_SINCE
from tests.unit.engine.busy_world import (
    assert_each_schedule_can_run,
    assert_settled,
    busy_world,
    deleted,
    state,
)
from tests.unit.engine.controller_world import BROKEN, ControllerWorld, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld, with_rpo

HOUR, DAY, YEAR = 3600.0, 86400.0, 366 * 86400.0
JUMPS = (3 * DAY, 10 * YEAR, -HOUR, -10 * YEAR)


@dataclass(slots=True)
class Jumping:
    """The world's clock, which jumps when it is looked at for the ``nth`` time from now."""

    world: ControllerWorld
    by: float
    nth: int
    looks: int = 0

    def now(self) -> datetime:
        """As the port says."""
        if self.looks == self.nth:
            self.world.clock.sleep(self.by)
        self.looks += 1
        return self.world.clock.now()

    def sleep(self, seconds: float) -> None:
        """As the port says."""
        self.world.clock.sleep(seconds)


def moment_of(text: object) -> datetime:
    """A time as statuses and logs have it."""
    return datetime.fromisoformat(str(text))


def schedules(world: ControllerWorld) -> set[str]:
    """What is there but for ConfigMaps, which go when their time is over."""
    return {name for name in state(world) if not name.startswith("ConfigMap/")}


@functools.cache
def undisturbed() -> tuple[int, set[str]]:
    """How often a cycle looks at a clock that goes right, and what it leaves."""
    calm = busy_world()
    counted = Jumping(calm, 0, 10**9)
    assert calm.cycle(clock=counted).exit_code == 0
    return counted.looks, schedules(calm)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("nth", range(undisturbed()[0]))
@pytest.mark.parametrize("by", [200.0, 3 * DAY, -10 * YEAR])
def test_in_the_middle_of_a_cycle_it_makes_the_same_of_it(by: float, nth: int) -> None:
    world = busy_world()
    ended = world.cycle(clock=Jumping(world, by, nth))
    if ended.error is not None:
        # So late that the Lease is over: the next cycle begins at once.
        assert isinstance(ended.error, Waiting)
        assert by >= LEASE_SECONDS
        assert_each_schedule_can_run(world)
        assert world.cycle().exit_code == 0
    world.cycle()
    gone = [one for one in deleted(world) if one.startswith("CronJob/")]
    assert gone == ["CronJob/backstay-shop"]
    assert schedules(world) == undisturbed()[1]
    assert_each_schedule_can_run(world)
    assert_settled(world)


@pytest.mark.parametrize("by", JUMPS)
def test_there_and_back_again_costs_a_write_and_no_flood(by: float) -> None:
    world = MirrorWorld()
    world.source.push(files("mail", shop=with_rpo(policy_yaml("shop"))))
    world.cycle()
    world.run(1)
    world.cycle()
    before = world.events()
    for jump in (by, -by, by, -by):
        world.clock.sleep(jump)
        assert world.cycle().exit_code == 0
        now = world.clock.now()
        for raw in world.cluster.all("BackupPolicy"):
            status = raw["status"]
            assert moment_of(status["nextRun"]) > now
            assert status.get("rpo", {}).get("achievedSeconds", 0) >= 0
            for condition in status["conditions"]:
                assert moment_of(condition["lastTransitionTime"]) <= now
        world.written()
        world.cycle()
        assert world.written() == [], "peace, whatever the time is"
    assert world.status()["lastRun"]["outcome"] == "Completed"
    assert not [verb for verb, _ in world.cluster.writes if verb == "delete"]
    told = [reason for _, reason in world.events()[len(before) :]]
    assert set(told) <= {"RpoMissed", "RpoMet"}
    assert len(told) <= 4, "one for each change of state"


@pytest.mark.parametrize("by", JUMPS)
def test_pauses_and_back_off_know_no_time_of_day(by: float) -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.source.failures += [Transient("away"), Transient("away"), Refused("no")]
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        world.clock.sleep(by)
        return len(pauses) == 5

    run_controller(
        lambda: world.setting, world.teller, pause=pause, jitter=lambda: 1.0, reporter=world.log
    )
    assert pauses == [5, 10, 60, 60, 60]
    assert world.names("CronJob") == ["backstay-shop"]


@pytest.mark.parametrize("by", JUMPS)
def test_since_when_is_never_to_come(by: float) -> None:
    world = MirrorWorld()
    world.source.push(files("shop"))
    world.cycle()
    figures = figures_of(Figures(), world.cycle(), cluster="prod-eu", now=world.clock.now())
    for jump in (by, 60.0, -by, by):
        world.source.failures.append(Transient("no answer"))
        cycle = world.cycle()
        now = world.clock.now()
        figures = figures_of(figures, cycle, cluster="prod-eu", now=now)
        assert figures.source_read is not None
        assert figures.source_read <= now
        assert set(world.conditions()) == {"Ready", "Reconciling"}
        for condition in world.status()["conditions"]:
            assert moment_of(condition["lastTransitionTime"]) <= now
        assert moment_of(world.log.of("cycle failed")[-1]["since"]) <= now
        world.clock.sleep(jump)
    world.cycle()
    (over,) = world.log.of("cycles end well again")
    assert moment_of(over["failed_since"]) <= world.clock.now()


@pytest.mark.parametrize("by", [-HOUR, -3 * DAY, -10 * YEAR])
def test_set_back_it_silences_nothing(by: float) -> None:
    world = ControllerWorld()
    world.source.push(files("mail", shop=BROKEN))
    world.cycle()
    world.log.take()
    world.clock.sleep(by)
    world.cycle()
    assert "problem" in world.log.take()
    world.cycle()
    assert world.log.take() == ["cycle done"]


@pytest.mark.parametrize("by", [-1.0, -HOUR, -10 * YEAR])
def test_set_back_while_it_writes_the_lease_is_renewed_at_once(by: float) -> None:
    """Others count from the time that stands in it: it must not be of times to come, nor old."""
    world = ControllerWorld()
    renewals: list[datetime] = []

    class Watching:
        def __getattr__(self, name: str) -> Any:
            if name == "acquire_lease":
                renewals.append(world.clock.now())
            if name == "apply" and len(renewals) == 1:
                world.clock.sleep(by)
            return getattr(world.cluster, name)

    world.source.push(files("mail", "shop"))
    begun = world.clock.now()
    assert world.cycle(writer=Watching()).exit_code == 0
    assert renewals == [begun, begun + timedelta(seconds=by)]


def test_a_mark_of_times_to_come_does_not_keep_a_config_map_for_ever() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.cycle()
    world.clock.sleep(YEAR)
    world.source.push(files(shop=policy_yaml("shop", "1 1 * * *")))
    world.cycle()
    world.clock.sleep(-YEAR)
    world.cycle()
    marks = [
        raw["metadata"]["annotations"][UNUSED_SINCE]
        for raw in world.cluster.all("ConfigMap")
        if UNUSED_SINCE in raw["metadata"].get("annotations", {})
    ]
    assert [moment_of(mark) for mark in marks] == [world.clock.now()]
    assert len(world.names("ConfigMap")) == 3
    world.clock.sleep(2 * DAY)
    world.cycle()
    assert len(world.names("ConfigMap")) == 2
    assert_settled(world)
