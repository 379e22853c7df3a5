"""A post command whose end nobody saw keeps others off its pod until it can't be at work."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.engine.finishing import PostFailed
from reconciler.model.podexec import ExecLost
from reconciler.model.run import Outcome
from reconciler.plan.hooklease import HookLease
from tests.fakes.podexec import Program
from tests.unit.engine.hook_world import THEIRS, HookWorld
from tests.unit.engine.run_world import RUN_IDS
from tests.unit.engine.test_hooks import AROUND, part

THEIRS_TOO = replace(THEIRS, hook="theirs-too", command=("late",))
LATE = Program(endless=True)


def moment_left(world: HookWorld) -> timedelta:
    """How long the pod's Lease, which is nobody's, says that a command may be at work."""
    lease: HookLease
    (lease,) = world.leases()
    assert lease.holder == f"{RUN_IDS[0]}/"
    (hook,) = lease.pod.open
    assert hook.moment is not None
    return hook.moment - world.clock.now()


def test_one_that_timed_out_is_given_away_with_its_moment() -> None:
    world = HookWorld()
    world.program("unlock", takes=35)
    world.run()
    assert part(world).outcome is Outcome.PARTIALLY_FAILED
    (lease,) = world.leases()
    assert lease.holder == f"{RUN_IDS[0]}/"
    assert lease.pod.open[0].moment is not None
    world.program("unlock", takes=0)
    world.finish()
    assert world.events[-1] == AROUND[2]
    assert world.clock.now() >= lease.pod.open[0].moment
    assert world.leases() == []


def test_one_whose_answer_got_lost_is_given_away_though_a_second_try_did_it() -> None:
    world = HookWorld()
    left = [1]

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock" and left:
            left.pop()
            raise ExecLost("the connection broke")

    world.execute.before = strike
    world.run()
    assert world.events == AROUND
    assert part(world).outcome is Outcome.COMPLETED
    assert moment_left(world) > timedelta()
    (warning,) = world.record().warnings
    assert "nobody saw the end of one try of it" in warning


def test_one_that_was_lost_and_then_could_not_be_started_keeps_its_moment() -> None:
    world = HookWorld()

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise ExecLost("the connection broke")

    world.execute.before = strike
    world.run()
    (lease,) = world.leases()
    assert lease.pod.open[0].moment is not None


def test_the_job_keeps_the_pod_until_its_own_can_not_be_at_work() -> None:
    world = HookWorld()
    world.hold_pod("shop-1/run-1-a", THEIRS, policy="shop")
    world.program("unlock", endless=True)
    begun = world.clock.now()
    with pytest.raises(PostFailed, match="had not ended in time"):
        world.finish()
    assert world.clock.now() >= begun + timedelta(seconds=THEIRS.timeout)
    assert world.events == ["unlock shop/db-0"]
    assert [lease.is_over for lease in world.leases()] == [True]


def test_others_are_ended_before_the_job_waits() -> None:
    world = HookWorld()
    world.hold_pod("shop-1/run-1-a", THEIRS, THEIRS_TOO, policy="shop")
    world.execute.containers["shop", "db-0", "db"]["late"] = LATE
    seen: list[list[str]] = []
    world.clock.on_sleep = lambda: seen.append(
        [hook.hook for lease in world.leases() for hook in lease.pod.open]
    )
    with pytest.raises(PostFailed):
        world.finish()
    assert world.events == ["unlock shop/db-0"]
    assert seen[0] == ["theirs-too"]
    assert [lease.is_over for lease in world.leases()] == [True]
