"""Ending what a dead run has left open: in time, once more where that was early, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.finishing import Finisher, PostFailed, finish_left
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.quiescing import make_commands
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.plan.hooklease import HookLease, OpenHook
from tests.fakes.faults import FaultyWriter
from tests.unit.engine.hook_world import THEIRS, HookWorld
from tests.unit.engine.run_world import SYSTEM, manifest

RUN = "shop-20261121-011703-00001"
HOLDER = f"{RUN}/run-1-a"
UNLOCK = "unlock shop/db-0"
SECOND = OpenHook(hook="second", container="db", command=("thaw",), timeout=5)


def unsure(world: HookWorld, hook: OpenHook = THEIRS, *, seconds: int = 90) -> OpenHook:
    """The hook, with a pre command that may be at work for so long."""
    return hook.with_until(world.clock.now() + timedelta(seconds=seconds))


def with_times(world: HookWorld) -> list[tuple[str, bool]]:
    """What comes to be of the application, and whether the Lease was there then."""
    seen: list[tuple[str, bool]] = []
    begun = world.clock.now()

    def look(command: tuple[str, ...]) -> None:
        at = int((world.clock.now() - begun).total_seconds())
        seen.append((f"{command[0]} {at}", bool(world.leases())))

    world.execute.before = look
    return seen


def left(world: HookWorld, **changed: Any) -> tuple[str, ...]:
    """What the next run of the policy says before it begins."""
    return finish_left(world.request(2), world.ports(**changed), lambda: False)


def thaw(world: HookWorld, **changed: Any) -> None:
    """The program of `SECOND`."""
    programs = world.execute.containers["shop", "db-0", "db"]
    programs["thaw"] = replace(
        programs["unlock"], effect=lambda: world.events.append("thaw"), **changed
    )


def test_what_may_be_overtaken_runs_at_once_and_when_it_can_not_be() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    seen = with_times(world)
    world.finish()
    assert seen == [("unlock 0", True), ("unlock 90", True)]
    assert world.leases() == []


def test_the_next_run_does_so_too() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    seen = with_times(world)
    assert left(world) == (
        f"pod shop/db-0 was left quiesced by run {RUN}; its hooks were ended now",
    )
    assert seen == [("unlock 0", True), ("unlock 90", True)]
    assert world.leases() == []


def test_what_is_sure_runs_once() -> None:
    world = HookWorld()
    thaw(world)
    world.hold_pod(HOLDER, unsure(world), SECOND, policy="shop")
    seen = with_times(world)
    world.finish()
    assert [one for one, _ in seen] == ["thaw 0", "unlock 0", "unlock 90"]


def test_the_last_moment_counts_and_the_order_stays() -> None:
    world = HookWorld()
    thaw(world)
    second = unsure(world, SECOND, seconds=40)
    world.hold_pod(HOLDER, unsure(world, seconds=30), second, policy="shop")
    seen = with_times(world)
    world.finish()
    assert [one for one, _ in seen] == ["thaw 0", "unlock 0", "thaw 40", "unlock 40"]


def test_a_moment_that_is_over_and_a_hook_without_a_post_are_not_waited_for() -> None:
    world = HookWorld()
    plain = unsure(world, replace(SECOND, command=()))
    world.hold_pod(HOLDER, unsure(world, seconds=-1), plain, policy="shop")
    seen = with_times(world)
    world.finish()
    assert seen == [("unlock 0", True)]
    assert world.leases() == []


def test_a_pod_that_is_gone_is_not_waited_for() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    seen = with_times(world)
    world.cluster.remove(next(raw for raw in world.cluster.all("Pod")))
    world.finish()
    assert (seen, world.leases()) == ([], [])


def test_an_early_one_that_fails_changes_nothing_of_the_last_one() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    tries = []

    def strike(_: object) -> None:
        tries.append(world.clock.now())
        if len(tries) == 1:
            raise Refused("not allowed")

    world.execute.before = strike
    world.finish()
    assert (world.leases(), world.events) == ([], [UNLOCK])


def finisher(world: HookWorld, **changed: Any) -> Finisher:
    """Of a Job's pod."""
    ports = world.ports()
    leases = HookLeases(
        reader=ports.reader, writer=changed.pop("writer", ports.writer), clock=ports.clock,
        namespace=SYSTEM, holder="finish/finish-a",
    )  # fmt: skip
    return Finisher(leases=leases, commands=make_commands(ports), reader=ports.reader, **changed)


def test_told_to_stop_while_it_waits_it_leaves_all_to_the_next() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    with pytest.raises(Interrupted):
        finisher(world, stopped=lambda: bool(world.events)).finish(world.leases()[0])
    assert world.events == [UNLOCK]
    seen = with_times(world)
    world.finish("finish-b")
    assert seen == [("unlock 0", True), ("unlock 90", True)]
    assert world.leases() == []


