"""Hooks that run once, for all namespaces, and what it means where they could not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.run import Outcome
from tests.unit.engine.hook_world import QUIESCE, HookWorld, db_pod
from tests.unit.engine.run_world import put_shop
from tests.unit.engine.test_hooks import part

NAMES = ("shop", "shop-two")
ONCE = replace(QUIESCE, once=True)
LEAVING = {"deletionTimestamp": "2026-11-22T00:00:00Z"}


def make_world(**metadata: Any) -> HookWorld:
    """Two namespaces; the only pod of the application is in the first, and can't be hooked."""
    world = HookWorld(hooks=(ONCE,))
    put_shop(world.cluster, "shop-two")
    pod = db_pod(**metadata)
    if not metadata:
        pod["status"]["phase"] = "Pending"
    world.cluster.put(pod)
    return world


def copied(world: HookWorld) -> int:
    return sum(event.startswith("copy") for event in world.events)


def test_once_in_a_pod_that_is_being_deleted_fails_all_namespaces() -> None:
    world = make_world(**LEAVING)
    world.run()
    assert world.events == []
    for name in NAMES:
        assert part(world, name).outcome is Outcome.PARTIALLY_FAILED
        assert "it is being deleted" in part(world, name).reasons[0]


def test_once_in_a_pod_that_does_not_run_yet_leaves_no_namespace_completed() -> None:
    world = make_world()
    world.run()
    assert copied(world) == 2
    for name in NAMES:
        assert part(world, name).outcome is Outcome.PARTIALLY_FAILED
        assert "it is Pending, not Running" in part(world, name).reasons[0]


@pytest.mark.parametrize("metadata", [{}, LEAVING], ids=["pending", "leaving"])
def test_a_pod_that_can_run_it_after_its_turn_comes_too_late(metadata: dict[str, Any]) -> None:
    world = make_world(**metadata)
    reader = world.ports().reader
    asked: list[str] = []

    class Meanwhile:
        """The pod is as it should be from the second look at its namespace on."""

        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def pages(self, kind: Any, **given: Any) -> Any:
            if kind.plural == "pods" and given.get("namespace") == "shop":
                asked.append("shop")
                if len(asked) == 2:
                    world.cluster.put(db_pod())
            return reader.pages(kind, **given)

    world.run(reader=Meanwhile())
    assert "lock shop/db-0" not in world.events
    for name in NAMES:
        assert part(world, name).outcome is Outcome.PARTIALLY_FAILED
        assert [str(one.outcome) for one in part(world, name).hooks] == ["Skipped"]
