"""Ends hooks that a run has left open because it was killed (invariant I5).

Three look for them. The next pod of the same run, and the next run of the policy, do before they
begin: they hold the policy's Lease. For a run that nobody goes on with, the controller starts one
Job within a cycle (`engine.finishjobs`). Whoever it is takes the pod's Lease from its dead holder,
and of two only one gets it.

Where a pre command may still be at work, its post command runs now, so that the application is not
kept waiting, and once more when that time is over: only the second one can't be overtaken.

A post command that went wrong is written into the Lease before anything else is done, and stays
there: a Job tells of it by its exit code, and its next pod does where that one is killed; a run
does in its record, and takes the Lease away when that is pushed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from reconciler import ports
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.hookcommands import AWAY_AFTER, Commands, told
from reconciler.engine.hookending import close_hook, end_hook, run_post
from reconciler.engine.hookleases import HookLeases, NotOurs
from reconciler.engine.patience import Patience, insist
from reconciler.engine.quiescing import make_commands, make_leases
from reconciler.engine.runlease import is_of_run
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Transient, UsageError, Waiting
from reconciler.model.hooks import HookCommand, HookOutcome, HookRecord
from reconciler.plan.finishjob import POST_FAILED, finish_seconds
from reconciler.plan.finishturns import is_given_held, is_held
from reconciler.plan.hooklease import HookLease, OpenHook, QuietPod, is_process

Stopped = Callable[[], bool]
_PATIENCE = timedelta(minutes=15)
"""How long an API server that is away is asked for a Lease."""
_ENDING = timedelta(minutes=2)
"""How long a holder is waited for: it may be ending its hooks itself."""
_POLL = 2.0
_SLACK = timedelta(seconds=5)
_BAD = (HookOutcome.FAILED, HookOutcome.TIMED_OUT)


class PostFailed(BackstayError):
    """A post command failed, and its end is known: its pod may still be quiesced."""

    reason = "PostFailed"
    exit_code = POST_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What came of the hooks of one Lease."""

    records: tuple[HookRecord, ...] = ()
    """Of its post commands, in the reverse of their order."""
    told: tuple[str, ...] = ()
    """What went wrong before, and was not executed now."""
    left: tuple[str, ...] = ()
    """Why some are still open."""
    elsewhere: str = ""
    """Why the rest is none of ours any more."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Commands that were executed and went wrong."""
        bad = (told(record) for record in self.records if record.outcome in _BAD)
        return (*self.told, *bad)


