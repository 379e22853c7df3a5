"""What every VolumeMover promises. Run on the fake, on Jobs of a fake cluster and of a real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.model.volumes import (
    MoveKind,
    MoveResult,
    MoveState,
    MoveTask,
    RepositoryAccess,
    VolumeCopy,
)
from reconciler.ports import VolumeMover

GOOD = MoveResult(
    state=MoveState.COMPLETED,
    snapshot="4bba301e" * 8,
    files=1003,
    size=104857600,
    added=2048,
    took=7,
    started="2026-11-21T04:17:05Z",
)
PARTIAL = replace(
    GOOD,
    state=MoveState.PARTIALLY_FAILED,
    exit_code=3,
    error_count=1,
    errors=("open ü.txt: permission denied",),
    message="1 file could not be read",
)
BROKEN = MoveResult(state=MoveState.FAILED, exit_code=12, message="wrong password")
RESULTS = {"good": GOOD, "partial": PARTIAL, "broken": BROKEN}
SECRET = "correct-horse-battery-staple-0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverWorld:
    """A mover whose claims end as RESULTS says; ``silent`` dies without a word."""

    mover: VolumeMover
    namespace: str
    image: str
    settle: Callable[[MoveTask], MoveResult]
    """Looks until it has ended, moving the cluster along where it is a fake one."""
    count: Callable[[MoveTask], int]
    """How many copies of this task there are or were."""
    traces: Callable[[], list[str]]
    """What movers have left in the namespace now."""
    copy: VolumeCopy | None = None
    """What its backups read."""

    def task(self, claim: str, run_id: str = "shop-20261121-041703-7c1e9") -> MoveTask:
        """A backup of one claim."""
        access = RepositoryAccess(
            name="main",
            namespace=self.namespace,
            url="s3:https://s3.example.org/backups/prod/shop",
            secret="restic-main",
            environment={"RESTIC_PASSWORD": SECRET},
        )
        return MoveTask(
            kind=MoveKind.BACKUP,
            run_id=run_id,
            policy="shop",
            namespace=self.namespace,
            claim=claim,
            access=access,
            host=f"prod/{self.namespace}",
            image=self.image,
            timeout=600,
            copy=self.copy,
        )


class MoverContract:
    """VolumeMover."""

    def test_it_begins_once(self, mover_world: MoverWorld) -> None:
        task = mover_world.task("good")
        assert mover_world.mover.ensure(task).state is MoveState.RUNNING
        mover_world.mover.ensure(task)
        mover_world.settle(task)
        assert mover_world.count(task) == 1

    def test_the_result_is_the_movers_word_and_stays(self, mover_world: MoverWorld) -> None:
        for claim, expected in RESULTS.items():
            task = mover_world.task(claim)
            settled = mover_world.settle(task)
            assert replace(settled, taken="") == expected, claim
            assert bool(settled.taken) == bool(task.copy), claim
            assert mover_world.mover.ensure(task) == settled, claim
            assert mover_world.count(task) == 1

    def test_cleanup_leaves_nothing(self, mover_world: MoverWorld) -> None:
        task = mover_world.task("good")
        mover_world.settle(task)
        mover_world.mover.cleanup(task)
        assert mover_world.traces() == []
        mover_world.mover.cleanup(task)

    def test_cleanup_ends_one_that_runs(self, mover_world: MoverWorld) -> None:
        task = mover_world.task("slow")
        mover_world.mover.ensure(task)
        mover_world.mover.ensure(task)
        mover_world.mover.cleanup(task)
        assert mover_world.traces() == []

    def test_cleanup_of_what_never_was(self, mover_world: MoverWorld) -> None:
        mover_world.mover.cleanup(mover_world.task("good"))
        assert mover_world.traces() == []

    def test_runs_do_not_meet(self, mover_world: MoverWorld) -> None:
        one = mover_world.task("good", "shop-20261121-041703-7c1e9")
        two = mover_world.task("good", "shop-20261122-041703-9e1c7")
        mover_world.settle(one)
        assert mover_world.mover.ensure(two).state is MoveState.RUNNING
        mover_world.mover.cleanup(one)
        assert replace(mover_world.settle(two), taken="") == GOOD

    def test_leftovers_are_all_that_is_there_of_a_policy(self, mover_world: MoverWorld) -> None:
        mover = mover_world.mover
        backup = mover_world.task("good")
        restore = replace(
            mover_world.task("slow", "shop-20261120-041703-7c1e9"),
            kind=MoveKind.RESTORE,
            copy=None,
            snapshot="4bba301e" * 8,
        )
        other = replace(mover_world.task("slow", "shop-2-20261121-041703-7c1e9"), policy="shop-2")
        mover_world.settle(backup)
        mover.ensure(restore)
        mover.ensure(other)
        found = {left.claim: left for left in mover.leftovers("shop")}
        assert sorted(found) == ["good", "slow"]
        for task in (backup, restore):
            left = found[task.claim]
            assert (left.kind, left.run_id, left.policy) == (task.kind, task.run_id, "shop")
            assert left.namespace == mover_world.namespace
        assert found["good"].ended
        for task in (backup, restore, other):
            mover.cleanup(task)
        assert mover.leftovers("shop") == mover.leftovers("shop-2") == ()

    def test_a_removed_leftover_leaves_nothing(self, mover_world: MoverWorld) -> None:
        mover_world.mover.ensure(mover_world.task("slow"))
        (left,) = mover_world.mover.leftovers("shop")
        assert not left.ended
        assert mover_world.mover.remove(left)
        assert mover_world.mover.leftovers("shop") == ()
        assert mover_world.traces() == []
        assert not mover_world.mover.remove(left)

    def test_what_was_begun_again_is_no_leftover_of_before(self, mover_world: MoverWorld) -> None:
        task = mover_world.task("slow")
        mover_world.mover.ensure(task)
        (old,) = mover_world.mover.leftovers("shop")
        mover_world.mover.cleanup(task)
        mover_world.mover.ensure(task)
        assert not mover_world.mover.remove(old)
        (new,) = mover_world.mover.leftovers("shop")
        assert new.uid != old.uid
        mover_world.mover.cleanup(task)


class JobContract:
    """Of movers that are Jobs."""

    def test_one_that_dies_silently_has_failed(self, mover_world: MoverWorld) -> None:
        result = mover_world.settle(mover_world.task("silent"))
        assert result.state is MoveState.FAILED
        assert result.exit_code == 4
        assert f"{mover_world.namespace}/silent" in result.message
        assert "exit code 4" in result.message
        assert SECRET not in result.message
