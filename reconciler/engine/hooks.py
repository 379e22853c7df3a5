"""Commands in an application's pods around the copy of its data (invariant I5).

What must run afterwards is in a Lease before the first command starts (`engine.hookleases`), so a
post command runs whatever becomes of the copy, of the command before it, or of this process: on
errors, time-outs and requests to stop it runs here; for a run that was killed, the next pod of the
run, the next run of the policy, or the controller's Job executes it (`engine.finishing`).
A command whose end nobody saw is executed again rather than never.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler import ports
from reconciler.engine.hookleases import HookLeases, NotOurs
from reconciler.engine.hookoutput import Output
from reconciler.engine.hookstart import Start
from reconciler.engine.patience import Patience, insist
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.errors import BackstayError, Interrupted, NotSupported, Transient
from reconciler.model.hooks import HookCommand, HookOutcome, HookRecord, OnError, Phase
from reconciler.model.podexec import ExecTimedOut, NotExecutable, PodGone
from reconciler.plan.hooklease import OpenHook, QuietPod
from reconciler.plan.hooks import Effect, HookTarget, NotHooked

_BUSY = timedelta(minutes=10)
"""How long a pod is waited for that another policy's run quiesces."""
_AWAY = timedelta(seconds=30)
"""How long a command that could not be started is tried."""
_AWAY_AFTER = timedelta(minutes=2)
"""The same of a post command: an application that stays quiesced is worse than a late run."""
_REPLACED = (
    "the pod went away while it was executed; see whether the one that has its name now is quiesced"
)
_NOT_AT_REST = "its data was not at rest until the end of the copy"


class HookFailed(BackstayError):
    """A command before the copy failed, and the policy says that there is no copy then."""

    reason = "HookFailed"