def take_for(world: HookWorld, holder: str) -> None:
    """Somebody else takes the pod's Lease."""
    (lease,) = [raw for raw in world.cluster.all("Lease") if "hook" in raw["metadata"]["name"]]
    world.cluster.edit(lease, lambda raw: raw["spec"].update(holderIdentity=holder))


def test_whoever_loses_the_lease_meanwhile_executes_nothing_more_and_says_so() -> None:
    world = HookWorld()
    thaw(world)
    world.hold_pod(HOLDER, THEIRS, SECOND, policy="shop")
    world.execute.before = lambda _: take_for(world, "finish/other")
    done = finisher(world).finish(world.leases()[0])
    assert [record.name for record in done.records] == ["second"]
    assert done.elsewhere == "the hooks in pod shop/db-0 are ended by finish/other"
    assert world.events == ["thaw"]


def test_a_run_tells_of_a_lease_that_it_leaves_to_another() -> None:
    world = HookWorld()
    world.hold_pod("finish/finish-a", policy="shop")
    world.cluster.put(manifest("Pod", "finish-a", SYSTEM, status={"phase": "Running"}))
    told = "pod shop/db-0 was left quiesced by run finish: pod finish-a sees to it"
    assert left(world) == (told,)
    assert world.events == []


def test_a_run_tells_of_a_lease_that_another_takes() -> None:
    world = HookWorld()
    thaw(world)
    world.hold_pod(HOLDER, THEIRS, SECOND, policy="shop")
    world.execute.before = lambda _: take_for(world, "finish/other")
    why = "the hooks in pod shop/db-0 are ended by finish/other"
    assert left(world) == (f"pod shop/db-0 was left quiesced by run {RUN}: {why}",)


def test_a_run_tells_where_another_was_faster() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    writer = FaultyWriter(world.cluster, "patch", error=Refused("not allowed"))
    assert left(world, writer=writer) == (f"Lease {world.leases()[0].name}: not allowed",)
    lease = replace(world.leases()[0], version="0")
    assert finisher(world).finish(lease).elsewhere == "another has just begun to see to it"
    assert world.events == []


def test_a_command_that_failed_is_told_with_what_is_still_open() -> None:
    world = HookWorld()
    thaw(world, exit_code=1)
    world.hold_pod(HOLDER, THEIRS, SECOND, policy="shop")

    def strike(command: tuple[str, ...]) -> None:
        if command == ("unlock",):
            raise Refused("not allowed")

    world.execute.before = strike
    with pytest.raises(PostFailed, match=r"hook second .* failed.*still open: hook theirs"):
        world.finish()
    (lease,) = world.leases()
    assert [(one.hook, bool(one.failed)) for one in lease.pod.open] == [
        ("theirs", False), ("second", True)
    ]  # fmt: skip
    with pytest.raises(PostFailed, match=r"hook second .* failed.*still open: hook theirs"):
        world.finish("finish-b")
    world.execute.before = lambda _: None
    with pytest.raises(PostFailed, match=r"hook second .* failed: exit code 1$"):
        world.finish("finish-c")
    assert world.events == ["thaw", UNLOCK]


class LostAnswer:
    """The first patch happens, and its answer does not come."""

    def __init__(self, world: HookWorld) -> None:
        self._inner = world.ports().writer
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def patch(self, *args: Any, **given: Any) -> Any:
        made = self._inner.patch(*args, **given)
        if not self.lost:
            self.lost = True
            raise Transient("the answer did not come")
        return made


def test_a_lease_that_became_ours_without_an_answer_is_ended_all_the_same() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    writer = LostAnswer(world)
    (told,) = left(world, writer=writer)
    assert writer.lost
    assert told.endswith("its hooks were ended now")
    assert world.events == [UNLOCK, UNLOCK]
    assert world.leases() == []


def test_an_api_server_that_is_away_for_a_moment_ends_no_finish() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, unsure(world), policy="shop")
    reader = world.ports().reader
    asked: list[str] = []

    class Away:
        """The first look at the Lease that is ours by then finds nobody."""

        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def get(self, kind: Any, name: str, **given: Any) -> Any:
            if kind.plural == "leases":
                asked.append(name)
                if len(asked) == 1:
                    raise Transient("it is away")
            return reader.get(kind, name, **given)

    (told,) = left(world, reader=Away())
    assert told.endswith("its hooks were ended now")
    assert world.events == [UNLOCK, UNLOCK]


def test_its_own_lease_is_not_another_pods() -> None:
    world = HookWorld()
    world.hold_pod("finish/finish-a", policy="shop")
    world.cluster.put(manifest("Pod", "finish-a", SYSTEM, status={"phase": "Running"}))
    (lease,) = world.leases()
    assert isinstance(lease, HookLease)
    assert finisher(world).is_dead(lease)
