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
from tests.unit.engine.killing import Killed, Life
from tests.unit.engine.run_world import put_shop
from tests.unit.engine.test_hooks import AROUND, part
from tests.unit.engine.test_run_killed import Pods


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


def two_spaces(**given: Any) -> Appearing:
    """One after the other: shop, then shop-two, which has no pod yet."""
    world = Appearing(**given)
    put_shop(world.cluster, "shop-two")
    world.policy = replace(world.policy, volumes=replace(world.policy.volumes, concurrency=1))
    return world


def around(namespace: str, pod: str) -> list[str]:
    """What happens to a namespace that is quiesced."""
    return [f"lock {namespace}/{pod}", f"copy {namespace}/files", f"unlock {namespace}/{pod}"]


def test_a_namespace_that_had_no_pod_for_a_moment_is_quiesced_when_its_turn_comes() -> None:
    world = two_spaces()
    left = ["db-9"]

    def appear(_: MoveTask) -> None:
        while left:
            world.add_pod(left.pop(), "shop-two")

    world.copied = appear
    world.run()
    assert world.events == [*AROUND, *around("shop-two", "db-9")]
    for name in ("shop", "shop-two"):
        assert (part(world, name).outcome, part(world, name).reasons) == (Outcome.COMPLETED, ())


def test_a_pod_that_begins_after_its_namespaces_own_copy_is_no_matter() -> None:
    world = two_spaces()
    world.cluster.remove(next(raw for raw in world.cluster.all("Pod")))
    world.add_pod("db-9", "shop-two")

    def appear(task: MoveTask) -> None:
        if task.namespace == "shop-two":
            world.cluster.put(db_pod("db-0"))

    world.copied = appear
    world.run()
    assert world.events == ["copy shop/files", *around("shop-two", "db-9")]
    for name in ("shop", "shop-two"):
        assert (part(world, name).outcome, part(world, name).reasons) == (Outcome.COMPLETED, ())


def test_a_namespace_without_pods_that_begin_during_its_copy_is_told() -> None:
    world = two_spaces()

    def appear(task: MoveTask) -> None:
        if task.namespace == "shop-two":
            world.add_pod("db-9", "shop-two")

    world.copied = appear
    world.run()
    assert world.events == [*AROUND, "copy shop-two/files"]
    assert part(world).outcome is Outcome.COMPLETED
    found = part(world, "shop-two")
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "pod shop-two/db-9 has its labels" in found.reasons[0]


def killed_world() -> HookWorld:
    """No pod in the second namespace, whose mover is the last thing to be started."""
    world = two_spaces()
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("appears", [False, True])
def test_what_a_killed_pod_copied_without_any_is_copied_again(after: bool, appears: bool) -> None:
    life = Life()
    Pods(killed_world()).live(1, "run-1-a", life)
    last = [one for one in life.calls if one.call.startswith("apply Job/shop-two/")][-1]
    world = killed_world()
    with pytest.raises(Killed):
        Pods(world).live(1, "run-1-a", Life(replace(last, after=after)))
    assert world.leases() == []
    if appears:
        world.add_pod("db-9", "shop-two")
    world.working = 0
    world.work()
    begun = len(world.events)
    Pods(world).live(1, "run-1-b", Life())
    second = around("shop-two", "db-9") if appears else ["copy shop-two/files"]
    assert world.events[begun:] == [*AROUND, *second]
    for name in ("shop", "shop-two"):
        assert (part(world, name).outcome, part(world, name).reasons) == (Outcome.COMPLETED, ())


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