class PostLeftOpen(Transient):
    """A post command could not be executed now; its Lease stays, for who comes later."""

    reason = "PostLeftOpen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """What came of a run's hooks, by namespace."""

    records: Mapping[str, tuple[HookRecord, ...]] = field(default_factory=dict)
    """In the order in which they ended."""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why a namespace is not Completed."""
    warnings: tuple[str, ...] = ()


NOTHING = Hooked()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and whether it may have begun at all."""

    record: HookRecord
    started: bool


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

        Raises Interrupted where ``stopped`` turned true, and what keeps a post command from being
        executed at all: PostLeftOpen.
        """
        where = {"hook": hook.hook, "namespace": pod.namespace, "pod": pod.pod, "phase": str(phase)}
        begun, output = self.clock.now(), Output()

        def record(
            outcome: HookOutcome, why: str = "", exit_code: int | None = None, *, ran: bool = True
        ) -> Ended:
            took = int((self.clock.now() - begun).total_seconds())
            made = HookRecord(
                name=hook.hook, namespace=pod.namespace, pod=pod.pod, container=hook.container,
                phase=phase, outcome=outcome, why=why, exit_code=exit_code, duration=took,
                output_bytes=output.count,
            )  # fmt: skip
            output.tell(self.reporter, **where)
            told = (
                self.reporter.event if outcome is HookOutcome.COMPLETED else self.reporter.warning
            )
            told(
                "hook ended", **where, outcome=str(outcome), exit_code=exit_code, seconds=took,
                bytes=output.count, why=why,
            )  # fmt: skip
            return Ended(made, started=ran)

        after = phase is Phase.POST
        start = Start(
            execute=self.execute, reader=self.reader, pod=pod, hook=hook, command=command,
            on_output=output.take, stopped=stopped, again=after,
        )  # fmt: skip
        patience = Patience(
            what=f"starting hook {hook.hook} in {pod.namespace}/{pod.pod}",
            clock=self.clock,
            reporter=self.reporter,
            deadline=begun + (_AWAY_AFTER if after else _AWAY),
            stopped=stopped,
        )
        self.reporter.event("hook starts", **where, container=hook.container)
        try:
            result = insist(start, patience)
        except Interrupted:
            raise
        except PodGone as error:
            outcome = HookOutcome.SKIPPED if after else HookOutcome.FAILED
            return record(outcome, error.message, ran=False)
        except ExecTimedOut as error:
            return record(HookOutcome.TIMED_OUT, error.message)
        except BackstayError as error:
            why = f"{error.message}; {error.hint}" if error.hint else error.message
            if after and not isinstance(error, NotExecutable):
                raise PostLeftOpen(why) from error
            return record(HookOutcome.FAILED, why, ran=start.maybe)
        if result.exit_code == 0:
            # It was found by its name: nobody knows in which of two pods it was executed.
            if not after and not self._stays(start):
                return record(HookOutcome.FAILED, _REPLACED, exit_code=0)
            return record(HookOutcome.COMPLETED, exit_code=0)
        why = f"exit code {result.exit_code}"
        return record(HookOutcome.FAILED, why, exit_code=result.exit_code)

    def _stays(self, start: Start) -> bool:
        """False where its pod is known to be gone; the post command asks again in any case."""
        try:
            return start.is_there()
        except BackstayError as error:
            self.reporter.warning("pod not looked at", pod=start.pod.pod, why=error.message)
            return True


class Hooks:
    """The hooks of one run; safe to share between threads that work on different namespaces."""

    def __init__(
        self,
        commands: Commands,
        leases: HookLeases,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commands = commands
        self._leases = leases
        self._stopped = stopped
        self._lock = threading.Lock()
        self._records: defaultdict[str, list[HookRecord]] = defaultdict(list)
        self._reasons: defaultdict[str, list[str]] = defaultdict(list)
        self._warnings: list[str] = []

    def result(self) -> Hooked:
        """What has come of them so far."""
        with self._lock:
            return Hooked(
                records={name: tuple(found) for name, found in sorted(self._records.items())},
                reasons={name: tuple(found) for name, found in sorted(self._reasons.items())},
                warnings=tuple(self._warnings),
            )

    @contextmanager
    def around(
        self, targets: Sequence[HookTarget], not_hooked: Sequence[NotHooked] = ()
    ) -> Iterator[str]:
        """Quiesces, and ends it whatever happens in the block.

        Yields why nothing may be copied in it; empty where it may. Raises Interrupted.
        """
        opened: list[tuple[HookTarget, QuietPod, OpenHook]] = []
        try:
            try:
                self._begin(targets, not_hooked, opened)
                why = ""
            except HookFailed as error:
                why = error.message
            yield why
        finally:
            for target, pod, hook in reversed(opened):
                self._end(target, pod, hook)

    def _begin(
        self,
        targets: Sequence[HookTarget],
        not_hooked: Sequence[NotHooked],
        opened: list[tuple[HookTarget, QuietPod, OpenHook]],
    ) -> None:
        for one in not_hooked:
            self._pass_over(one)
        for target in targets:
            if self._stopped():
                raise Interrupted("stopped before a hook was started")
            pod = QuietPod(namespace=target.namespace, pod=target.pod, uid=target.uid)
            post = target.hook.post
            hook = OpenHook(
                hook=target.hook.name,
                container=target.container,
                command=post.command if post else (),
                timeout=post.timeout if post else 0,
            )
            if not self._open(target, pod, hook):
                continue
            opened.append((target, pod, hook))
            if (pre := target.hook.pre) is None:
                continue
            ended = self._commands.run(pod, hook, pre, Phase.PRE, self._stopped)
            if not ended.started:
                opened.pop()
                self._never_began(pod, hook)
            self._judge(ended.record, pre.on_error)

    def _never_began(self, pod: QuietPod, hook: OpenHook) -> None:
        """There is nothing to be ended in a pod where nothing was started."""
        try:
            close_hook(self._commands, self._leases, pod, hook)
        except BackstayError as error:
            self._commands.reporter.warning(
                "hook left open", hook=hook.hook, namespace=pod.namespace, pod=pod.pod,
                why=error.message,
            )  # fmt: skip

    def _open(self, target: HookTarget, pod: QuietPod, hook: OpenHook) -> bool:
        """Writes the Lease; False where that failed and the copy goes on all the same."""
        commands = self._commands
        until = commands.clock.now() + _BUSY
        patience = Patience(
            what=f"writing the Lease of pod {pod.namespace}/{pod.pod}",
            clock=commands.clock,
            reporter=commands.reporter,
            deadline=until,
            stopped=self._stopped,
        )
        try:
            insist(
                lambda: self._leases.open(
                    pod,
                    hook,
                    until=until,
                    stopped=self._stopped,
                    tell=lambda held: commands.reporter.event(
                        "waiting for another run's hooks", namespace=pod.namespace, pod=pod.pod,
                        holder=held.holder, policy=held.policy,
                    ),
                ),
                patience,
            )  # fmt: skip
        except Interrupted:
            raise
        except BackstayError as error:
            # Nothing was started. An answer that got lost may have left our Lease all the same.
            with suppress(BackstayError):
                self._leases.close(pod, hook)
            phase = Phase.PRE if target.hook.pre else Phase.POST
            why = f"{error.message}; {error.hint}" if error.hint else error.message
            self._judge(_skipped(target, phase, why), _on_error(target))
            return False
        return True

    def _pass_over(self, one: NotHooked) -> None:
        """A hook that does not run where it matched."""
        reporter = self._commands.reporter
        where = {"hook": one.hook.name, "namespace": one.namespace, "pod": one.pod}
        if one.effect is Effect.NONE:
            reporter.event("hook not run", **where, why=one.why)
            return
        reporter.warning("hook not run", **where, why=one.why)
        phase = Phase.PRE if one.hook.pre else Phase.POST
        record = HookRecord(
            name=one.hook.name,
            namespace=one.namespace,
            pod=one.pod,
            phase=phase,
            outcome=HookOutcome.SKIPPED,
            why=one.why,
        )
        command = one.hook.pre or one.hook.post
        if one.effect is Effect.FAILED and command is not None:
            self._judge(record, command.on_error)
            return
        self._keep(record)
        self._say(record)

    def _judge(self, record: HookRecord, on_error: OnError) -> None:
        """Keeps a record of what ran before the copy; raises HookFailed where that forbids it."""
        self._keep(record)
        if record.outcome is HookOutcome.COMPLETED:
            return
        if on_error is OnError.CONTINUE:
            with self._lock:
                self._warnings.append(f"{told(record)}; its data was copied all the same")
            return
        self._say(record)
        raise HookFailed(told(record))

    def _end(self, target: HookTarget, pod: QuietPod, hook: OpenHook) -> None:
        """The post command, and the Lease's end. Raises nothing that can be told."""
        reporter = self._commands.reporter
        post = target.hook.post
        try:
            record = end_hook(
                self._commands, self._leases, pod, hook,
                HookCommand(hook.command, hook.timeout) if post else None, self._warn,
            )  # fmt: skip
        except NotOurs as error:
            # Another pod of this run, or the controller's Job, is at it.
            reporter.event("hook left to another", hook=hook.hook, why=error.message)
            record = None
        except BackstayError as error:
            self._left_open(target, pod, error)
            return
        except Exception as error:  # noqa: BLE001 - the posts of other pods must run all the same
            bug = explain_unexpected(error, reporter, ended="a hook")
            self._left_open(target, pod, bug)
            return
        if record is None or post is None:
            return
        if record.outcome is HookOutcome.SKIPPED and self._quieted(record):
            # Whatever the policy says of errors: what was copied is not what it asked for.
            record = replace(record, why=f"{record.why}; {_NOT_AT_REST}")
            self._say(record)
        self._keep(record)
        if record.outcome in (HookOutcome.COMPLETED, HookOutcome.SKIPPED):
            return
        if post.on_error is OnError.FAIL:
            self._say(record)
        else:
            self._warn(told(record))

    def _quieted(self, post: HookRecord) -> bool:
        """Whether the pre command of the same hook and pod completed."""
        place = (post.name, post.pod, Phase.PRE, HookOutcome.COMPLETED)
        with self._lock:
            found = self._records[post.namespace]
            return place in [(one.name, one.pod, one.phase, one.outcome) for one in found]

    def _left_open(self, target: HookTarget, pod: QuietPod, error: BackstayError) -> None:
        why = f"not executed yet: {error.message}; the controller tries again when the run is over"
        record = HookRecord(
            name=target.hook.name,
            namespace=pod.namespace,
            pod=pod.pod,
            container=target.container,
            phase=Phase.POST,
            outcome=HookOutcome.FAILED,
            why=why,
        )
        self._commands.reporter.warning(
            "hook left open", hook=target.hook.name, namespace=pod.namespace, pod=pod.pod, why=why
        )
        self._keep(record)
        self._say(record)

    def _warn(self, warning: str) -> None:
        with self._lock:
            self._warnings.append(warning)

    def _keep(self, record: HookRecord) -> None:
        with self._lock:
            self._records[record.namespace].append(record)

    def _say(self, record: HookRecord) -> None:
        with self._lock:
            self._reasons[record.namespace].append(told(record))