@dataclass(slots=True)
class _Ending:
    """What came of one pod so far."""

    pod: QuietPod
    records: list[HookRecord] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    late: dict[OpenHook, datetime] = field(default_factory=dict)
    """Post commands whose end nobody saw, and until when they may be at work."""
    bad: dict[OpenHook, str] = field(default_factory=dict)
    """Those that were executed and went wrong, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finisher:
    """Takes Leases from dead holders and ends what is open there."""

    leases: HookLeases
    commands: Commands
    reader: ports.ClusterReader
    stopped: Stopped = lambda: False
    is_gone: Callable[[str], bool] = lambda _: False
    """Whether a holder that is a process has ended, as far as this machine knows."""

    def is_dead(self, lease: HookLease) -> bool:
        """Whether nobody sees to it any more; a pod of Backstay's own namespace, or a process."""
        if lease.holder == self.leases.holder or self.is_gone(lease.holder):
            return True
        pods = self._pods({lease.holder_pod, *lease.given_pods})
        return not is_held(lease, pods, self.commands.clock.now())

    def may_end_given(self, lease: HookLease) -> bool:
        """Whether what its holder has given away alone is nobody's; a terminal leaves it to Jobs.

        Of a process nobody could tell when it is dead.
        """
        if not lease.given or is_process(self.leases.holder):
            return False
        return not is_given_held(lease, self._pods(lease.given_pods), self.commands.clock.now())

    def _pods(self, names: Iterable[str]) -> list[Mapping[str, Any]]:
        where = self.leases.namespace
        found = [self.reader.get(kinds.PODS, name, namespace=where) for name in names if name]
        return [pod for pod in found if pod is not None]

    def finish(self, lease: HookLease) -> Finished:
        """Its holder must be dead. Raises Interrupted where it is told to stop meanwhile."""
        now = self.commands.clock.now()
        seconds = finish_seconds(lease.pod, now) if is_process(self.leases.holder) else 0
        patience = self.commands.patience(f"taking Lease {lease.name}", AWAY_AFTER, self.stopped)
        mine = insist(lambda: self._take(lease, seconds), patience)
        if mine is None:
            return Finished(elsewhere="another has just begun to see to it")
        return self._finish(mine, "ending the hooks of a dead run")

    def finish_given(self, lease: HookLease) -> Finished:
        """What its holder has given away alone. Raises as `finish`."""
        patience = self.commands.patience(f"taking from Lease {lease.name}", AWAY_AFTER)
        if not insist(functools.partial(self.leases.accept, lease), patience):
            return Finished(elsewhere="it has just changed")
        given = replace(lease, pod=replace(lease.pod, open=lease.given))
        return self._finish(given, "ending hooks that a run could not end")

    def _finish(self, mine: HookLease, what: str) -> Finished:
        reporter = self.commands.reporter
        where = {"namespace": mine.pod.namespace, "pod": mine.pod.pod, "run": mine.run_id}
        reporter.warning(what, **where, lease=mine.name)
        known = tuple(hook.failed for hook in mine.failed)
        due = tuple(hook for hook in mine.pod.open if not hook.failed)
        ending = _Ending(replace(mine.pod, open=due))
        elsewhere = ""
        try:
            for hook in self._end_what_is_sure(ending):
                self._end(ending, hook)
            self._close_late(ending)
        except Interrupted as error:
            if not (known or ending.bad):
                raise
            # It is told now, and not when the others have ended: that may take an hour.
            ending.left.append(error.message)
        except NotOurs as error:
            elsewhere = error.message
            reporter.warning("hooks left to another", **where, lease=mine.name, why=elsewhere)
        return Finished(
            records=tuple(ending.records), told=known, left=tuple(ending.left), elsewhere=elsewhere
        )

    def _take(self, lease: HookLease, seconds: int) -> HookLease | None:
        mine = self.leases.take(lease, seconds=seconds)
        if mine is None:
            # It has changed: by us, where the answer to a try before this one got lost.
            now = self.leases.find(lease.name)
            mine = now if now is not None and now.holder == self.leases.holder else None
        return mine

    def _end_what_is_sure(self, ending: _Ending) -> list[OpenHook]:
        """The others, as soon as nothing can overtake their post commands; those ran once."""
        unsure: list[OpenHook] = []
        moments: list[datetime] = []
        for hook in reversed(ending.pod.open):
            moment = hook.moment
            if (
                moment is not None
                and hook.command
                and hook.is_unsure(self.commands.clock.now())
                and self._run_early(ending, hook)
            ):
                unsure.append(hook)
                moments.append(moment)
            else:
                self._end(ending, hook)
        if moments:
            self._wait(ending.pod, max(moments))
        return unsure

    def _run_early(self, ending: _Ending, hook: OpenHook) -> bool:
        """False where there is no pod any more in which it would have to run again."""
        pod, command = ending.pod, HookCommand(hook.command, hook.timeout)
        try:
            ran = run_post(self.commands, self.leases, pod, hook, command, lambda _: None)
            if not ran.seen:
                self._outlast(ending, hook)
        except (NotOurs, Interrupted):
            raise
        except BackstayError as error:
            self.commands.reporter.warning(
                "hook not ended yet", hook=hook.hook, namespace=pod.namespace, pod=pod.pod,
                why=error.message,
            )  # fmt: skip
            return True
        return ran.record.outcome is not HookOutcome.SKIPPED

    def _outlast(self, ending: _Ending, hook: OpenHook) -> None:
        """A post command that may be at work still keeps its Lease, and others off the pod."""
        late = self.commands.clock.now() + timedelta(seconds=hook.timeout) + _SLACK
        ending.late[hook] = late = max(late, hook.moment or late)
        patience = self.commands.patience(f"writing the Lease of hook {hook.hook}", AWAY_AFTER)
        insist(lambda: self.leases.note(ending.pod, hook.with_until(late)), patience)

    def _close_late(self, ending: _Ending) -> None:
        """What goes on for longer than twice its time is waited for no more."""
        if ending.late:
            self._wait(ending.pod, max(ending.late.values()))
        for hook in ending.late:
            self._try(ending, hook, functools.partial(self._close, ending, hook))

    def _close(self, ending: _Ending, hook: OpenHook) -> None:
        """For good; what went wrong stays, to be told."""
        pod, why = ending.pod, ending.bad.get(hook, "")
        if not why:
            close_hook(self.commands, self.leases, pod, hook)
            return
        patience = self.commands.patience(f"writing the Lease of hook {hook.hook}", AWAY_AFTER)
        insist(lambda: self.leases.fail(pod, hook, why), patience)

    def _wait(self, pod: QuietPod, moment: datetime) -> None:
        clock = self.commands.clock
        self.commands.reporter.event(
            "waiting until no command before the copy can be at work", namespace=pod.namespace,
            pod=pod.pod, until=moment.isoformat(),
        )  # fmt: skip
        while (left := (moment - clock.now()).total_seconds()) > 0:
            if self.stopped():
                raise Interrupted("stopped before hooks of a dead run could be ended for good")
            clock.sleep(min(left, _POLL))

    def _end(self, ending: _Ending, hook: OpenHook) -> None:
        self._try(ending, hook, functools.partial(self._end_now, ending, hook))

    def _end_now(self, ending: _Ending, hook: OpenHook) -> None:
        pod = ending.pod
        if not hook.command:
            end_hook(self.commands, self.leases, pod, hook, None)
            return
        command = HookCommand(hook.command, hook.timeout)
        ended = run_post(self.commands, self.leases, pod, hook, command, lambda _: None)
        ending.records.append(ended.record)
        if ended.record.outcome in _BAD:
            ending.bad[hook] = told(ended.record)
        if not ended.seen:
            self._outlast(ending, hook)
        elif hook not in ending.late:
            self._close(ending, hook)

    def _try(self, ending: _Ending, hook: OpenHook, end: Callable[[], None]) -> None:
        try:
            end()
        except (NotOurs, Interrupted):
            raise
        except BackstayError as error:
            pod = ending.pod
            self.commands.reporter.warning(
                "hook left open", hook=hook.hook, namespace=pod.namespace, pod=pod.pod,
                why=error.message,
            )  # fmt: skip
            ending.left.append(f"hook {hook.hook}: {error.message}")


