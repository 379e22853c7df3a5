"""A run whose movers are Jobs: what they leave in the namespaces that they work in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.movers import JobMover
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Transient
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveState, MoveTask
from tests.fakes import kubelet
from tests.fakes.faults import FaultyReader
from tests.fakes.keyring import MASTER
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import RunWorld, claim, deployment


def test_a_run_leaves_nothing_behind_and_captures_nothing_of_its_own() -> None:
    world = JobWorld()
    world.cluster.put(claim("more"))
    world.cluster.put(deployment("more", "more"))
    result = world.run()
    assert result.record.outcome is Outcome.COMPLETED
    assert sorted(world.ended) == ["files", "more"]
    assert world.traces() == []
    assert not [path for path in world.tree() if "backstay" in path]
    result = world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


def test_i3_what_a_mover_gets_is_not_the_master_password() -> None:
    world = JobWorld()
    seen: list[str] = []
    work = world.work

    def watch() -> None:
        seen.extend(map(repr, world.cluster.all()))
        work()

    world.clock.on_sleep = watch
    world.run()
    assert any("RESTIC_PASSWORD" in text for text in seen)
    assert not [text for text in seen if MASTER in text]


def broken_discovery(world: JobWorld) -> FaultyReader:
    reader = FaultyReader(world.cluster, lambda *_: False)

    def fail() -> Any:
        world.await_traces(2)  # its Job and its keys
        raise Transient("HTTP 503")

    reader.discover = fail  # type: ignore[method-assign]
    return reader


def test_a_run_that_fails_takes_its_movers_and_their_keys_away() -> None:
    world = JobWorld()
    world.working = 10_000
    result = world.run(reader=broken_discovery(world))
    assert result.record.outcome is Outcome.FAILED
    assert world.traces() == []


def test_a_run_at_its_deadline_takes_its_movers_and_their_keys_away() -> None:
    world = JobWorld()
    world.working = 100_000
    result = world.run()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert "deadline" in result.record.namespaces[0].reasons[0]
    assert world.traces() == []


def stopped_after(world: RunWorld, seconds: float) -> Callable[[], bool]:
    end = world.clock.slept + seconds
    return lambda: world.clock.slept >= end


def test_i11_a_run_that_is_stopped_goes_on_with_the_same_jobs() -> None:
    world = JobWorld()
    world.working = 5
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=stopped_after(world, 3))
    before = world.traces()
    assert len(before) == 2, "its Job and its keys"
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    assert world.ended == ["files"]
    assert len(world.repository("shop").snapshots) == 1
    assert world.traces() == []


def test_a_restore_fills_by_jobs_and_leaves_nothing_behind() -> None:
    world = JobWorld()
    world.run()
    world.lose_shop()
    restored = world.restored(mover=JobMover(world.cluster, world.cluster))
    assert (restored.filled, restored.differing) == (1, ())
    assert world.data["shop", "files"] == b"a thousand files"
    assert world.traces() == []


def test_a_mover_that_dies_without_a_word_is_a_failed_volume() -> None:
    world = JobWorld()

    def die() -> None:
        for job in kubelet.jobs(world.cluster):
            kubelet.end(world.cluster, job, exit_code=137, reason="OOMKilled")

    world.clock.on_sleep = die
    record = world.run().record
    (volume,) = record.namespaces[0].volumes
    assert volume.outcome is Outcome.FAILED
    assert volume.reason
    assert world.traces() == []


def test_a_partial_copy_is_partial_and_has_its_snapshot() -> None:
    world = JobWorld()
    whole = world.move

    def move(task: MoveTask) -> Any:
        return replace(
            whole(task),
            state=MoveState.PARTIALLY_FAILED,
            message="1 file could not be read",
            errors=("open x: permission denied",),
            error_count=1,
        )

    world.move = move  # type: ignore[method-assign]
    record = world.run().record
    (volume,) = record.namespaces[0].volumes
    assert volume.outcome is Outcome.PARTIALLY_FAILED
    assert volume.snapshot == world.repository("shop").snapshots[0].id
    assert "permission denied" in volume.reason