def end_hook(
    commands: Commands,
    leases: HookLeases,
    pod: QuietPod,
    hook: OpenHook,
    command: HookCommand | None,
    warn: Callable[[str], object] = lambda _: None,
) -> HookRecord | None:
    """Executes an open hook's post command, if it has one, and then closes it.

    Where its Lease is gone it is executed all the same, which is told: twice is better than never.
    Raises NotOurs where another sees to it, and what keeps it open.
    """
    patience = Patience(
        what=f"ending hook {hook.hook} in {pod.namespace}/{pod.pod}",
        clock=commands.clock,
        reporter=commands.reporter,
        deadline=commands.clock.now() + _AWAY_AFTER,
    )
    if not insist(lambda: leases.check(pod, hook), patience):
        why = f"somebody deleted Lease {leases.namespace}/{pod.lease} while hooks were open"
        where = {"hook": hook.hook, "namespace": pod.namespace, "pod": pod.pod}
        commands.reporter.warning("hook's lease is gone", **where, why=why)
        warn(f"{why}: hook {hook.hook} in pod {pod.namespace}/{pod.pod} was ended all the same")
    record = None
    if command is not None:
        record = commands.run(pod, hook, command, Phase.POST, lambda: False).record
    close_hook(commands, leases, pod, hook)
    return record


