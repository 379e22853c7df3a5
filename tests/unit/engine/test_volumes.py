"""The movers of a run: so many at a time, until each has ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.engine.volumes import Moves, move_volumes
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask, RepositoryAccess
from reconciler.ports import VolumeMover
from tests.fakes.clock import FakeClock
from tests.fakes.mover import FakeMover
from tests.fakes.reporter import FakeReporter


def task(claim: str) -> MoveTask:
    access = RepositoryAccess(name="m", namespace="shop", url="u", secret="s", environment={})
    return MoveTask(
        kind=MoveKind.BACKUP,
        run_id="r",
        policy="p",
        namespace="shop",
        claim=claim,
        access=access,
        host="h",
        image="i",
    )


class Movers:
    """Moves claims ``a b c …`` with a clock and a log of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.log = FakeReporter()

    def move(
        self, mover: VolumeMover, count: int = 3, *, concurrency: int = 2, **rest: int
    ) -> Moves:
        stop_after = rest.get("stop_after", 10**9)
        return move_volumes(
            [task(claim) for claim in "abcdefgh"[:count]],
            mover=mover,
            clock=self.clock,
            reporter=self.log,
            concurrency=concurrency,
            deadline=self.clock.now() + timedelta(minutes=10),
            stopped=lambda: self.clock.slept >= stop_after,
        )


def test_so_many_at_a_time_and_each_once() -> None:
    movers, mover = Movers(), FakeMover(looks=3)
    moves = movers.move(mover, 8, concurrency=3)
    assert mover.most == 3
    assert set(mover.begun.values()) == {1}
    assert {result.state for result in moves.results.values()} == {MoveState.COMPLETED}
    assert len(movers.log.of("volume ended")) == 8


def test_no_task_is_no_wait() -> None:
    movers = Movers()
    assert movers.move(FakeMover(), 0).results == {}
    assert movers.clock.slept == 0


def test_one_that_is_refused_does_not_stop_the_others() -> None:
    mover = FakeMover()
    mover.errors["shop", "a"] = Refused("HTTP 403", hint="grant it")
    results = Movers().move(mover).results
    assert results["shop", "a"].state is MoveState.FAILED
    assert results["shop", "a"].message == "HTTP 403; grant it"
    assert results["shop", "b"].state is MoveState.COMPLETED


def test_a_mover_that_cannot_be_asked_is_asked_until_the_deadline_and_told_once() -> None:
    movers, mover = Movers(), FakeMover()
    mover.errors["shop", "a"] = Transient("connection refused")
    results = movers.move(mover).results
    assert results["shop", "a"].message == "connection refused"
    assert results["shop", "b"].state is MoveState.COMPLETED
    assert 600 <= movers.clock.slept < 610
    assert [line["why"] for line in movers.log.of("mover waits")] == [
        "it can't be asked, trying again: connection refused"
    ]


def test_why_a_mover_waits_is_told_once_and_at_the_deadline() -> None:
    class Waits(FakeMover):
        def ensure(self, task: MoveTask) -> MoveResult:
            return replace(super().ensure(task), message="Unschedulable: 0/1 nodes")

    movers = Movers()
    results = movers.move(Waits(looks=10_000), 1).results
    assert [line["why"] for line in movers.log.of("mover waits")] == ["Unschedulable: 0/1 nodes"]
    assert results["shop", "a"].message == (
        "the copy had not ended at the run's deadline: Unschedulable: 0/1 nodes"
    )


def test_what_is_not_done_at_the_deadline_has_failed() -> None:
    movers, mover = Movers(), FakeMover(looks=10_000)
    results = movers.move(mover).results
    assert {result.state for result in results.values()} == {MoveState.FAILED}
    assert "deadline" in results["shop", "c"].message
    assert movers.clock.slept < 610


def test_none_is_begun_after_the_deadline() -> None:
    movers, mover = Movers(), FakeMover(looks=10_000)
    results = movers.move(mover, 8).results
    assert set(mover.begun) == {("shop", "a"), ("shop", "b")}
    assert len(results) == 8
    for claim in "cdefgh":
        assert results["shop", claim].message.startswith("not begun: the run's deadline came")
    assert len(movers.log.of("volume ended")) == 8


def test_what_a_pod_before_this_one_has_copied_is_taken_after_the_deadline() -> None:
    mover = FakeMover(looks=1)
    Movers().move(mover, 3)
    movers = Movers()
    late = move_volumes(
        [task(claim) for claim in "cd"],
        mover=mover,
        clock=movers.clock,
        reporter=movers.log,
        concurrency=1,
        deadline=movers.clock.now(),
        begun={("shop", "c")},
    )
    assert late.results["shop", "c"].state is MoveState.COMPLETED
    assert late.results["shop", "d"].state is MoveState.FAILED
    assert mover.begun["shop", "d"] == 0


def test_to_stop_is_not_to_end_the_movers() -> None:
    movers, mover = Movers(), FakeMover(looks=100)
    with pytest.raises(Interrupted):
        movers.move(mover, stop_after=5)
    assert not mover.cleaned
    assert Movers().move(mover).results["shop", "a"].state is MoveState.COMPLETED
    assert mover.begun["shop", "a"] == 1


def test_a_partial_copy_is_told_as_a_warning() -> None:
    movers = Movers()
    partial = MoveResult(state=MoveState.PARTIALLY_FAILED, snapshot="x", message="1 file")
    movers.move(FakeMover({("shop", "a"): partial}), 1)
    assert movers.log.lines[-2][:2] == ("warning", "volume ended")
