"""The policy's Lease: one run at a time, and a dead one's is taken over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.leases import LeaseLost
from reconciler.engine.run import _Run, execute_run
from reconciler.engine.runlease import Busy, hold_lease
from reconciler.model.errors import (
    Interrupted,
    Transient,
    Waiting,
)
from reconciler.model.naming import lease_name
from reconciler.model.objects import ObjectRef
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveTask
from tests.fakes.faults import FaultyWriter
from tests.fakes.mover import FakeMover
from tests.unit.engine.crashing import CrashingMover, holder, kill
from tests.unit.engine.run_world import (
    BRANCH,
    RUN_IDS,
    SYSTEM,
    RunWorld,
    manifest,
)

LEASE = lease_name("shop")
YEAR = 365 * 86400
"""Of a Lease that is not to end by itself: in a fake time, who waits moves it on for everybody."""


def test_a_second_run_at_the_same_time_is_skipped() -> None:
    world = RunWorld()
    world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    kill(world, mover=CrashingMover(world.mover, 0))
    with pytest.raises(Busy, match=f"{RUN_IDS[0]} is running") as caught:
        world.run(2)
    assert caught.value.exit_code == 0
    assert BRANCH not in world.remote.heads


@pytest.mark.parametrize("phase", ["Failed", "Succeeded", ""])
def test_the_lease_of_a_dead_pod_is_taken_over(phase: str) -> None:
    world = RunWorld()
    if phase:
        world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": phase}))
    kill(world, mover=CrashingMover(world.mover, 0))
    assert world.run(2).record.outcome is Outcome.COMPLETED
    assert len(world.log.of("taking over the lease of a dead run")) == 1


def test_a_successor_waits_for_its_predecessors_pod() -> None:
    world = RunWorld()
    pod = world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    kill(world, mover=CrashingMover(world.mover, 0))
    world.clock.on_sleep = lambda: world.cluster.remove(pod)
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED


def test_a_successor_does_not_wait_for_ever() -> None:
    world = RunWorld()
    world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    kill(world, mover=CrashingMover(world.mover, 0))

    def renew() -> None:
        world.cluster.acquire_lease(SYSTEM, LEASE, holder(world), seconds=60)

    world.clock.on_sleep = renew
    with pytest.raises(Waiting, match="run-1-a") as caught:
        world.run(pod="run-1-b")
    assert caught.value.hint


def test_a_successor_that_is_to_stop_does_not_wait() -> None:
    world = RunWorld()
    world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    kill(world, mover=CrashingMover(world.mover, 0))
    request = replace(world.request(), pod="run-1-b")
    with pytest.raises(Interrupted):
        execute_run(request, world.ports(), stopped=lambda: True)
    assert holder(world) == f"{RUN_IDS[0]}/run-1-a"


def test_a_run_that_lost_its_lease_pushes_nothing() -> None:
    world = RunWorld()

    def move(task: MoveTask) -> Any:
        world.cluster.acquire_lease(
            SYSTEM, LEASE, "other/pod", seconds=YEAR, take_from=f"{RUN_IDS[0]}/run-1-a"
        )
        return world.move(task)

    world.mover._effect = move
    with pytest.raises(LeaseLost):
        world.run()
    assert BRANCH not in world.remote.heads
    assert holder(world) == "other/pod", "what is another's is not released"


def test_a_run_that_lost_its_lease_copies_no_longer() -> None:
    """The other run takes its movers away, and it would begin them again and again."""
    world = RunWorld()
    world.mover = FakeMover(looks=10**9)
    begun = world.mover.ensure

    def ensure(task: MoveTask) -> Any:
        world.cluster.acquire_lease(
            SYSTEM, LEASE, "other/pod", seconds=YEAR, take_from=f"{RUN_IDS[0]}/run-1-a"
        )
        return begun(task)

    world.mover.ensure = ensure  # type: ignore[method-assign]
    request = replace(world.request(), deadline=world.clock.now() + timedelta(days=365))
    ports = world.ports()
    with hold_lease(request, ports, every=0.01) as lease, pytest.raises(LeaseLost):
        _Run(request, ports, lease, lambda: False).execute()
    assert lease.lost()
    assert world.mover.leftovers("shop") == ()
    assert holder(world) == "other/pod"


def test_a_lease_that_cannot_be_asked_for_is_asked_for_again() -> None:
    world = RunWorld()
    away = Transient("the API server is away")
    writer = FaultyWriter(world.cluster, "acquire_lease", error=away, after=2)
    assert world.run(writer=writer).record.outcome is Outcome.COMPLETED
    assert world.log.of("trying again")


def test_a_lease_is_ours_and_named_after_the_policy() -> None:
    world = RunWorld()
    world.run()
    assert (
        "update",
        ObjectRef(group="coordination.k8s.io", kind="Lease", namespace=SYSTEM, name=LEASE),
    ) in world.cluster.writes