def close_hook(commands: Commands, leases: HookLeases, pod: QuietPod, hook: OpenHook) -> None:
    """Closes it, for a while also against an API server that is away."""
    insist(
        lambda: leases.close(pod, hook),
        Patience(
            what=f"closing hook {hook.hook} in {pod.namespace}/{pod.pod}",
            clock=commands.clock,
            reporter=commands.reporter,
            deadline=commands.clock.now() + _AWAY_AFTER,
        ),
    )


def told(record: HookRecord) -> str:
    """A sentence for people."""
    where = f" in pod {record.namespace}/{record.pod}" if record.pod else f" in {record.namespace}"
    outcome = "did not run" if record.outcome is HookOutcome.SKIPPED else "failed"
    if record.outcome is HookOutcome.TIMED_OUT:
        outcome = "timed out"
    return f"hook {record.name} ({record.phase}){where} {outcome}: {record.why}"


def need_exec(execute: ports.PodExec | None) -> ports.PodExec:
    """Raises NotSupported where this process can't execute in pods."""
    if execute is None:
        raise NotSupported("hooks are executed by a run inside the cluster only")
    return execute


def _skipped(target: HookTarget, phase: Phase, why: str) -> HookRecord:
    return HookRecord(
        name=target.hook.name,
        namespace=target.namespace,
        pod=target.pod,
        container=target.container,
        phase=phase,
        outcome=HookOutcome.SKIPPED,
        why=why,
    )


def _on_error(target: HookTarget) -> OnError:
    command = target.hook.pre or target.hook.post
    return command.on_error if command else OnError.FAIL
