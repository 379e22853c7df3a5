"""One command in one pod: started, waited for, and told how it ended.

What is never known to have ended may go on: `Ended` says what is known of it, so that whoever
asked for it can tell until when its post command may be overtaken (`reconciler.plan.hooklease`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler import ports
from reconciler.engine.hookoutput import Output
from reconciler.engine.hookstart import Start, find_pod
from reconciler.engine.patience import Patience, insist
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.model.hooks import HookCommand, HookOutcome, HookRecord, Phase
from reconciler.model.podexec import ExecResult, ExecTimedOut, NotExecutable, PodGone
from reconciler.plan.hooklease import OpenHook, QuietPod

AWAY = timedelta(seconds=30)
"""How long a command that could not be started is tried."""
AWAY_AFTER = timedelta(minutes=2)
"""The same of a post command: an application that stays quiesced is worse than a late run."""
STOP_WAIT = timedelta(seconds=60)
"""How long a run that is told to stop waits for a pre command: half of its pod's grace period."""
_GONE = "the pod went away while it was executed"
_REPLACED = f"{_GONE}, and the command may have run in the one that has its name now"

_RESTARTED = "its container was restarted while it was executed, or right after"


class PostLeftOpen(Transient):
    """A post command could not be executed now; its Lease stays, for who comes later."""

    reason = "PostLeftOpen"

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun
        """A try may have started it, and it may be at work still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended, and what is known of it."""

    record: HookRecord
    started: bool
    """Whether it may have begun at all."""
    seen: bool
    """Whether it is at work no more, for certain."""
    heir: str = ""
    """The uid of the pod that has the name now, in which it may have been executed; else empty."""
    container: str = ""
    """The id of the container in which it ran; empty where nobody knows."""
    lost: bool = False
    """Nobody could look in which pod of its name it was executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Executes one command with all that belongs to it; knows nothing of copies."""

    execute: ports.PodExec
    reader: ports.ClusterReader
    reporter: ports.Reporter
    clock: ports.Clock

    def run(
        self,
        pod: QuietPod,
        hook: OpenHook,
        command: HookCommand,
        phase: Phase,
        stopped: Callable[[], bool],
    ) -> Ended:
        """Never started is tried again for a while; how it ended is in the record.

        Raises Interrupted where ``stopped`` turned true, which a pre command at work gets a minute
        for, and what keeps a post command from being executed at all: PostLeftOpen.
        """
        after = phase is Phase.POST
        words = _Words(self, pod, hook, phase, self.clock.now(), Output())
        start = Start(
            execute=self.execute, reader=self.reader, pod=pod, hook=hook, command=command,
            clock=self.clock, on_output=words.output.take, again=after,
            stopped=_with_grace(stopped, self.clock),
        )  # fmt: skip
        patience = self.patience(
            f"starting hook {hook.hook} in {pod.namespace}/{pod.pod}",
            AWAY_AFTER if after else AWAY,
            stopped,
        )
        self.reporter.event("hook starts", **words.where, container=hook.container)
        try:
            ended = words.of_result(insist(start, patience))
        except Interrupted:
            raise
        except BackstayError as error:
            ended = words.of_error(error, may_have_begun=start.maybe)
        if after:
            # One whose answer got lost may be at work beside the one whose end was seen.
            return replace(
                ended,
                container=start.container,
                seen=ended.seen and not (start.maybe and ended.started),
            )
        return self._with_whereabouts(ended, start) if ended.started else ended

    def heir_of(self, pod: QuietPod) -> QuietPod | None:
        """The pod that has the name of one that is gone, with nothing open. Raises Transient."""
        patience = self.patience(f"looking for pod {pod.namespace}/{pod.pod}", AWAY_AFTER)
        raw = insist(lambda: find_pod(self.reader, pod.namespace, pod.pod), patience)
        uid = str(raw["metadata"].get("uid", "")) if raw else ""
        return replace(pod, uid=uid, open=()) if uid and uid != pod.uid else None

    def patience(
        self, what: str, how_long: timedelta, stopped: Callable[[], bool] = lambda: False
    ) -> Patience:
        """For calls that may find the API server away."""
        deadline = self.clock.now() + how_long
        return Patience(
            what=what, clock=self.clock, reporter=self.reporter, deadline=deadline, stopped=stopped
        )

    def _with_whereabouts(self, ended: Ended, start: Start) -> Ended:
        """It was found by its name: nobody knows in which of two pods it was executed."""
        pod, before = start.pod, start.container
        patience = self.patience(f"looking at pod {pod.namespace}/{pod.pod}", AWAY)
        try:
            uid = insist(start.look, patience)
        except BackstayError as error:
            # Whoever finds that pod gone, when its post command's turn comes, asks again.
            self.reporter.warning("pod not looked at", pod=pod.pod, why=error.message)
            return replace(ended, lost=True)
        if uid != pod.uid:
            return replace(
                ended, record=_spoilt(ended.record, _REPLACED if uid else _GONE), heir=uid
            )
        ended = replace(ended, container=start.container)
        if before and start.container and before != start.container:
            return replace(ended, record=_spoilt(ended.record, _RESTARTED))
        return ended