def finish_left(request: RunRequest, run: RunPorts, stopped: Stopped) -> tuple[str, ...]:
    """What pods before this one have left open, for whoever holds the policy's Lease.

    Also where the policy has no hooks any more. Returns what people should know. A failure here is
    none of the run: a pod that stays quiesced is waited for when its turn comes.
    """
    reporter = run.reporter
    patience = Patience(
        what="looking for open hooks",
        clock=run.clock,
        reporter=reporter,
        deadline=request.deadline,
        stopped=stopped,
    )
    leases = make_leases(request, run)
    warnings: list[str] = []

    def unreadable(error: BackstayError) -> None:
        reporter.warning("hook's lease not understood", why=error.message, hint=error.hint)
        warnings.append(error.message)

    try:
        found = insist(lambda: leases.list(unreadable), patience)
    except (Interrupted, Transient):
        raise
    except BackstayError as error:
        # A run whose policy has no hooks does not need this right.
        unreadable(error)
        found = ()
    for lease in found:
        if lease.policy != request.policy.name:
            continue
        try:
            finisher = Finisher(
                leases=leases, commands=make_commands(run), reader=run.reader, stopped=stopped
            )
            warnings += _finish_one(lease, finisher, patience, request.run_id)
        except Interrupted:
            raise
        except BackstayError as error:
            reporter.warning("hooks of a dead run left open", lease=lease.name, why=error.message)
            warnings.append(f"Lease {lease.name}: {error.message}")
    return tuple(warnings)


def _finish_one(lease: HookLease, finisher: Finisher, patience: Patience, run_id: str) -> list[str]:
    """Returns what people should know. What stays open is the controller's again, and not ours."""
    if not insist(functools.partial(finisher.is_dead, lease), patience):
        return _warn(lease, run_id, Finished(elsewhere=f"{lease.who} sees to it"))
    done = False
    try:
        finished = finisher.finish(lease)
        done = not finished.left
    finally:
        if not done:
            _hand_back(lease, finisher, patience)
    return _warn(lease, run_id, finished)


