"""What an earlier pod of a run has copied is in no record of a policy with hooks (I5, I7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.movers import JobMover
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.model.run import Outcome
from reconciler.model.volumes import Leftover
from tests.fakes.faults import FaultyReader
from tests.unit.engine.hook_world import HookWorld
from tests.unit.engine.killing import Killed, Life
from tests.unit.engine.test_hooks import AROUND, part
from tests.unit.engine.test_hooks_killed import CALLS, make_world
from tests.unit.engine.test_run_killed import Pods

RELEASED = replace([one for one in CALLS if one.call.startswith("apply Job/")][-1], after=True)
"""The mover has its keys and may go."""


def lost_while_copying() -> HookWorld:
    """A run's pod is lost; the Job ends its hook, and the copy goes on all the same."""
    world = make_world()
    with pytest.raises(Killed):
        Pods(world).live(1, "run-1-a", Life(RELEASED))
    world.finish()
    for _ in range(3):
        world.work()
    assert world.events == [AROUND[0], AROUND[2], AROUND[1]]
    return world


def faulty(world: HookWorld, error: BackstayError, times: int = 0) -> JobMover:
    """It can't list its Jobs."""
    reader = FaultyReader(
        world.cluster,
        lambda found, where: found.kind == "Job" and not where,
        error=error,
        times=times,
    )
    return JobMover(reader, world.cluster)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_it_is_copied_again_also_where_the_first_list_of_movers_failed(times: int) -> None:
    world = lost_while_copying()
    world.run(pod="run-1-b", mover=faulty(world, Transient("HTTP 503"), times))
    assert world.events[3:] == AROUND
    assert world.record().outcome is Outcome.COMPLETED


@pytest.mark.parametrize("error", [Transient("HTTP 503"), Refused("HTTP 403")], ids=str)
def test_where_the_movers_can_not_be_listed_nothing_is_copied(error: BackstayError) -> None:
    world = lost_while_copying()
    world.run(pod="run-1-b", mover=faulty(world, error))
    assert world.events[3:] == [], "nor is anything quiesced"
    assert world.record().outcome is Outcome.PARTIALLY_FAILED
    found = part(world)
    assert [volume.outcome for volume in found.volumes] == [Outcome.FAILED]
    assert f"not copied: {error.message}" in found.reasons[0]
    assert [volume.snapshot for volume in found.volumes] == [None]


class Late(JobMover):
    """Asked for what is there, it answers as from the nth time on something is or fails."""

    def __init__(self, world: HookWorld, nth: int, do: Callable[[], object]) -> None:
        super().__init__(world.cluster, world.cluster)
        self._left = nth
        self._do = do

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        self._left -= 1
        if not self._left:
            self._do()
        return super().leftovers(policy)


def test_what_a_pod_that_is_not_dead_begins_meanwhile_is_not_taken_either() -> None:
    """It polls each second until it sees that it has lost the policy's Lease."""
    world = lost_while_copying()
    (job,) = world.cluster.all("Job")

    def begin_anew() -> None:
        # As the pod before makes it, and it has ended by now.
        world.cluster.put({**job, "metadata": {**job["metadata"], "uid": "made-anew"}})

    world.run(pod="run-1-b", mover=Late(world, 3, begin_anew))
    assert world.events[3:] == AROUND
    assert world.record().outcome is Outcome.COMPLETED


def test_nothing_is_copied_where_that_can_not_be_asked() -> None:
    world = lost_while_copying()

    def fail() -> Any:
        raise Transient("HTTP 503")

    world.run(pod="run-1-b", mover=Late(world, 3, fail))
    assert world.events[3:] == [AROUND[0], AROUND[2]], "and its hook is ended"
    assert world.record().outcome is Outcome.PARTIALLY_FAILED
    assert part(world).reasons == ("volume files: not copied: HTTP 503",)
