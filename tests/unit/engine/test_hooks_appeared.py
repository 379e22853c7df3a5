"""Pods that begin while their namespace is copied are no Completed run's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveTask
from tests.unit.engine.hook_world import HookWorld, db_pod
from tests.unit.engine.run_world import put_shop
from tests.unit.engine.test_hooks import AROUND, part


class Appearing(HookWorld):
    """Something happens once, while a namespace is copied."""

    copied: Callable[[MoveTask], object] = staticmethod(lambda _: None)

    def move(self, task: MoveTask) -> MoveResult:
        self.copied(task)
        return super().move(task)


def test_a_pod_that_begins_during_the_copy_is_told() -> None:
    world = Appearing()
    world.copied = lambda _: world.cluster.put(db_pod("db-1"))
    world.run()
    assert world.events == AROUND
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    (reason,) = found.reasons
    assert "pod shop/db-1 has its labels" in reason
    assert "not at rest until the end of the copy" in reason


def test_a_namespace_that_had_no_pod_for_a_moment_is_told() -> None:
    world = Appearing()
    put_shop(world.cluster, "shop-two")
    world.policy = replace(world.policy, volumes=replace(world.policy.volumes, concurrency=1))
    left = [db_pod("db-9", "shop-two")]
    one_by_one = threading.Lock()  # two threads of the run may copy

    def appear(_: MoveTask) -> None:
        with one_by_one:
            while left:
                world.cluster.put(left.pop())

    world.copied = appear
    world.run()
    assert part(world).outcome is Outcome.COMPLETED
    found = part(world, "shop-two")
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "pod shop-two/db-9 has its labels" in found.reasons[0]


@pytest.mark.parametrize(
    ("error", "times", "reason"),
    [(Transient("it is away"), 3, ""), (Refused("no right"), 10**9, "is not known: no right")],
)
def test_pods_that_can_not_be_listed_keep_no_post_command_waiting(
    error: BackstayError, times: int, reason: str
) -> None:
    world = HookWorld()
    reader = world.ports().reader
    at: list[list[str]] = []

    class Away:
        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def pages(self, kind: Any, **given: Any) -> Iterator[Any]:
            # Not the list of the thread that captures the namespace beside.
            own = threading.current_thread().name.startswith("movers")
            whole = (
                kind.plural == "pods"
                and given.get("namespace") == "shop"
                and not (given.get("field_selector") or given.get("label_selector"))
            )
            if own and whole and AROUND[1] in world.events:
                at.append(list(world.events))
                if len(at) <= times:
                    raise error
            return iter(reader.pages(kind, **given))

    world.run(reader=Away())
    assert world.events == AROUND
    # The first look is before the post command, the others after it.
    assert [found == AROUND for found in at[:2]] == [False, True]
    found = part(world)
    if reason:
        assert found.outcome is Outcome.PARTIALLY_FAILED
        assert reason in found.reasons[0]
    else:
        assert found.outcome is Outcome.COMPLETED
        assert len(at) == times + 1
