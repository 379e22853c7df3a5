"""Runs that end badly: the same exit code from every pod, and nothing said that is secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import message
from reconciler.engine.run import execute_run
from reconciler.model import kinds
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.errors import (
    BackstayError,
    Bug,
    RepositoryLocked,
    RepositoryLost,
    Transient,
    WrongPassword,
)
from reconciler.model.objects import Resource
from reconciler.model.run import FailureRecord, Outcome
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import BRANCH, MARKER, RUN_IDS, RunWorld, manifest


class Odd(FaultyReader):
    """A port with a fault of ours: it raises what no adapter should, and quotes a Secret."""

    def __init__(self, world: RunWorld, at: str) -> None:
        super().__init__(world.cluster, lambda *_: False)
        self._at = at

    def _strike(self, name: str) -> None:
        if name == self._at:
            raise KeyError(MARKER)

    def identity(self) -> ClusterIdentity:
        self._strike("identity")
        return super().identity()

    def discover(self) -> Any:
        self._strike("discover")
        return super().discover()

    def pages(self, resource: Resource, **given: Any) -> Any:
        self._strike(resource.plural)
        return super().pages(resource, **given)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RepositoryLost("gone"), 10),
        (RepositoryLocked("locked"), 11),
        (WrongPassword("wrong"), 12),
        (BackstayError("odd"), 1),
    ],
    ids=str,
)
def test_i11_a_failed_run_that_is_started_again_says_so_again(
    error: BackstayError, code: int
) -> None:
    world = RunWorld()
    world.run()
    world.storage.failure = error
    assert type(world.run(2).error) is type(error)
    tip = world.remote.heads[BRANCH]
    world.storage.failure = None
    again = world.run(2, pod="run-2-b")
    assert again.commit == tip == world.remote.heads[BRANCH]
    assert again.record.outcome is Outcome.FAILED
    assert again.record.failure == FailureRecord(reason=error.reason, exit_code=code)


@pytest.mark.parametrize("at", ["namespaces", "persistentvolumeclaims", "discover", "secrets"])
def test_i3_an_unexpected_error_is_recorded_without_its_text(at: str) -> None:
    world = JobWorld()
    world.run()
    result = world.run(2, reader=Odd(world, at))
    assert result.record.outcome is Outcome.FAILED
    assert isinstance(result.error, Bug)
    assert result.error.message.startswith("an unexpected error ended the run: KeyError in ")
    assert "test_run_failed_again.py:" in result.error.message
    assert world.record().name == RUN_IDS[1]
    assert world.changed_paths() == {"_run.yaml"}
    (told,) = world.log.of("unexpected error")
    assert told["kind"] == "KeyError"
    said = world.log.text() + repr(result) + world.tree()["_run.yaml"].decode()
    assert MARKER not in said
    assert world.traces() == []
    assert world.run(3).record.outcome is Outcome.COMPLETED


def test_i3_an_unexpected_error_where_nothing_can_be_recorded_is_told_without_its_text() -> None:
    world = JobWorld()
    with pytest.raises(Bug) as caught:
        world.run(reader=Odd(world, "identity"))
    assert MARKER not in repr(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
    assert BRANCH not in world.remote.heads


def test_an_unexpected_error_after_the_push_writes_no_second_record() -> None:
    world = JobWorld()

    class Odd(FakeManifestStore):
        def push(self, tips: Any) -> None:
            super().push(tips)
            if BRANCH in tips:
                raise KeyError(MARKER)

    with pytest.raises(Bug):
        world.run(store=Odd(world.remote))
    assert world.traces() == []
    assert MARKER not in world.log.text()
    assert len(world.commits()) == 1
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    assert len(world.commits()) == 1


def test_a_failed_run_takes_the_movers_of_its_earlier_pod_away() -> None:
    world = JobWorld()
    world.working = 10_000
    with pytest.raises(BackstayError):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 3)
    assert world.traces()
    reader = FaultyReader(world.cluster, lambda kind, _: kind == kinds.NAMESPACES)
    request = replace(world.request(), pod="run-1-b", deadline=world.clock.now())
    result = execute_run(request, world.ports(reader=reader))
    assert result.record.outcome is Outcome.FAILED
    assert result.record.namespaces == ()
    assert world.traces() == []


def test_a_claim_that_is_gone_meanwhile_takes_its_mover_with_it() -> None:
    world = JobWorld()
    world.working = 10_000
    with pytest.raises(BackstayError):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 3)
    (claim,) = world.cluster.all("PersistentVolumeClaim")
    world.cluster.remove(claim)
    assert len(world.traces()) == 2
    result = world.run(pod="run-1-b")
    assert result.record.outcome is Outcome.COMPLETED
    assert world.traces() == []


def test_a_run_that_plans_while_the_api_is_away_waits_for_it() -> None:
    world = RunWorld()
    reader = FaultyReader(
        world.cluster, lambda kind, _: kind == kinds.NAMESPACES, error=Transient("away"), times=4
    )
    assert world.run(reader=reader).record.outcome is Outcome.COMPLETED
    assert world.log.of("trying again")[0]["what"] == "planning the run"


def overtaken(world: JobWorld) -> None:
    """The first run dies with its movers at work, and the second one comes before its next pod."""
    world.working = 3
    with pytest.raises(BackstayError):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 2)
    world.run(2)


def test_i11_a_run_that_was_overtaken_leaves_nothing_and_is_named() -> None:
    world = JobWorld()
    overtaken(world)
    assert world.traces() == []
    (told,) = world.record().warnings
    assert told.startswith(f"run {RUN_IDS[0]} is not on the branch: it died before it could")
    (kept, _) = world.repository("_cluster").snapshots
    assert told.endswith(f"restic holds of it: _cluster/{kept.id[:8]}")
    assert [line["run"] for line in world.log.of("run without a record")] == [RUN_IDS[0]]


def test_i11_a_run_that_was_overtaken_and_goes_on_has_its_record_all_the_same() -> None:
    world = JobWorld()
    overtaken(world)
    world.run(1, pod="run-1-b")
    names = [message.parse_trailers(commit.message)[message.RUN] for commit in world.commits()]
    assert names == [RUN_IDS[0], RUN_IDS[1]]
    assert world.record().warnings == ()
    assert world.traces() == []
    world.run(3)
    assert world.record().warnings == ()


def test_what_is_left_of_a_dead_run_is_named_once_a_run_has_asked_restic() -> None:
    world = JobWorld()
    world.working = 3
    with pytest.raises(BackstayError):
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 2)
    world.storage.failure = WrongPassword("wrong password")
    assert world.run(2).record.outcome is Outcome.FAILED
    (told,) = [text for text in world.record().warnings if RUN_IDS[0] in text]
    assert told.endswith(
        "restic was not asked what it holds of it: the next run that does not fail tells"
    )
    world.storage.failure = None
    (told,) = world.run(3).record.warnings
    (kept, _) = world.repository("_cluster").snapshots
    assert told.startswith(f"run {RUN_IDS[0]} is not on the branch")
    assert told.endswith(f"restic holds of it: _cluster/{kept.id[:8]}")
    assert world.run(4).record.warnings == ()


def test_a_repository_that_could_not_be_asked_is_not_said_to_hold_nothing() -> None:
    world = JobWorld()
    world.run(2)
    world.cluster.remove(manifest("Secret", "db"))
    world.working = 3
    with pytest.raises(BackstayError):
        execute_run(world.request(3), world.ports(), stopped=lambda: world.clock.slept > 3)
    (told,) = world.run(4).record.warnings
    assert told.startswith(f"run {RUN_IDS[2]} is not on the branch")
    assert told.endswith("restic holds of it: nothing; not asked: the repository of _cluster")


def test_many_failed_runs_in_a_row_make_no_older_one_a_lost_one() -> None:
    world = RunWorld()
    world.run(1)
    world.storage.failure = WrongPassword("wrong password")
    for minute in range(55):
        request = world.request(2)
        run_id = f"shop-20261121-03{minute:02}00-{minute:05x}"
        execute_run(replace(request, run_id=run_id), world.ports())
    world.storage.failure = None
    assert world.run(4).record.warnings == ()
