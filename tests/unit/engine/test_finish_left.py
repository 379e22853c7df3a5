"""What a dead run has left open is ended before the next run, or stays open for the controller.

It is never closed because the next run quiesces the same pod, and never kept by that run for hours.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.finishing import finish_left
from reconciler.engine.hookleases import HookLeases, PodBusy
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.model.run import Outcome
from reconciler.plan.hooklease import OpenHook
from tests.unit.engine.hook_world import THEIRS, HookWorld
from tests.unit.engine.run_world import SYSTEM

RUN = "shop-20261121-011703-00001"
HOLDER = f"{RUN}/run-1-a"
NOBODY = f"{RUN}/"
LOCK, COPY, UNLOCK = "lock shop/db-0", "copy shop/files", "unlock shop/db-0"
SAME = OpenHook(hook="quiesce", container="db", command=("unlock",), timeout=20)
"""The dead run's, of the very hook that the next run has: its pre command's end was seen."""


def left(world: HookWorld, **changed: Any) -> tuple[str, ...]:
    """What the next run of the policy says before it begins."""
    return finish_left(world.request(2), world.ports(**changed), lambda: False)


def holders(world: HookWorld) -> list[tuple[str, tuple[OpenHook, ...]]]:
    """Who has the Leases of pods, and what is open there."""
    return [(lease.holder, lease.pod.open) for lease in world.leases()]


def no_post(world: HookWorld) -> None:
    """No post command can be started."""

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise Refused("not allowed")

    world.execute.before = strike


def test_a_policy_without_hooks_ends_what_its_runs_have_left_all_the_same() -> None:
    world = HookWorld(hooks=())
    world.hold_pod(HOLDER, policy="shop")
    assert left(world) == (
        f"pod shop/db-0 was left quiesced by run {RUN}; its hooks were ended now",
    )
    assert (world.events, world.leases()) == ([UNLOCK], [])


def test_who_can_not_execute_says_so_and_leaves_it() -> None:
    world = HookWorld(hooks=())
    world.hold_pod(HOLDER, policy="shop")
    (told,) = left(world, execute=None)
    assert "hooks are executed by a run inside the cluster only" in told
    assert holders(world) == [(HOLDER, (THEIRS,))]


def test_a_run_that_may_not_list_leases_tells_and_goes_on() -> None:
    world = HookWorld(hooks=())
    reader = world.ports().reader

    class Denied:
        """No right to list Leases."""

        def __getattr__(self, name: str) -> Any:
            return getattr(reader, name)

        def pages(self, kind: Any, **given: Any) -> Any:
            if kind.plural == "leases":
                raise Refused("leases is forbidden")
            return reader.pages(kind, **given)

    assert left(world, reader=Denied()) == ("leases is forbidden",)


def test_what_could_not_be_ended_is_the_controllers_again() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    no_post(world)
    (told,) = left(world)
    assert told.startswith(f"pod shop/db-0 is still quiesced by run {RUN}: hook theirs")
    assert holders(world) == [(NOBODY, (THEIRS,))]
    assert [(lease.job, lease.run_id) for lease in world.leases()] == [("", RUN)]


def test_so_it_is_where_the_run_is_told_to_stop_meanwhile() -> None:
    world = HookWorld()
    unsure = THEIRS.with_until(world.clock.now() + timedelta(seconds=90))
    world.hold_pod(HOLDER, unsure, policy="shop")
    with pytest.raises(Interrupted):
        finish_left(world.request(2), world.ports(), lambda: bool(world.events))
    assert world.events == [UNLOCK]
    assert holders(world) == [(NOBODY, (THEIRS,))]
    assert [lease.pod.open[0].until for lease in world.leases()] == [unsure.until]


def test_a_run_that_could_not_end_it_neither_quiesces_that_pod_nor_closes_it() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, SAME, policy="shop")
    no_post(world)
    execute_run(world.request(2), world.ports())
    assert world.events == []
    assert holders(world) == [(NOBODY, (SAME,))]
    made = world.record()
    assert made.outcome is Outcome.PARTIALLY_FAILED
    assert "has open hooks of policy shop" in " ".join(made.namespaces[0].reasons)


def test_a_run_that_could_not_end_it_waits_for_the_job_that_does() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, SAME, policy="shop")
    no_post(world)
    slept = world.clock.on_sleep

    def sleep() -> None:
        slept()
        if world.log.of("waiting for another run's hooks") and world.execute.before is not ignore:
            world.execute.before = ignore
            world.finish()

    def ignore(_: object) -> None:
        return

    world.clock.on_sleep = sleep
    execute_run(world.request(2), world.ports())
    assert world.events == [UNLOCK, LOCK, COPY, UNLOCK]
    assert world.leases() == []
    assert world.record().outcome is Outcome.COMPLETED


def leases_of(world: HookWorld, **changed: Any) -> HookLeases:
    """As a run's pod has them."""
    ports = world.ports(**changed)
    return HookLeases(
        reader=ports.reader, writer=ports.writer, clock=ports.clock, namespace=SYSTEM,
        holder="shop-20261121-021703-00002/run-2-a", policy="shop",
    )  # fmt: skip


