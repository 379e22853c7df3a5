"""The volumes of a run whose policy has hooks: each namespace is quiesced while its own are copied.

A namespace begins when a mover's turn is free for it, and not before: none stays quiesced for
another's sake. Where its hooks run is asked at that moment, also of one that had no pod for them at
first, and once more when its own copy is over. What a pod before this one has copied is copied
again: nobody can say whether it was quiet until the end. So what is there of this run is listed
before anything is quiesced, and once more before a copy begins, for a pod that is called dead may
be at work for a while; where that can't be known, nothing is copied.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.engine import observe
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.hookcommands import Commands
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.hooks import NOT_AT_REST, NOTHING, Hooked, Hooks, need_exec
from reconciler.engine.leftovers import find_own
from reconciler.engine.patience import Patience, insist
from reconciler.engine.runlease import holder_of
from reconciler.engine.slots import Pool, Slots
from reconciler.engine.volumes import Key, Moves, key_of, move_volumes
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted
from reconciler.model.volumes import Leftover, MoveResult, MoveState, MoveTask
from reconciler.plan.hookappeared import appeared
from reconciler.plan.hooks import (
    NO_HOOKS,
    Effect,
    HookPlan,
    NamespaceHooks,
    NotHooked,
    plan_hooks,
)

Stopped = Callable[[], bool]
T = TypeVar("T")
Pods = Mapping[str, Sequence[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class QuietMoves:
    """What movers reported, and what came of the hooks around them."""

    moves: Moves
    hooked: Hooked


@dataclass(slots=True)
class Told:
    """What came of a run's hooks, also where its movers came to no result."""

    hooked: Hooked = NOTHING


def make_commands(run: RunPorts) -> Commands:
    """How a run executes in pods. Raises NotSupported where it can't."""
    return Commands(
        execute=need_exec(run.execute), reader=run.reader, reporter=run.reporter, clock=run.clock
    )


def make_leases(request: RunRequest, run: RunPorts) -> HookLeases:
    """The Leases of pods, as this pod of the run has them."""
    return HookLeases(
        reader=run.reader,
        writer=run.writer,
        clock=run.clock,
        namespace=request.namespace,
        holder=holder_of(request),
        policy=request.policy.name,
        run_id=request.run_id,
        job=request.job,
    )


def move_quietly(
    request: RunRequest,
    run: RunPorts,
    tasks: Sequence[MoveTask],
    *,
    stopped: Stopped,
    told: Told | None = None,
) -> QuietMoves:
    """As `engine.volumes.move_volumes`, with the policy's hooks around each namespace's part.

    ``told`` has what came of the hooks also where this raises.
    """
    ended = threading.Event()  # one thread's error ends the others, with their post commands
    hooks = Hooks(
        make_commands(run),
        make_leases(request, run),
        deadline=request.deadline,
        stopped=lambda: ended.is_set() or stopped(),
    )
    quiet = _Quiet(
        request=request,
        run=run,
        hooks=hooks,
        stopped=lambda: ended.is_set() or stopped(),
        ended=ended,
        pool=Pool(request.compiled.policy.volumes.concurrency),
    )
    told = told or Told()
    try:
        moves = quiet.move(tasks)
    finally:
        told.hooked = hooks.result()
    return QuietMoves(moves, told.hooked)