def forget_told(warnings: Sequence[str], request: RunRequest, run: RunPorts) -> None:
    """Takes away what `finish_left` has found failed; ``warnings``, of it, are recorded by now.

    A failure here is none of the run: what is left is told again.
    """
    if not warnings:
        return
    leases = make_leases(request, run)
    try:
        for lease in leases.list(lambda _: None):
            leases.forget(lease)
    except BackstayError as error:
        run.reporter.warning("hook's lease left", why=error.message)


def _hand_back(lease: HookLease, finisher: Finisher, patience: Patience) -> None:
    """While it is ours nobody else may end it, and this run may go on for hours."""
    try:
        insist(functools.partial(finisher.leases.hand_back, lease.name), patience)
    except BackstayError as error:
        # It is tried again where this run opens hooks in that pod.
        finisher.commands.reporter.warning(
            "hook's lease not given away", lease=lease.name, why=error.message
        )


def _warn(lease: HookLease, run_id: str, done: Finished) -> list[str]:
    pod = f"pod {lease.pod.namespace}/{lease.pod.pod}"
    warnings = [f"{pod} is still quiesced by run {lease.run_id}: {why}" for why in done.left]
    warnings += [f"of run {lease.run_id}: {why}" for why in done.failed]
    if done.elsewhere:
        warnings.append(f"{pod} was left quiesced by run {lease.run_id}: {done.elsewhere}")
    if not warnings and not is_of_run(lease.holder, run_id):
        warnings = [f"{pod} was left quiesced by run {lease.run_id}; its hooks were ended now"]
    return warnings


def finish_lease(name: str, finisher: Finisher, *, policy: str, alone: bool = False) -> None:
    """What the controller's Job does. Returns when nothing is open there any more.

    Where its holder lives, it is left to that; ``alone`` says that nobody would look again, which
    raises Waiting. Raises UsageError where it is another policy's, Transient where something had to
    be left open, PostFailed where a command failed, now or in a pod before this one: its end is
    known, so it is not executed again.
    """
    clock, reporter = finisher.commands.clock, finisher.commands.reporter
    begun = clock.now()
    patience = Patience(
        what=f"reading Lease {name}", clock=clock, reporter=reporter, deadline=begun + _PATIENCE,
        stopped=finisher.stopped,
    )  # fmt: skip
    while True:
        lease = insist(lambda: finisher.leases.find(name), patience)
        if lease is None:
            reporter.event("nothing is open", lease=name)
            return
        if lease.policy != policy:
            raise UsageError(
                f"Lease {name} is of policy {lease.policy}, not {policy}",
                hint=f"backstay run {lease.policy} --finish {name}",
            )
        if insist(functools.partial(finisher.is_dead, lease), patience):
            _judge(finisher.finish(lease), finisher, name)
        elif insist(functools.partial(finisher.may_end_given, lease), patience):
            _judge(finisher.finish_given(lease), finisher, name)
        elif lease.failed:
            _judge(Finished(told=tuple(hook.failed for hook in lease.failed)), finisher, name)
        elif clock.now() >= begun + _ENDING:
            if not alone:
                reporter.event("another sees to it", lease=name, holder=lease.holder)
                return
            raise Waiting(
                f"{lease.who} still holds Lease {name}",
                hint="look at it: it ends its hooks itself",
            )
        else:
            reporter.event("waiting for whoever sees to it", lease=name, holder=lease.holder)
            clock.sleep(_POLL)
        if finisher.stopped():
            raise Interrupted("stopped while hooks of a dead run are open")


def _forget(name: str, finisher: Finisher) -> None:
    patience = finisher.commands.patience(f"removing Lease {name}", AWAY_AFTER)

    def forget() -> None:
        if (lease := finisher.leases.find(name)) is not None:
            finisher.leases.forget(lease)

    try:
        insist(forget, patience)
    except BackstayError as error:
        finisher.commands.reporter.warning("hook's lease left", lease=name, why=error.message)


def _judge(done: Finished, finisher: Finisher, name: str) -> None:
    """Raises what is not as it should be."""
    if done.failed:
        if is_process(finisher.leases.holder):
            _forget(name, finisher)  # a Job's failure is kept, and this one is read now
        raise PostFailed(
            "; ".join([*done.failed, *(f"still open: {why}" for why in done.left)]),
            hint="look into the pod: it may still be quiesced; nothing ends that by itself",
        )
    if done.left:
        raise Transient("; ".join(done.left), hint="it is tried again; backstay doctor lists it")
