"""The volumes of a run: a few movers at a time, until each has ended.

Level-triggered: each look asks the mover to begin or to continue, so a run that goes on after a
lost pod adopts what its predecessor began.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler import ports
from reconciler.engine.slots import Slots
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.model.volumes import MoveResult, MoveState, MoveTask

_POLL = 1.0
"""Seconds between two looks at the running movers."""

_NO_TURN = (
    "not begun: the run's deadline came before its turn; let more movers work at a time"
    " (volumes.concurrency), or give the policy fewer volumes"
)
Key = tuple[str, str]
"""(namespace, claim)."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Results of all tasks by (namespace, claim)."""

    results: Mapping[Key, MoveResult]


def key_of(task: MoveTask) -> Key:
    """How results are looked up."""
    return task.namespace, task.claim


def move_volumes(
    tasks: Sequence[MoveTask],
    *,
    mover: ports.VolumeMover,
    clock: ports.Clock,
    reporter: ports.Reporter,
    concurrency: int,
    deadline: datetime,
    begun: Collection[Key] = (),
    stopped: Callable[[], bool] = lambda: False,
    slots: Slots | None = None,
) -> Moves:
    """Runs at most ``concurrency`` movers at a time; every task has a result in the end.

    A task that is not done at the deadline is FAILED and says so. None is begun from then on:
    those in ``begun`` are looked at all the same, they may have ended long ago. Raises Interrupted
    when ``stopped`` turns true; the movers go on, and whoever continues the run adopts them.
    ``slots`` are shared with others that move volumes of this run, in place of ``concurrency``.
    """
    slots = slots or Slots(concurrency)
    waiting = list(tasks)
    active: list[MoveTask] = []
    results: dict[Key, MoveResult] = {}
    told: dict[Key, str] = {}

    def end(task: MoveTask, result: MoveResult) -> None:
        results[key_of(task)] = result
        _tell(task, result, reporter)
        reporter.progress("volumes", len(results), len(tasks))

    try:
        while waiting or active:
            if stopped():
                raise Interrupted("stopped while movers were running")
            late = clock.now() >= deadline
            while waiting:
                if late and key_of(waiting[0]) not in begun:
                    end(waiting.pop(0), _failed(_NO_TURN, 1))
                elif slots.use():
                    active.append(waiting.pop(0))
                else:
                    break
            for task in tuple(active):
                result = _look(task, mover, late=late)
                if result.state is MoveState.RUNNING:
                    if result.message and told.get(key_of(task)) != result.message:
                        told[key_of(task)] = result.message
                        _tell(task, result, reporter, "mover waits")
                    continue
                active.remove(task)
                slots.ended()
                end(task, result)
            if active:
                clock.sleep(_POLL)
            elif waiting:
                slots.await_one(stopped)
    finally:
        slots.forget()
    return Moves(results)


def _look(task: MoveTask, mover: ports.VolumeMover, *, late: bool) -> MoveResult:
    try:
        result = mover.ensure(task)
    except Transient as error:
        if not late:
            why = f"it can't be asked, trying again: {error.message}"
            return MoveResult(state=MoveState.RUNNING, message=why)
        return _failed(error.message, error.exit_code)
    except BackstayError as error:
        hint = f"; {error.hint}" if error.hint else ""
        return _failed(error.message + hint, error.exit_code)
    if late and result.state is MoveState.RUNNING:
        why = f": {result.message}" if result.message else ""
        return _failed(f"the copy had not ended at the run's deadline{why}", 1)
    return result


def _failed(message: str, exit_code: int) -> MoveResult:
    return MoveResult(state=MoveState.FAILED, message=message, exit_code=exit_code)


def _tell(
    task: MoveTask, result: MoveResult, reporter: ports.Reporter, message: str = "volume ended"
) -> None:
    tell = reporter.event if result.state is MoveState.COMPLETED else reporter.warning
    tell(
        message,
        namespace=task.namespace,
        claim=task.claim,
        outcome=result.state.value,
        snapshot=result.snapshot,
        size=result.size,
        added=result.added,
        why=result.message,
    )
