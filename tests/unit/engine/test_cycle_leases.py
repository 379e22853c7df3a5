"""One list of Leases serves the open hooks and the alarms; what changed since is read again."""

from __future__ import annotations

from typing import Any

from reconciler.engine.ownleases import read_leases
from reconciler.model import kinds
from tests.fakes.faults import FaultyReader
from tests.unit.engine.hook_world import HookWorld
from tests.unit.engine.run_world import SYSTEM
from tests.unit.engine.test_finish_jobs import HOLDER, jobs, put_pod, start


def abandoned() -> HookWorld:
    """A dead run has left a pod quiesced; beside its Lease lie those of a run, and of its tips."""
    world = HookWorld()
    world.run()
    world.hold_pod(HOLDER, policy="shop")
    put_pod(world, status={"phase": "Failed"})
    world.cluster.requests.clear()
    return world


def listed(world: HookWorld) -> tuple[Any, ...]:
    found = read_leases(world.cluster, SYSTEM)
    assert found is not None
    return found


def test_the_list_has_hooks_and_tips_and_is_asked_for_once() -> None:
    world = abandoned()
    leases = listed(world)
    parts = [raw["metadata"]["labels"]["backstay.dev/component"] for raw in leases]
    assert sorted(set(parts)) == ["hook", "state"]
    asked = world.cluster.requests["pages"]
    start(world, leases=leases)
    assert len(jobs(world)) == 1
    assert not world.log.of("hook's lease not understood")
    assert (asked, world.cluster.requests["pages"]) == (1, 4), "Jobs, pods, its Lease again"


def test_a_run_that_ended_since_the_list_has_left_nothing_open() -> None:
    world = abandoned()
    leases = listed(world)
    (lease,) = world.leases()
    for raw in world.cluster.all("Lease"):
        if raw["metadata"]["name"] == lease.name:
            world.cluster.remove(raw)
    start(world, leases=leases)
    assert jobs(world) == []
    assert not world.log.of("a dead run has left hooks open: starting a Job that ends them")


def test_a_lease_that_changed_since_the_list_is_for_the_next_cycle() -> None:
    world = abandoned()
    leases = listed(world)
    (lease,) = world.leases()
    for raw in world.cluster.all("Lease"):
        if raw["metadata"]["name"] == lease.name:
            world.cluster.edit(raw, lambda one: one["metadata"]["labels"].update(touched="yes"))
    start(world, leases=leases)
    assert jobs(world) == []
    start(world, leases=listed(world))
    assert len(jobs(world)) == 1


def test_what_can_not_be_listed_is_nothing_known() -> None:
    world = abandoned()
    faulty = FaultyReader(world.cluster, lambda kind, _: kind is kinds.LEASES)
    assert read_leases(faulty, SYSTEM) is None
