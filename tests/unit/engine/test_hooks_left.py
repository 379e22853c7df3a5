"""What a run could not end is given to others while it goes on, and does not wait for its end."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.hookgiving import Giving
from reconciler.engine.quiescing import make_commands, make_leases
from reconciler.engine.run import execute_run
from reconciler.model.errors import Refused, Transient
from reconciler.model.hooks import HookCommand
from reconciler.plan.hooklease import ANYBODY
from tests.fakes.podexec import Program
from tests.unit.engine.hook_world import QUIESCE, THEIRS, HookWorld
from tests.unit.engine.run_world import RUN_IDS, SYSTEM, manifest, put_shop

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


def test_one_of_two_hooks_in_a_pod_is_given_away_alone_and_ended_while_its_run_goes_on() -> None:
    outer = replace(
        QUIESCE, name="outer", once=True, pre=HookCommand(("begin",)), post=HookCommand(("end",))
    )
    world = HookWorld(hooks=(outer, QUIESCE))
    programs = world.execute.containers["shop", "db-0", "db"]
    for name in ("begin", "end"):
        effect = functools.partial(world.events.append, name)
        programs[name] = replace(programs["unlock"], effect=effect)
    world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    seen: list[list[tuple[str, str]]] = []

    def look(command: tuple[str, ...]) -> None:
        if command[0] == "unlock" and not seen:
            raise Refused("not allowed")
        if command[0] == "end":
            (lease,) = world.leases()
            assert lease.holder == f"{NOBODY}run-1-a"
            seen.append([(hook.hook, hook.given) for hook in lease.pod.open])
            world.finish()
            (lease,) = world.leases()
            assert lease.holder == f"{NOBODY}run-1-a"
            seen.append([(hook.hook, hook.given) for hook in lease.pod.open])

    world.execute.before = look
    world.run()
    assert seen == [[("outer", ""), ("quiesce", ANYBODY)], [("outer", "")]]
    assert world.events == [
        "begin", "lock shop/db-0", "copy shop/files", "unlock shop/db-0", "end"
    ]  # fmt: skip
    assert world.leases() == []


def test_what_was_given_away_is_one_others_and_taken_with_the_lease_is_the_takers() -> None:
    world = HookWorld()
    world.hold_pod("shop-1/run-1-a", replace(THEIRS, given=ANYBODY), policy="shop")
    world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    seen: list[str] = []

    def look(_: object) -> None:
        (lease,) = world.leases()
        seen.append(lease.pod.open[0].given)
        if len(seen) == 1:
            world.finish("finish-b")
            world.finish(holder="laptop/4711@1f0c9a2b/88123")

    world.execute.before = look
    world.finish()
    assert (seen, world.events) == (["finish/finish-a"], ["unlock shop/db-0"])
    assert world.leases() == []
    world.hold_pod("shop-1/run-0-a", replace(THEIRS, given=ANYBODY), policy="shop")
    leases = make_leases(world.request(2), world.ports())
    taken = leases.take(world.leases()[0])
    assert taken is not None
    assert taken.given == ()


def test_what_somebody_is_at_is_not_given_away_again() -> None:
    world = HookWorld()
    at_it = replace(THEIRS, given="finish/finish-a").with_until(world.clock.now())
    other = replace(THEIRS, hook="other")
    world.hold_pod("shop-1/run-1-a", replace(THEIRS, hook="outer"), at_it, other, policy="shop")
    (lease,) = world.leases()
    leases = replace(make_leases(world.request(), world.ports()), holder=lease.holder)
    late = world.clock.now() + timedelta(seconds=50)
    for _ in range(2):
        leases.give_away(lease.pod, (THEIRS, other.with_until(late)))
        (lease,) = world.leases()
        given = [(one.hook, one.given, one.moment) for one in lease.pod.open]
        assert given == [
            ("outer", "", None),
            ("theirs", "finish/finish-a", at_it.moment),
            ("other", ANYBODY, late),
        ]


@pytest.mark.parametrize("alone", [False, True])
def test_a_moment_that_could_not_be_written_goes_with_what_is_given_away(alone: bool) -> None:
    outer = replace(QUIESCE, name="outer", once=True, pre=None, post=HookCommand(("end",)))
    world = HookWorld(hooks=(outer, QUIESCE) if alone else (QUIESCE,))
    world.execute.containers["shop", "db-0", "db"]["end"] = Program()
    world.program("unlock", takes=35)
    writer = world.ports().writer
    struck: list[str] = []

    class Away:
        """From the post command on a Lease can only be given away."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def patch(self, ref: Any, changes: Any, **given: Any) -> Any:
            given_away = '"given"' in str(changes) or "holderIdentity" in str(changes)
            if ("unlock",) in [one[3] for one in world.execute.done] and not given_away:
                struck.append(ref.name)
                raise Transient("it is away")
            return writer.patch(ref, changes, **given)

    world.run(writer=Away())
    assert struck
    hooks = [one for lease in world.leases() for one in lease.pod.open if one.hook == "quiesce"]
    assert [(one.moment is not None, bool(one.given)) for one in hooks] == [(True, alone)]


def test_it_is_tried_for_a_moment_and_until_the_runs_end_later() -> None:
    world = HookWorld()
    world.hold_pod("shop-1/run-1-a", policy="shop")
    (lease,) = world.leases()
    begun, deadline = world.clock.now(), world.clock.now() + timedelta(hours=2)
    asked: list[float] = []

    class Away:
        """No Lease can be read for an hour."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.cluster, name)

        def get(self, kind: Any, name: str, **given: Any) -> Any:
            asked.append((world.clock.now() - begun).total_seconds())
            if asked[-1] < 3600:
                raise Transient("it is away")
            return world.cluster.get(kind, name, **given)

    ports = world.ports()
    own = make_leases(world.request(), world.ports(reader=Away()))
    leases = replace(own, holder=lease.holder, run_id="shop-1")
    giving = Giving(make_commands(ports), leases, deadline=deadline, stopped=lambda: False)
    giving.give(lease.pod)
    giving.settle()
    assert asked == []
    giving.add(lease.pod, THEIRS)
    giving.give(lease.pod)
    assert (world.clock.now() - begun).total_seconds() == 30
    giving.settle()
    assert [lease.holder for lease in world.leases()] == ["shop-1/"]
    count = len(asked)
    giving.settle()
    assert len(asked) == count
