"""Who begins a restore beside another one hears of it before the plan is made."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.leases import DURATION
from reconciler.engine.restorelease import LEASE
from reconciler.model import kinds
from reconciler.model.errors import Refused, Waiting
from reconciler.model.objects import Resource
from tests.fakes.faults import FaultyReader
from tests.unit.engine.run_world import SYSTEM, RunWorld, manifest
from tests.unit.engine.test_restore import lost_world

HOLDER = "laptop/31563@e6c79d2d/2517030"


@pytest.fixture
def world() -> RunWorld:
    """Return a lost shop that somebody restores."""
    world = lost_world()
    hold(world)
    return world


def hold(world: RunWorld, namespace: str = SYSTEM) -> None:
    """Somebody's restore has the Lease."""
    world.cluster.acquire_lease(namespace, LEASE, HOLDER, seconds=DURATION)
    world.cluster.requests.clear()
    world.remote.calls.clear()


def test_the_second_one_hears_it_before_anything_else_is_read(world: RunWorld) -> None:
    with pytest.raises(Waiting, match="another restore is at work: laptop/31563 holds") as caught:
        world.restore(holder="desk/1").check_alone()
    assert HOLDER not in str(caught.value)
    assert set(world.cluster.requests) == {"get"}
    assert not world.remote.calls


def test_it_hears_it_where_the_first_began_before_the_installation() -> None:
    world = lost_world()
    world.cluster.put(manifest("Namespace", "default", ""))
    hold(world, "default")
    with pytest.raises(Waiting, match="holds the Lease default/backstay-restore"):
        world.restore(holder="desk/1").check_alone()


def test_a_plan_alone_is_made_and_says_it(world: RunWorld) -> None:
    plan = world.restore(holder="desk/1").plan()
    assert any("another restore is at work: laptop/31563" in note for note in plan.notes)
    assert not plan.empty


def test_who_is_dead_over_or_oneself_is_nobody_to_wait_for(world: RunWorld) -> None:
    mine = world.restore(holder=HOLDER)
    dead = world.restore(holder="desk/1", is_dead=lambda holder: holder == HOLDER)
    for restore in (mine, dead):
        restore.check_alone()
        assert not restore.plan().notes
    late = world.restore(holder="desk/1")
    world.clock.advance(DURATION + 1)
    late.check_alone()
    assert not late.plan().notes


def test_who_may_not_read_leases_may_plan_all_the_same(world: RunWorld) -> None:
    get = world.cluster.get

    class Denied(FaultyReader):
        def get(
            self, resource: Resource, name: str, *, namespace: str = ""
        ) -> dict[str, Any] | None:
            if resource == kinds.LEASES:
                raise Refused("get leases: not allowed")
            return get(resource, name, namespace=namespace)

    reader = Denied(world.cluster, lambda *_: False)
    restore = world.restore(holder="desk/1", reader=reader)
    restore.check_alone()
    assert not restore.plan().notes


def test_the_lease_itself_names_the_holder_as_briefly(world: RunWorld) -> None:
    restore = world.restore(holder="desk/1")
    with pytest.raises(Waiting, match="laptop/31563 holds the Lease") as caught:
        restore.execute(restore.plan())
    assert HOLDER not in str(caught.value)
