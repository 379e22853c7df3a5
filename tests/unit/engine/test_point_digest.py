"""Recovery points for a command at a terminal: of some policies, bounded, newest first."""

from __future__ import annotations

from datetime import timedelta

from reconciler.engine.pointdigest import Budget, read_points
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.inventory_world import InventoryWorld


def test_only_the_policies_that_are_asked_for_are_read() -> None:
    world = InventoryWorld()
    runs = []
    for _ in range(3):
        runs.append(world.run())
        world.later(minutes=60)
    store = FakeManifestStore(world.runs)
    budget = Budget(clock=world.clock, until=world.clock.now() + timedelta(minutes=1), policy=2)
    (found,) = read_points(store, "prod-eu", budget, only={"shop", "crm"})
    assert (found.policy, found.older) == ("shop", 1)
    assert [point.run for point in found.points] == runs[1:]
    assert read_points(store, "prod-eu", budget, only={"crm"}) == ()
    assert read_points(store, "prod-eu", budget) == (found,)
