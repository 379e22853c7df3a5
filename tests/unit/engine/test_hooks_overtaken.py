"""A post command that was early runs once more when its pre command can't be at work any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Transient
from reconciler.model.hooks import HookCommand, OnError
from reconciler.model.podexec import ExecLost
from reconciler.model.run import Outcome
from reconciler.plan.hooklease import HookLease
from tests.unit.engine.hook_world import QUIESCE, HookWorld, with_errors
from tests.unit.engine.run_world import RUN_IDS

LOCK, COPY, UNLOCK = "lock shop/db-0", "copy shop/files", "unlock shop/db-0"
LONG = replace(QUIESCE, pre=HookCommand(("lock", "--all"), timeout=300))


def left_of(world: HookWorld) -> HookLease:
    """The only Lease, which nobody has any more, with what runs once more at its moment."""
    lease: HookLease
    (lease,) = world.leases()
    assert (lease.holder, lease.job) == (f"{RUN_IDS[0]}/", "")
    assert [hook.command for hook in lease.pod.open] == [("unlock",)]
    return lease


def pass_moment(world: HookWorld) -> None:
    """Time goes by until the Lease's moment."""
    (hook,) = left_of(world).pod.open
    assert hook.moment is not None
    assert hook.is_unsure(world.clock.now())
    world.clock.advance((hook.moment - world.clock.now()).total_seconds())
    world.execute.settle()


def stop(world: HookWorld, after: float = 3) -> None:
    """The run is told to stop while its pre command is at work."""
    began: list[datetime] = []

    def stopped() -> bool:
        if world.execute.done:
            began[:] = began or [world.clock.now()]
            return (world.clock.now() - began[0]).total_seconds() >= after
        return False

    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=stopped)


def test_a_run_that_is_told_to_stop_waits_for_its_pre_command() -> None:
    world = HookWorld(hooks=(LONG,))
    world.program("lock", takes=50)
    stop(world)
    assert world.events == [LOCK, UNLOCK]
    assert world.leases() == []


def test_it_does_not_wait_for_ever() -> None:
    world = HookWorld(hooks=(LONG,))
    world.program("lock", takes=200)
    stop(world)
    assert world.events == [UNLOCK]
    pass_moment(world)
    assert world.events == [UNLOCK, LOCK]
    world.finish()
    assert world.events == [UNLOCK, LOCK, UNLOCK]
    assert world.leases() == []


def time_out(world: HookWorld) -> None:
    world.program("lock", takes=50)


def lose(world: HookWorld) -> None:
    world.program("lock", takes=20, error=ExecLost("the connection broke"))


@pytest.mark.parametrize("break_off", [time_out, lose])
def test_a_pre_command_whose_end_nobody_saw_is_overtaken_once(
    break_off: Callable[[HookWorld], None],
) -> None:
    world = HookWorld()
    break_off(world)
    world.run()
    assert world.events == [UNLOCK]
    made = world.record()
    assert made.outcome is Outcome.PARTIALLY_FAILED
    (found,) = (one for one in made.namespaces if one.name == "shop")
    assert [str(one.phase) for one in found.hooks] == ["pre", "post"]
    assert any("runs once more at 2026-11-21T" in reason for reason in found.reasons)
    pass_moment(world)
    world.finish()
    assert world.events == [UNLOCK, LOCK, UNLOCK]
    assert world.leases() == []


def test_a_copy_that_takes_longer_leaves_nothing_to_be_repeated() -> None:
    world = HookWorld(hooks=(with_errors(OnError.CONTINUE),))
    lose(world)
    world.working = 200

    def sleep() -> None:
        world.execute.settle()
        world.work()

    world.clock.on_sleep = sleep
    world.run()
    assert world.events == [LOCK, COPY, UNLOCK]
    assert world.leases() == []
    assert world.record().outcome is Outcome.COMPLETED


def test_a_pre_command_without_a_post_leaves_nothing() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, post=None),))
    lose(world)
    world.run()
    assert world.leases() == []


def test_a_pod_with_another_open_hook_is_given_away_as_a_whole_at_its_end_only() -> None:
    outer = replace(
        QUIESCE, name="outer", once=True, pre=HookCommand(("begin",)), post=HookCommand(("end",))
    )
    world = HookWorld(hooks=(outer, QUIESCE))
    lose(world)
    programs = world.execute.containers["shop", "db-0", "db"]
    holders: list[str] = []

    def end() -> None:
        holders.extend(lease.holder for lease in world.leases())
        world.events.append("end")

    programs["begin"] = replace(programs["unlock"], effect=lambda: world.events.append("begin"))
    programs["end"] = replace(programs["unlock"], effect=end)
    world.run()
    assert world.events == ["begin", UNLOCK, "end"]
    assert holders == [f"{RUN_IDS[0]}/run-1-a"]
    pass_moment(world)
    world.finish()
    assert world.events == ["begin", UNLOCK, "end", LOCK, UNLOCK]


def test_the_lease_says_until_when_before_the_pre_command_starts() -> None:
    world = HookWorld()
    seen: list[HookLease] = []

    def look(command: tuple[str, ...]) -> None:
        seen.extend(world.leases())

    world.execute.before = look
    world.run()
    at_pre, at_post = (lease.pod.open[0].moment for lease in seen)
    assert at_pre is not None
    assert (at_pre - world.request().started).total_seconds() >= 30
    assert at_post is None  # its end was seen


def test_a_lease_that_was_written_late_has_a_moment_that_is_still_ahead() -> None:
    world = HookWorld()
    writer = world.ports().writer
    begun = world.clock.now()
    ahead: list[float] = []

    class Away:
        """No Lease can be changed for five minutes."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def patch(self, *args: Any, **given: Any) -> Any:
            if (world.clock.now() - begun).total_seconds() < 300:
                raise Transient("it is away")
            return writer.patch(*args, **given)

    def look(command: tuple[str, ...]) -> None:
        if command[0] == "lock":
            (moment,) = (hook.moment for lease in world.leases() for hook in lease.pod.open)
            assert moment is not None
            ahead.append((moment - world.clock.now()).total_seconds())

    world.execute.before = look
    world.run(writer=Away())
    assert world.events == [LOCK, COPY, UNLOCK]
    assert ahead[0] >= 30
    assert world.execute.timeouts[0] == 30
