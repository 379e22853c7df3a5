"""Hooks of one run among others': whose turn it is, who ends what, and what ends a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.engine.run import execute_run
from reconciler.model.errors import Bug
from reconciler.model.hooks import HookCommand
from reconciler.model.run import Outcome
from tests.unit.engine.hook_world import QUIESCE, HookWorld
from tests.unit.engine.run_world import put_shop
from tests.unit.engine.test_hooks import AROUND, brief, part
from tests.unit.engine.test_hooks_replaced import swap


def test_all_pods_are_waited_for_before_one_is_quiesced() -> None:
    world = HookWorld()
    world.add_pod("db-1")
    held = world.hold_pod("nightly-20261121-031703-00009/run-9-a", policy="nightly", pod="db-1")
    open_then: list[str] = []

    def pass_time() -> None:
        world.work()
        if not open_then and world.log.of("waiting for another run's hooks"):
            open_then.extend(world.events)
            open_then.append("held")
            world.cluster.remove(held)

    world.clock.on_sleep = pass_time
    world.run()
    assert open_then == ["held"]
    assert [event.split()[0] for event in world.events] == ["lock", "lock", "copy"] + 2 * ["unlock"]
    assert world.leases() == []


def test_leases_are_written_in_the_order_of_uids() -> None:
    world = HookWorld()
    for name in ("db-1", "db-2", "db-3"):
        world.add_pod(name)
    uids = {
        raw["metadata"]["name"]: raw["metadata"]["uid"]
        for raw in world.cluster.all("Pod")
        if raw["metadata"]["namespace"] == "shop"
    }
    held = {
        world.hold_pod("x/y", policy="nightly", pod=name)["metadata"]["name"]: name for name in uids
    }
    freed: list[str] = []

    def pass_time() -> None:
        world.work()
        told = world.log.of("waiting for another run's hooks")
        if len(told) > len(freed):
            freed.append(str(told[-1]["pod"]))
            (lease,) = (
                raw
                for raw in world.cluster.all("Lease")
                if held.get(raw["metadata"]["name"]) == freed[-1]
            )
            world.cluster.remove(lease)

    world.clock.on_sleep = pass_time
    world.run()
    assert freed == sorted(freed, key=uids.__getitem__)
    assert len(freed) == 4


def test_a_pre_command_gets_no_more_time_than_the_run_has() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, pre=HookCommand(("lock",), timeout=3600)),))
    world.program("lock", endless=True)
    request = replace(world.request(), deadline=world.clock.now() + timedelta(seconds=100))
    execute_run(request, world.ports())
    assert 1 <= world.execute.timeouts[0] <= 100
    assert world.events[-1] == AROUND[2]


def test_what_another_pod_ends_is_recorded_without_its_result() -> None:
    world = HookWorld()

    def take() -> None:
        if world.events == AROUND[:1]:
            (raw,) = (
                raw
                for raw in world.cluster.all("Lease")
                if raw["metadata"]["name"].startswith("backstay-hook-")
            )
            raw["spec"]["holderIdentity"] = "finish/other"
            world.cluster.put(raw)
        world.work()

    world.clock.on_sleep = take
    world.working = 3
    world.run()
    assert world.events == AROUND[:2]
    found = part(world)
    assert brief(found) == [("pre", "db-0", "Completed"), ("post", "db-0", "Failed")]
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "ended by finish/other; what comes of it is not known here" in found.reasons[0]


def test_a_hook_of_once_whose_pod_goes_away_is_told_of_all_namespaces() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, once=True),))
    put_shop(world.cluster, "shop-two")

    def strike() -> None:
        if world.events == AROUND[:1]:
            swap(world)
        world.work()

    world.clock.on_sleep = strike
    world.working = 3
    world.run()
    for name in ("shop", "shop-two"):
        assert "not at rest until the end of the copy" in part(world, name).reasons[0]


def test_a_fault_of_ours_is_told_and_not_the_stop_that_it_brings() -> None:
    world = HookWorld()
    put_shop(world.cluster, "shop-two")
    world.add_pod(namespace="shop-two")
    inner = world.ports().execute

    class Faulty:
        def run(self, namespace: str, *args: Any, **given: Any) -> Any:
            if namespace == "shop-two":
                raise ZeroDivisionError("a fault")
            return inner.run(namespace, *args, **given)  # type: ignore[union-attr]

    result = execute_run(world.request(), world.ports(execute=Faulty()))
    assert isinstance(result.error, Bug)
    assert "ZeroDivisionError" in result.error.message


def test_a_hook_of_once_that_could_run_elsewhere_is_a_warning() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, once=True),))
    put_shop(world.cluster, "shop-two")
    world.add_pod(namespace="shop-two")
    world.run()
    (warning,) = world.record().warnings
    assert "runs once, in pod shop/db-0: the first by name, though shop-two" in warning


def test_a_run_that_has_no_time_left_waits_for_no_pod() -> None:
    world = HookWorld()
    world.hold_pod("nightly-20261121-031703-00009/run-9-a", policy="nightly")
    begun = world.clock.now()
    request = replace(world.request(), deadline=begun + timedelta(seconds=100))
    execute_run(request, world.ports())
    assert world.events == []
    assert "has open hooks of policy nightly" in part(world).reasons[0]
    assert (world.clock.now() - begun).total_seconds() < 500