@dataclass(slots=True, kw_only=True)
class _Quiet:
    request: RunRequest
    run: RunPorts
    hooks: Hooks
    stopped: Stopped
    ended: threading.Event
    pool: Pool
    own: tuple[Leftover, ...] = ()
    """Movers that this run began in a pod before this one."""
    pods: Pods = field(default_factory=dict)
    first: HookPlan = NO_HOOKS
    """As it was when hooks of ``once`` had their turn."""

    def move(self, tasks: Sequence[MoveTask]) -> Moves:
        """All of them."""
        try:
            self.own = self._insist(
                "listing this run's movers", lambda: find_own(self.request, self.run)
            )
        except Interrupted:
            raise
        except BackstayError as error:
            return Moves(_none_copied(tasks, _why(error)))
        names = sorted({task.namespace for task in tasks})
        self.pods = {name: self._pods_of(name) for name in names}
        plan = self.first = self._plan(self.pods)
        for why in plan.drawn:
            self.hooks.warn(why)
        with self.hooks.around(plan.once, namespaces=names) as why:
            parts = {name: [task for task in tasks if task.namespace == name] for name in names}
            results = self._all(parts, why)
        self.hooks.settle()
        return Moves(results)

    def _all(self, parts: Mapping[str, list[MoveTask]], why: str) -> dict[Key, MoveResult]:
        if why:
            return _none_copied([task for part in parts.values() for task in part], why)
        if len(parts) <= 1:
            # In this thread: nothing goes on beside it.
            return _merged(self._namespace(name, part) for name, part in parts.items())
        workers = min(len(parts), self.request.compiled.policy.volumes.concurrency)
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="hooks") as pool:
            begun = [pool.submit(self._namespace, name, part) for name, part in parts.items()]
            return _merged(self._gathered(future.result for future in begun))

    def _gathered(self, calls: Iterable[Callable[[], T]]) -> list[T]:
        """All of them, in their order; the first error ends the others.

        Raises what went wrong, and Interrupted only where nothing else did.
        """
        found: list[T] = []
        errors: list[BaseException] = []
        for call in calls:
            try:
                found.append(call())
            except BaseException as error:  # noqa: BLE001 - raised below
                self.ended.set()
                errors.append(error)
        if errors:
            raise next((one for one in errors if not isinstance(one, Interrupted)), errors[0])
        return found

    def _namespace(self, name: str, tasks: list[MoveTask]) -> Mapping[Key, MoveResult]:
        """One namespace from its first pre command to its last post command."""
        slots = Slots(pool=self.pool)
        try:
            with slots.kept(self.stopped):
                return self._quietly(name, tasks, slots)
        except Interrupted:
            raise
        except BackstayError as error:
            return _none_copied(tasks, _why(error))
        except BaseException:
            self.ended.set()
            raise
        finally:
            # Its mover's turn is another's by now.
            self.hooks.settle()

    def _quietly(self, name: str, tasks: list[MoveTask], slots: Slots) -> Mapping[Key, MoveResult]:
        if self.run.clock.now() >= self.request.deadline:
            return self._copy(tasks, slots)  # which says that its turn did not come
        self._remove_own(name)
        found = self._plan({**self.pods, name: self._pods_of(name)}).namespaces[name]
        not_hooked = (*found.not_hooked, *_missed(self.first.namespaces[name], found))
        with self.hooks.around(found.targets, not_hooked) as why:
            if why := why or self._remove_late(name):
                return _none_copied(tasks, why)
            results = self._copy(tasks, slots)
            # Once only: the application stands still. A pod that its end starts is no matter.
            seen = self._look_again(name, found, patiently=False)
        if not seen:
            self._look_again(name, found, patiently=True)
        return results

    def _look_again(self, name: str, planned: NamespaceHooks, *, patiently: bool) -> bool:
        """Tells of pods that nobody quiesced; False where they could not be listed now."""
        try:
            pods = self._pods_of(name) if patiently else self._read_pods(name)
        except Interrupted:
            raise
        except BackstayError as error:
            if not patiently:
                return False
            why = f"whether pods of {name} began during the copy is not known: {error.message}"
            self.hooks.say(why, (name,))
            return True
        now = self._plan({**self.pods, name: pods}).namespaces[name]
        for why in appeared(planned, now):
            self.run.reporter.warning("hook not run", namespace=name, why=why)
            self.hooks.say(f"{why}; {NOT_AT_REST}", (name,))
        return True

    def _copy(self, tasks: list[MoveTask], slots: Slots) -> Mapping[Key, MoveResult]:
        run = self.run
        return move_volumes(
            tasks,
            mover=run.mover,
            clock=run.clock,
            reporter=run.reporter,
            concurrency=0,
            deadline=self.request.deadline,
            stopped=self.stopped,
            slots=slots,
        ).results

    def _remove_own(self, name: str) -> None:
        """Copies of this run that were begun before the namespace was quiesced now."""
        for left in self.own:
            if left.namespace == name:
                self._tell_again(left)
                self._insist("removing a mover", functools.partial(self.run.mover.remove, left))

    def _remove_late(self, name: str) -> str:
        """As before, of what was begun since they were listed; why that is not certain, or empty.

        Once only: the application stands still.
        """
        try:
            for left in find_own(self.request, self.run):
                if left.namespace == name:
                    self._tell_again(left)
                    self.run.mover.remove(left)
        except Interrupted:
            raise
        except BackstayError as error:
            return _why(error)
        return ""

    def _tell_again(self, left: Leftover) -> None:
        self.run.reporter.event(
            "copied again, quiesced from its beginning", namespace=left.namespace, claim=left.claim
        )

    def _pods_of(self, name: str) -> list[dict[str, Any]]:
        return self._insist(f"listing the pods of {name}", lambda: self._read_pods(name))

    def _read_pods(self, name: str) -> list[dict[str, Any]]:
        return observe.read_all(self.run.reader, kinds.PODS, dict, namespace=name)

    def _plan(self, pods: Pods) -> HookPlan:
        return plan_hooks(
            self.request.compiled.policy,
            pods,
            grants=self.request.config.grants,
            source=self.request.policy.source,
            own_namespace=self.request.namespace,
        )

    def _insist(self, what: str, call: Callable[[], T]) -> T:
        patience = Patience(
            what=what,
            clock=self.run.clock,
            reporter=self.run.reporter,
            deadline=self.request.deadline,
            stopped=self.stopped,
        )
        return insist(call, patience)


def _missed(first: NamespaceHooks, now: NamespaceHooks) -> tuple[NotHooked, ...]:
    """Hooks of ``once`` that could not run at their turn: a pod that can now comes too late."""
    told = {one.hook.name for one in now.not_hooked if one.effect is not Effect.NONE}
    return tuple(
        one
        for one in first.not_hooked
        if one.hook.once and one.effect is not Effect.NONE and one.hook.name not in told
    )


def _none_copied(tasks: Sequence[MoveTask], why: str) -> dict[Key, MoveResult]:
    message = f"not copied: {why}"
    result = MoveResult(state=MoveState.FAILED, message=message, exit_code=1)
    return {key_of(task): result for task in tasks}


def _why(error: BackstayError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _merged(parts: Iterable[Mapping[Key, MoveResult]]) -> dict[Key, MoveResult]:
    return {key: result for part in parts for key, result in part.items()}
