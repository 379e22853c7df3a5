"""What a run does with hooks in pods and containers that go away or are replaced."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.errors import Transient
from reconciler.model.hooks import OnError
from reconciler.model.podexec import ExecLost
from reconciler.model.run import Outcome
from tests.unit.engine.hook_world import HookWorld, with_errors
from tests.unit.engine.test_hooks import AROUND, brief, part

_ONE_BY_ONE = threading.Lock()


def swap(world: HookWorld, *, heir: bool = True) -> None:
    """The pod goes away, and another one takes its name; several threads may ask for it at once."""
    with _ONE_BY_ONE:
        (db,) = (raw for raw in world.cluster.all("Pod") if raw["metadata"]["name"] == "db-0")
        world.cluster.remove(db)
        if heir:
            world.cluster.put({**db, "metadata": {"name": "db-0", "namespace": "shop"}})


def test_a_pod_that_is_replaced_by_its_pre_command_is_told() -> None:
    world = HookWorld()

    def replace_pod() -> None:
        world.events.append("lock shop/db-0")
        swap(world)

    world.program("lock", effect=replace_pod)
    world.run()
    assert world.events == [AROUND[0], AROUND[2]]  # in the heir: it may have run there
    assert world.leases() == []
    assert brief(part(world)) == [
        ("pre", "db-0", "Failed"), ("post", "db-0", "Completed"), ("post", "db-0", "Skipped"),
    ]  # fmt: skip
    assert part(world).outcome is Outcome.PARTIALLY_FAILED
    assert "may have run in the one that has its name now" in part(world).reasons[0]


def test_the_heir_of_a_pod_is_ended_by_the_job_where_its_run_is_over() -> None:
    world = HookWorld()

    def replace_pod() -> None:
        world.events.append("lock shop/db-0")
        swap(world)

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise Transient("away")

    world.program("lock", effect=replace_pod)
    world.execute.before = strike
    world.run()
    (heir,) = [raw for raw in world.cluster.all("Pod") if raw["metadata"]["name"] == "db-0"]
    (lease,) = world.leases()
    assert lease.pod.uid == heir["metadata"]["uid"]
    world.execute.before = lambda _: None
    world.finish()
    assert world.events == [AROUND[0], AROUND[2]]
    assert world.leases() == []


def test_a_pre_command_that_may_have_broken_off_in_another_pod_is_ended_there() -> None:
    world = HookWorld()

    def replace_pod() -> None:
        world.events.append("lock shop/db-0")
        swap(world)

    world.program("lock", effect=replace_pod, exit_code=137)
    world.run()
    assert world.events == [AROUND[0], AROUND[2]]
    assert part(world).hooks[0].exit_code == 137


def test_a_pod_that_nobody_could_look_at_is_asked_for_when_its_post_commands_turn_comes() -> None:
    world = HookWorld()
    reader = world.ports().reader
    away: list[float] = []

    def lose(_: object) -> None:
        # In the pod that has its name by then, and the API server is away for two minutes.
        if not away:
            world.events.append("lock shop/db-0")
            swap(world)
            away.append((world.clock.now() + timedelta(seconds=40)).timestamp())
            raise ExecLost("the answer did not come")

    class Away:
        """Pods can't be looked at for a while."""

        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def pages(self, kind: Any, **given: Any) -> Any:
            if kind.plural == "pods" and away and world.clock.now().timestamp() < away[0]:
                raise Transient("it is away")
            return reader.pages(kind, **given)

    world.execute.before = lose
    world.run(reader=Away())
    assert world.events[:2] == [AROUND[0], AROUND[2]]
    assert part(world).outcome is Outcome.PARTIALLY_FAILED
    # What nobody saw the end of is ended once more, in that pod, by the Job.
    assert [lease.holder.rpartition("/")[2] for lease in world.leases()] == [""]


@pytest.mark.parametrize("phase", ["lock", "unlock"])
def test_a_command_is_never_tried_again_in_another_pod(phase: str) -> None:
    world = HookWorld()
    errors = ["container not found"]

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == phase and errors:
            swap(world)
            raise Transient(errors.pop())

    world.execute.before = strike
    world.run()
    assert phase not in [command[0] for *_, command in world.execute.done]
    assert world.leases() == []


@pytest.mark.parametrize("on_error", list(OnError))
@pytest.mark.parametrize("heir", [True, False])
def test_a_pod_that_goes_away_during_the_copy_is_told(heir: bool, on_error: OnError) -> None:
    world = HookWorld(hooks=(with_errors(on_error),))

    def strike() -> None:
        if world.events == AROUND[:1]:
            world.events.append("gone")
            swap(world, heir=heir)
        world.work()

    world.clock.on_sleep = strike
    world.working = 3
    world.run()
    assert world.events == [AROUND[0], "gone", AROUND[1]]
    assert world.leases() == []
    found = part(world)
    assert brief(found) == [("pre", "db-0", "Completed"), ("post", "db-0", "Skipped")]
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "not at rest until the end of the copy" in found.reasons[0]


def restart(world: HookWorld, container: str) -> None:
    """The pod's container runs with another id."""
    with _ONE_BY_ONE:
        (db,) = (raw for raw in world.cluster.all("Pod") if raw["metadata"]["name"] == "db-0")
        status = {"name": "db", "state": {"running": {}}, "containerID": container}
        world.cluster.put({**db, "status": {"phase": "Running", "containerStatuses": [status]}})


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_container_that_restarts_right_after_its_pre_command_is_told(known: bool) -> None:
    world = HookWorld()
    if known:
        restart(world, "containerd://1")

    def lock() -> None:
        world.events.append("lock shop/db-0")
        restart(world, "containerd://2")

    world.program("lock", effect=lock)
    world.run()
    found = part(world)
    if known:
        # Its post command runs all the same: nobody knows what the first one has left behind.
        assert world.events == [AROUND[0], AROUND[2]]
        assert found.outcome is Outcome.PARTIALLY_FAILED
        assert "its container was restarted while it was executed" in found.reasons[0]
        assert brief(found) == [("pre", "db-0", "Failed"), ("post", "db-0", "Completed")]
    else:
        assert world.events == AROUND
    assert world.leases() == []


def test_a_container_that_restarts_during_the_copy_is_told() -> None:
    world = HookWorld()

    def strike() -> None:
        if world.events == AROUND[:1]:
            restart(world, "containerd://2")
        world.work()

    restart(world, "containerd://1")
    world.clock.on_sleep = strike
    world.working = 3
    world.run()
    assert world.events == AROUND
    (reason,) = part(world).reasons
    assert "container db of pod shop/db-0 was restarted" in reason
    assert brief(part(world)) == [("pre", "db-0", "Completed"), ("post", "db-0", "Completed")]