@dataclass(frozen=True, slots=True)
class _Words:
    """What is told of one command."""

    commands: Commands
    pod: QuietPod
    hook: OpenHook
    phase: Phase
    begun: datetime
    output: Output

    @property
    def where(self) -> dict[str, str]:
        pod = self.pod
        return {
            "hook": self.hook.hook, "namespace": pod.namespace, "pod": pod.pod,
            "phase": str(self.phase),
        }  # fmt: skip

    def of_result(self, result: ExecResult) -> Ended:
        code = result.exit_code
        if code == 0:
            return self._ended(HookOutcome.COMPLETED, exit_code=0)
        return self._ended(HookOutcome.FAILED, f"exit code {code}", exit_code=code)

    def of_error(self, error: BackstayError, *, may_have_begun: bool) -> Ended:
        """Raises PostLeftOpen."""
        after = self.phase is Phase.POST
        if isinstance(error, PodGone):
            outcome = HookOutcome.SKIPPED if after else HookOutcome.FAILED
            return self._ended(outcome, error.message, started=False)
        if isinstance(error, ExecTimedOut):
            return self._ended(HookOutcome.TIMED_OUT, error.message, seen=False)
        why = f"{error.message}; {error.hint}" if error.hint else error.message
        if after and not isinstance(error, NotExecutable):
            raise PostLeftOpen(why, begun=may_have_begun) from error
        return self._ended(HookOutcome.FAILED, why, started=may_have_begun, seen=not may_have_begun)

    def _ended(
        self,
        outcome: HookOutcome,
        why: str = "",
        *,
        exit_code: int | None = None,
        started: bool = True,
        seen: bool = True,
    ) -> Ended:
        reporter, pod, hook = self.commands.reporter, self.pod, self.hook
        took = int((self.commands.clock.now() - self.begun).total_seconds())
        made = HookRecord(
            name=hook.hook, namespace=pod.namespace, pod=pod.pod, container=hook.container,
            phase=self.phase, outcome=outcome, why=why, exit_code=exit_code, duration=took,
            output_bytes=self.output.count,
        )  # fmt: skip
        self.output.tell(reporter, **self.where)
        told = reporter.event if outcome is HookOutcome.COMPLETED else reporter.warning
        told(
            "hook ended", **self.where, outcome=str(outcome), exit_code=exit_code, seconds=took,
            bytes=self.output.count, why=why,
        )  # fmt: skip
        return Ended(record=made, started=started, seen=seen)


def _spoilt(record: HookRecord, why: str) -> HookRecord:
    """What was executed may have left nothing behind, whatever its exit code says."""
    failed = record.outcome is HookOutcome.COMPLETED
    outcome = HookOutcome.FAILED if failed else record.outcome
    return replace(record, outcome=outcome, why=f"{record.why}; {why}" if record.why else why)


def told(record: HookRecord) -> str:
    """A sentence for people."""
    where = f" in pod {record.namespace}/{record.pod}" if record.pod else f" in {record.namespace}"
    outcome = "did not run" if record.outcome is HookOutcome.SKIPPED else "failed"
    if record.outcome is HookOutcome.TIMED_OUT:
        outcome = "timed out"
    return f"hook {record.name} ({record.phase}){where} {outcome}: {record.why}"


def _with_grace(stopped: Callable[[], bool], clock: ports.Clock) -> Callable[[], bool]:
    """``stopped``, but a while later: a command whose end is seen is not overtaken."""
    asked: list[datetime] = []

    def late() -> bool:
        if not stopped():
            return False
        asked[:] = asked or [clock.now()]
        return clock.now() >= asked[0] + STOP_WAIT

    return late
