"""What a run could not end is given to others while it goes on, and does not wait for its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.run import execute_run
from reconciler.model.errors import Refused, Transient
from tests.unit.engine.hook_world import HookWorld
from tests.unit.engine.run_world import RUN_IDS, put_shop

NOBODY = f"{RUN_IDS[0]}/"


class Writer:
    """Patches that give a Lease away fail in their own way, so often."""

    def __init__(self, world: HookWorld, *, conflict: bool, times: int) -> None:
        self._inner = world.ports().writer
        self._conflict = conflict
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def patch(self, ref: Any, changes: Any, **given: Any) -> Any:
        if (changes.get("spec") or {}).get("holderIdentity") == NOBODY and self.left:
            self.left -= 1
            if self._conflict:
                return None
            raise Transient("the API server is away")
        return self._inner.patch(ref, changes, **given)


def make_world() -> HookWorld:
    """No post command can be started."""
    world = HookWorld()

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise Refused("not allowed")

    world.execute.before = strike
    return world


@pytest.mark.parametrize("conflict", [False, True], ids=["away", "conflict"])
def test_giving_a_lease_away_is_tried_again(conflict: bool) -> None:
    world = make_world()
    writer = Writer(world, conflict=conflict, times=5)
    world.run(writer=writer)
    assert writer.left == 0
    assert [lease.holder for lease in world.leases()] == [NOBODY]


def test_it_is_not_tried_for_longer_than_the_run_has() -> None:
    world = make_world()
    writer = Writer(world, conflict=False, times=10**9)
    execute_run(world.request(), world.ports(writer=writer))
    assert [lease.holder for lease in world.leases()] == [f"{NOBODY}run-1-a"]
    assert world.log.of("hook's lease not given away")
    assert world.clock.now() <= world.request().deadline + timedelta(hours=1)


def test_one_namespace_does_not_wait_quiesced_for_the_next() -> None:
    world = make_world()
    put_shop(world.cluster, "shop-two")
    world.add_pod(namespace="shop-two")
    world.policy = replace(world.policy, volumes=replace(world.policy.volumes, concurrency=1))
    holders: list[list[str]] = []
    strike = world.execute.before

    def look(command: tuple[str, ...]) -> None:
        if command[0] == "lock":
            holders.append([lease.holder for lease in world.leases()])
        strike(command)

    world.execute.before = look
    world.run()
    # The second one's own, before its pre command starts, and what the first one has left.
    assert sorted(holders[-1]) == [NOBODY, f"{NOBODY}run-1-a"]
