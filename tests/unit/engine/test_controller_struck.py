"""The API server gives no answer to one call of a controller's cycle: 429, 5xx, a lost connection.

Once for each call, before it did anything, and after it did, where only the answer is lost. How
often it is asked before this is believed is the affair of `reconciler.adapters.kubetransport`.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from reconciler.engine.applying import LEASE_SECONDS
from reconciler.engine.controller import Cycle, delay
from reconciler.model.errors import Transient
from tests.fakes.watched import Step, Watched
from tests.unit.engine import busy_world
from tests.unit.engine.controller_world import files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld
from tests.unit.engine.test_mirror_killed import state

PARTS = {
    "pages": 4,
    "get": 2,
    "acquire_lease": 1,
    "apply": 3,
    "delete": 1,
    "create": 1,
    "patch": 2,
    "announce": 2,
}
"""Call → in how many tests, three or so of each in one; all calls but the one that gives the Lease
back: see the last test."""
INTERVAL = 3600.0


def world_with_work() -> MirrorWorld:
    """A policy comes, one changes, one goes, and somebody has edited an object."""
    world = MirrorWorld()
    world.source.push(files("mail", "gone", "shop"))
    world.cycle()
    world.edit(
        lambda raw: raw["spec"].update(suspend=True), name="mail", by="me", at="spec.suspend"
    )
    world.source.push(files("mail", "new", shop=policy_yaml("shop", "5 5 * * *")))
    world.written()
    return world


def cycle_of(world: MirrorWorld, step: Step) -> Cycle:
    """A cycle whose every call to the cluster is a step."""
    cluster = Watched(world.cluster, step)
    return world.cycle(reader=cluster, writer=cluster)


def left(world: MirrorWorld) -> tuple[Any, ...]:
    """Everything but the Lease, Events as a set, and what was deleted, in order."""
    kinds = ("CronJob", "ConfigMap")
    found = {k: raw for k, raw in busy_world.state(world).items() if raw["kind"] in kinds}
    return found, state(world), busy_world.deleted(world)


@functools.cache
def undisturbed() -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """The moments of a cycle in which everything is answered, and what it leaves."""
    world, moments = world_with_work(), list[str]()
    assert cycle_of(world, moments.append).exit_code == 0
    return tuple(moments), left(world)


def struck(world: MirrorWorld, number: int) -> Cycle:
    """A cycle in which the moment of this number is one without an answer."""
    passed = 0

    def step(moment: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number + 1:
            raise Transient(f"{moment}: the API server can't answer now (HTTP 429)")

    return cycle_of(world, step)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("call", "part"), [(call, part) for call, parts in PARTS.items() for part in range(parts)]
)
def test_i11_a_call_without_an_answer_is_made_good_by_the_next_cycle(call: str, part: int) -> None:
    moments, wanted = undisturbed()
    when = "before" if call in ("pages", "get") else "after"
    # After a write is before the next one; of what only reads, a lost answer is the same as none.
    numbers = {n for n, moment in enumerate(moments) if moment == f"{when} {call}"}
    numbers.add(moments.index(f"before {call}"))
    struck_here = sorted(numbers)[part :: PARTS[call]]
    assert struck_here, "fewer parts would do"
    for number in struck_here:
        world = world_with_work()
        cycle = struck(world, number)
        if cycle.error is not None:
            assert isinstance(cycle.error, Transient), number
            assert delay(cycle.error, INTERVAL, 1) < INTERVAL, "it does not wait for the timer"
        busy_world.assert_each_schedule_can_run(world)
        # Whether it got the Lease it can't know where that answer was lost: it ends by itself.
        mine = (world.setting.holder,) if moments[number] == "after acquire_lease" else ()
        assert busy_world.holder_of(world) in ("", *mine), number
        # The same one goes on; nothing is told twice, nothing deleted twice or beside the plan.
        assert world.cycle().exit_code == 0
        assert left(world) == wanted, f"{number}: {moments[number]}"
        world.cluster.writes.clear()
        world.cycle()
        assert world.cluster.writes == []


def test_a_lease_that_cannot_be_given_back_is_ones_own_in_the_next_cycle() -> None:
    moments, wanted = undisturbed()
    for number in (n for n, moment in enumerate(moments) if moment.endswith(" release_lease")):
        world = world_with_work()
        assert struck(world, number).exit_code == 0, "everything was written"
        assert len(world.log.of("lease not released")) == 1
        assert world.cycle().exit_code == 0
        assert left(world) == wanted
        world.clock.sleep(LEASE_SECONDS)
        other = world.cycle(holder="backstay-controller-2/b")
        assert other.exit_code == 0