@pytest.mark.parametrize("seconds", [0, 300, 3000])
def test_a_dead_runs_lease_that_is_ours_unnoticed_is_handed_back(seconds: int) -> None:
    world = HookWorld()
    ahead = world.clock.now() + timedelta(seconds=seconds) if seconds else None
    world.hold_pod(HOLDER, SAME.with_until(ahead), policy="shop")
    (lease,) = world.leases()
    leases = leases_of(world)
    assert leases.take(lease) is not None
    with pytest.raises(PodBusy, match="open hooks of policy shop"):
        leases.open(
            lease.pod, SAME, until=world.clock.now() + timedelta(minutes=10),
            stopped=lambda: False, tell=lambda _: None,
        )  # fmt: skip
    leases.withdraw(lease.pod, SAME)
    assert holders(world) == [(NOBODY, (SAME,))]
    assert world.leases()[0].pod.open[0].until == SAME.with_until(ahead).until


def test_withdrawing_touches_nothing_of_a_dead_run() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, SAME, policy="shop")
    (lease,) = world.leases()
    leases = leases_of(world)
    assert leases.take(lease) is not None
    leases.withdraw(lease.pod, SAME)
    assert [lease.pod.open for lease in world.leases()] == [(SAME,)]


def test_handing_back_waits_for_an_api_server_that_is_away_and_changes_no_other_lease() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    writer = world.ports().writer
    failed: list[str] = []

    class Away:
        """Five patches that make a Lease nobody's fail."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def patch(self, ref: Any, changes: Any, **given: Any) -> Any:
            if (changes.get("spec") or {}).get("holderIdentity") == NOBODY and len(failed) < 5:
                failed.append("away")
                raise Transient("it is away")
            return writer.patch(ref, changes, **given)

    no_post(world)
    left(world, writer=Away())
    assert (len(failed), holders(world)) == (5, [(NOBODY, (THEIRS,))])
    leases_of(world).hand_back(world.leases()[0].name)
    assert holders(world) == [(NOBODY, (THEIRS,))]


def test_its_own_lease_is_opened_again_after_an_answer_that_got_lost() -> None:
    world = HookWorld()
    writer = world.ports().writer
    lost: list[str] = []

    class Lost:
        """The first Lease of a pod is made, and its answer does not come."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def create(self, raw: Any) -> Any:
            made = writer.create(raw)
            if raw["kind"] == "Lease" and "hook" in raw["metadata"]["name"] and not lost:
                lost.append(raw["metadata"]["name"])
                raise Transient("the answer did not come")
            return made

    execute_run(world.request(), world.ports(writer=Lost()))
    assert (len(lost), world.events) == (1, [LOCK, COPY, UNLOCK])
    assert world.leases() == []
