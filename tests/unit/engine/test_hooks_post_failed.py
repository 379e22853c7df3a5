"""A post command that failed is told, whatever becomes of the run in which it did."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.finishing import PostFailed
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Refused
from reconciler.model.hooks import OnError
from reconciler.model.run import Outcome
from tests.fakes.podexec import Program
from tests.unit.engine.hook_world import THEIRS, HookWorld, with_errors
from tests.unit.engine.run_world import RUN_IDS
from tests.unit.engine.test_hooks import AROUND, brief, part

FAILED = "hook quiesce (post) in pod shop/db-0 failed: exit code 1"
AGAIN = "; the controller executes it once more"


def given_away(world: HookWorld) -> bool:
    """Whether the pod's Lease has what failed, and is nobody's."""
    (lease,) = world.leases()
    assert [hook.hook for hook in lease.pod.open] == ["quiesce"]
    return (lease.holder, lease.job) == (f"{RUN_IDS[0]}/", "")


@pytest.mark.parametrize("on_error", list(OnError))
def test_it_is_executed_once_more_by_the_controllers_job(on_error: OnError) -> None:
    world = HookWorld(hooks=(with_errors(on_error),))
    world.program("unlock", exit_code=1)
    world.run()
    assert world.events == AROUND
    assert given_away(world)
    found = part(world)
    assert found.volumes[0].outcome is Outcome.COMPLETED
    if on_error is OnError.CONTINUE:
        assert found.outcome is Outcome.COMPLETED
        assert world.record().warnings == (FAILED + AGAIN,)
    else:
        assert found.outcome is Outcome.PARTIALLY_FAILED
        assert found.reasons == (FAILED + AGAIN,)
    with pytest.raises(PostFailed, match="exit code 1"):
        world.finish()
    assert world.events == [*AROUND, AROUND[2]]
    # It stays there to be told, and keeps nobody off the pod.
    assert [lease.is_over for lease in world.leases()] == [True]


def test_the_second_try_may_do_it() -> None:
    world = HookWorld()
    world.program("unlock", exit_code=1)
    world.run()
    world.program("unlock", exit_code=0)
    world.finish()
    assert world.leases() == []


def test_a_failed_run_tells_of_it() -> None:
    world = HookWorld()
    world.program("unlock", exit_code=1)

    class Unstored:
        """Nothing can be written down, once the copies are over."""

        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def finish(self, *_: Any, **__: Any) -> Any:
            raise Refused("the disk is full")

    store = world.ports().store

    class Store:
        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

        def begin(self, *given: Any) -> Any:
            return Unstored(store.begin(*given))

    result = execute_run(world.request(), world.ports(store=Store()))
    assert result.record.outcome is Outcome.FAILED
    found = part(world)
    assert found.reasons == ("the disk is full", FAILED + AGAIN)
    assert brief(found) == [("pre", "db-0", "Completed"), ("post", "db-0", "Failed")]
    assert given_away(world)


def test_a_run_without_a_record_leaves_it_to_the_controllers_job() -> None:
    world = HookWorld()
    world.program("unlock", exit_code=1)
    world.working = 1000
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=lambda: bool(world.events))
    assert given_away(world)
    with pytest.raises(PostFailed, match="exit code 1"):
        world.finish()


def test_a_job_that_is_stopped_tells_of_what_it_has_closed() -> None:
    world = HookWorld()
    until = world.clock.now() + timedelta(hours=1)
    early = replace(THEIRS, hook="early", command=("end",)).with_until(until)
    world.hold_pod("shop-1/run-1-a", early, THEIRS, policy="shop")
    world.program("unlock", exit_code=1)
    world.execute.containers["shop", "db-0", "db"]["end"] = Program()
    with pytest.raises(PostFailed, match=r"hook theirs .*exit code 1; still open: stopped"):
        world.finish(stopped=lambda: len(world.execute.done) == 2)
    (lease,) = world.leases()
    assert [(hook.hook, bool(hook.failed)) for hook in lease.pod.open] == [
        ("early", False), ("theirs", True)
    ]  # fmt: skip
