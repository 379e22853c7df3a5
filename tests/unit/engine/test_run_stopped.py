"""A run that is told to end (SIGTERM): its pod comes again, or the next run tells of it."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.leases import LeaseLost
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Transient
from reconciler.model.naming import lease_name
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveTask
from tests.fakes.faults import FaultyWriter
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import (
    RUN_IDS,
    SYSTEM,
    RunWorld,
    manifest,
)
from tests.unit.engine.test_run_jobs import stopped_after

LEASE = lease_name("shop")
YEAR = 365 * 86400
"""Of a Lease that is not to end by itself: in a fake time, who waits moves it on for everybody."""
JOB = "backstay-shop-1"
DEADLINE = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}


def stop(world: RunWorld, seconds: float = 3, **changed: Any) -> None:
    """The first run, told to end after a while."""
    request = replace(world.request(), job=JOB)
    with pytest.raises(Interrupted):
        execute_run(request, world.ports(**changed), stopped=stopped_after(world, seconds))


def put_job(world: RunWorld, **status: Any) -> dict[str, Any]:
    """The Job that the first run is."""
    return world.cluster.put(manifest("batch/v1/Job", JOB, SYSTEM, spec={}, status=status))


@pytest.fixture
def world() -> JobWorld:
    """Movers that work longer than any run."""
    world = JobWorld()
    world.working = 10_000
    return world


@pytest.mark.parametrize("condition", [DEADLINE, FAILED], ids=lambda found: found["type"])
def test_a_run_whose_job_is_over_takes_its_movers_and_keys_away(
    world: JobWorld, condition: dict[str, str]
) -> None:
    put_job(world, conditions=[condition])
    stop(world)
    assert world.traces() == []


def test_a_run_whose_job_was_deleted_takes_its_movers_and_keys_away(world: JobWorld) -> None:
    stop(world)
    assert world.traces() == []


def test_a_run_whose_job_goes_on_leaves_its_movers_at_work(world: JobWorld) -> None:
    put_job(world, conditions=[{"type": "Suspended", "status": "True"}])
    stop(world)
    assert len(world.traces()) == 2, "its Job and its keys"
    world.working = 1
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    assert world.ended == ["files"]


class Away:
    """A port that can't be reached for what one of its methods asks."""

    def __init__(self, inner: Any, method: str, name: str = "") -> None:
        self._inner, self._method, self._name = inner, method, name

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._inner, method)

        def away(*given: Any, **more: Any) -> Any:
            if method == self._method and self._name in ("", *given[1:]):
                raise Transient("connection refused")
            return call(*given, **more)

        return away


def test_a_run_that_cannot_ask_for_its_job_leaves_its_movers_at_work(world: JobWorld) -> None:
    stop(world, reader=Away(world.cluster, "get", JOB))
    assert len(world.traces()) == 2
    assert world.log.of("job not asked for") == [{"job": JOB, "why": "connection refused"}]


def test_the_next_run_takes_what_a_stopped_one_left_and_names_it(world: JobWorld) -> None:
    """At the deadline of its Job, say: no other pod comes, and the Job has not said so yet."""
    job = put_job(world)
    stop(world)
    assert len(world.traces()) == 2, "its Job and its keys"
    world.cluster.remove(job)
    world.working = 1
    record = world.run(2).record
    assert record.outcome is Outcome.COMPLETED
    assert [line["run"] for line in world.log.of("mover of a dead run removed")] == [RUN_IDS[0]]
    (told,) = record.warnings
    assert told.startswith(f"run {RUN_IDS[0]} is not on the branch")
    assert world.traces() == []
    assert world.run(3).record.warnings == ()


def test_a_run_that_is_stopped_before_it_did_anything_is_named_by_the_next() -> None:
    world = RunWorld()
    world.run(3)
    ports = world.ports(store=Away(world.make_store(), "tip"))
    with pytest.raises(Interrupted):
        execute_run(world.request(4), ports, stopped=stopped_after(world, 3))
    world.clock.advance(24 * 3600)
    (told,) = world.run(5).record.warnings
    assert told.startswith(f"run {RUN_IDS[3]} is not on the branch")
    assert told.endswith("restic holds of it: nothing")
    assert world.run(6).record.warnings == ()


def test_a_run_that_is_stopped_while_another_makes_a_repository_ends_at_once() -> None:
    world = RunWorld()
    world.cluster.acquire_lease(SYSTEM, "backstay-repositories", "blog-1/run-b", seconds=86400)
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=stopped_after(world, 5))
    assert world.clock.slept < 10


class Overtaken:
    """Movers of a pod whose Lease goes to the next pod of the same run while it works."""

    def __init__(self, world: JobWorld) -> None:
        self._world, self._inner = world, world.ports().mover
        self.began = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def ensure(self, task: MoveTask) -> MoveResult:
        """As the port says, of another's Lease."""
        one, two = (f"{RUN_IDS[0]}/run-1-{pod}" for pod in "ab")
        self._world.cluster.acquire_lease(SYSTEM, LEASE, two, seconds=YEAR, take_from=one)
        result = self._inner.ensure(task)
        self.began.set()
        return result


def test_a_pod_that_was_overtaken_by_its_own_next_one_leaves_it_the_movers() -> None:
    world = JobWorld()
    with pytest.raises(LeaseLost, match="run-1-b"):
        world.run(mover=Overtaken(world))
    assert {trace.partition("/")[0] for trace in world.traces()} == {"Job", "Pod", "Secret"}


def test_a_pod_that_fails_and_was_overtaken_leaves_the_movers_too(world: JobWorld) -> None:
    overtaken = Overtaken(world)

    class Broken(Away):
        def discover(self) -> Any:
            assert overtaken.began.wait(timeout=30), "no mover began"
            raise Transient("HTTP 503")

    with pytest.raises(LeaseLost):
        world.run(mover=overtaken, reader=Broken(world.cluster, "none"))
    assert len(world.traces()) == 2


def test_a_run_whose_lease_cannot_be_asked_for_is_recorded_as_failed() -> None:
    world = RunWorld()
    world.run()
    world.storage.failure = Transient("connection refused")
    writer = FaultyWriter(world.cluster, "acquire_lease", error=Transient("HTTP 503"), after=2)
    assert world.run(2, writer=writer).record.outcome is Outcome.FAILED
    assert world.log.of("lease not asked for") == [{"why": "HTTP 503"}]
