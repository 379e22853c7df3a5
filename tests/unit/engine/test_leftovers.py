"""Movers that a run left behind when it was killed for good: the next run takes them away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.movers import JobMover
from reconciler.engine.run import execute_run
from reconciler.model import naming
from reconciler.model.errors import BackstayError, Interrupted, Refused, Transient
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveKind, MoveTask
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import RUN_IDS
from tests.unit.engine.test_run_jobs import stopped_after

PLACE = {"namespace": "shop", "claim": "files"}
REMOVED = "mover of a dead run removed"


@pytest.fixture
def world() -> JobWorld:
    """Return a world whose first run is gone for good, its mover still at work."""
    world = JobWorld()
    world.working = 5
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=stopped_after(world, 3))
    assert len(world.traces()) == 2, "its Job and its keys"
    return world


def restoring(world: JobWorld) -> list[str]:
    """Begins to restore the first run's claim, as another process does; its Job and its Secret."""
    mover = JobMover(world.cluster, world.cluster)
    before = world.traces()
    (job,) = world.cluster.all("Job")
    mover.ensure(replace(world.task_of(job), kind=MoveKind.RESTORE, image="backstay:1"))
    return [trace for trace in world.traces() if trace not in before]


def test_the_next_run_takes_a_dead_runs_mover_and_keys_away_and_says_so(world: JobWorld) -> None:
    result = world.run(2)
    assert result.record.outcome is Outcome.COMPLETED
    assert world.log.of(REMOVED) == [{**PLACE, "run": RUN_IDS[0]}]
    assert world.ended == ["files"], "the dead run's copy ended nowhere"
    assert len(world.repository("shop").snapshots) == 1
    assert world.traces() == []


def test_they_are_gone_before_the_runs_own_begin(world: JobWorld) -> None:
    seen: list[set[str]] = []

    class Watching(JobMover):
        def ensure(self, task: MoveTask) -> Any:
            jobs = world.cluster.all("Job")
            seen.append({job["metadata"]["annotations"][naming.RUN] for job in jobs})
            return super().ensure(task)

    world.run(2, mover=Watching(world.cluster, world.cluster))
    assert seen[0] == set()
    assert set().union(*seen) == {RUN_IDS[1]}


def test_a_restores_mover_is_left_at_work(world: JobWorld) -> None:
    theirs = restoring(world)
    assert len(theirs) == 2, "its Job and its keys"
    world.working = 100
    world.run(2)
    assert len(world.log.of(REMOVED)) == 1
    assert world.traces() == theirs


def test_another_policys_mover_is_left_at_work(world: JobWorld) -> None:
    (job,) = world.cluster.all("Job")
    task = replace(world.task_of(job), policy="shop-2", run_id="shop-2-1", image="backstay:1")
    JobMover(world.cluster, world.cluster).ensure(task)
    world.run(2)
    assert len(world.log.of(REMOVED)) == 1
    assert "shop-2-1" in {
        raw["metadata"]["annotations"][naming.RUN] for raw in world.cluster.all("Job")
    }


def test_a_run_that_goes_on_keeps_its_own(world: JobWorld) -> None:
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    assert world.log.of(REMOVED) == []
    assert world.ended == ["files"]


@pytest.mark.parametrize("error", [Transient("HTTP 503"), Refused("HTTP 403")])
def test_a_list_that_fails_is_told_and_fails_nothing(world: JobWorld, error: BackstayError) -> None:
    reader = FaultyReader(
        world.cluster, lambda found, where: found.kind == "Job" and not where, error=error
    )
    result = world.run(2, mover=JobMover(reader, world.cluster))
    assert result.record.outcome is Outcome.COMPLETED
    assert world.log.of("movers of dead runs can't be listed") == [{"why": error.message}]
    assert world.log.of(REMOVED) == []


def test_one_that_stays_is_told_and_keeps_no_other_from_going(world: JobWorld) -> None:
    (job,) = world.cluster.all("Job")
    mover = JobMover(world.cluster, world.cluster)
    mover.ensure(replace(world.task_of(job), run_id=RUN_IDS[2], image="backstay:1"))
    writer = FaultyWriter(world.cluster, "delete", error=Refused("HTTP 403"))
    result = world.run(2, mover=JobMover(world.cluster, writer))
    assert result.record.outcome is Outcome.COMPLETED
    (kept,) = world.log.of("mover of a dead run left behind")
    (gone,) = world.log.of(REMOVED)
    assert kept["why"] == "HTTP 403"
    assert {kept["run"], gone["run"]} == {RUN_IDS[0], RUN_IDS[2]}
