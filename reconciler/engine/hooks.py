"""Commands in an application's pods around the copy of its data (invariant I5).

What must run afterwards is in a Lease before the first command starts (`engine.hookleases`), so a
post command runs whatever becomes of the copy, of the command before it, or of this process: on
errors, time-outs and requests to stop it runs here; for a run that was killed, the next pod of the
run, the next run of the policy, or the controller's Job executes it (`engine.finishing`).
A command whose end nobody saw is executed again rather than never.

All Leases are written before anything is quiesced, in an order that all runs share: no application
stands still while its run waits for another pod, and two runs don't wait for each other.
A post command whose pre command may still be at work has run here once; its Lease is then given
away, and the controller's Job executes it again when that is over (`engine.finishing`). So it is
with one that could not be executed here, or failed: no application waits for the rest of this run,
and what went wrong is told by that Job where this run comes to no record.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler import ports
from reconciler.engine.hookcommands import AWAY, Commands, Ended, PostLeftOpen, told
from reconciler.engine.hookending import close_hook, end_hook, run_post
from reconciler.engine.hookgiving import Giving
from reconciler.engine.hookleases import HookLeases, NotOurs, PodBusy
from reconciler.engine.hookplaces import Place, error_means, name_of, once_more, place_of, skipped
from reconciler.engine.patience import insist
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.errors import BackstayError, Interrupted, NotSupported
from reconciler.model.hooks import HookCommand, HookOutcome, HookRecord, OnError, Phase
from reconciler.plan.hooklease import HookLease
from reconciler.plan.hooks import Effect, HookTarget, NotHooked

_BUSY = timedelta(minutes=10)
"""How long a pod is waited for that another policy's run quiesces."""
_SLACK = timedelta(seconds=5)
"""By how much clocks of two pods may differ."""
_BAD = (HookOutcome.FAILED, HookOutcome.TIMED_OUT)
NOT_AT_REST = "its data was not at rest until the end of the copy"


class HookFailed(BackstayError):
    """A command before the copy failed, and the policy says that there is no copy then."""

    reason = "HookFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """What came of a run's hooks, by namespace."""

    records: Mapping[str, tuple[HookRecord, ...]] = field(default_factory=dict)
    """In the order in which they ended."""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why a namespace is not Completed."""
    warnings: tuple[str, ...] = ()


NOTHING = Hooked()


class Hooks:
    """The hooks of one run; safe to share between threads that work on different namespaces."""

    def __init__(
        self,
        commands: Commands,
        leases: HookLeases,
        *,
        deadline: datetime,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._commands = commands
        self._leases = leases
        self._deadline = deadline
        self._stopped = stopped
        self._lock = threading.Lock()
        self._records: defaultdict[str, list[HookRecord]] = defaultdict(list)
        self._reasons: defaultdict[str, list[str]] = defaultdict(list)
        self.warnings: list[str] = []
        self._giving = Giving(commands, leases, deadline=deadline, stopped=stopped)

    def result(self) -> Hooked:
        """What has come of them so far."""
        with self._lock:
            return Hooked(
                records={name: tuple(found) for name, found in sorted(self._records.items())},
                reasons={name: tuple(found) for name, found in sorted(self._reasons.items())},
                warnings=tuple(self.warnings),
            )

    def settle(self) -> None:
        """Gives away what could not be when `around` ended; may wait for the API server."""
        self._giving.settle()

    @contextmanager
    def around(
        self,
        targets: Sequence[HookTarget],
        not_hooked: Sequence[NotHooked] = (),
        *,
        namespaces: Sequence[str] = (),
    ) -> Iterator[str]:
        """Quiesces, and ends it whatever happens in the block.

        Yields why nothing may be copied in it; empty where it may. Raises Interrupted.
        ``namespaces`` are those whose data it is for; a target's own where none are given.
        """
        places = [place_of(target, tuple(namespaces)) for target in targets]
        try:
            try:
                for one in not_hooked:
                    self._pass_over(one)
                self._begin(places)
                why = ""
            except HookFailed as error:
                why = error.message
            yield why
        finally:
            for place in reversed(places):
                if place.begun:
                    self._end(place)
                elif place.opened:
                    self._never_began(place)
            for pod in dict.fromkeys(place.pod for place in places):
                self._giving.give(pod)

    def _begin(self, places: list[Place]) -> None:
        for place in sorted(places, key=lambda one: one.pod.uid):
            place.opened = self._open(place)
        for place in [one for one in places if one.opened]:
            if self._stopped():
                raise Interrupted("stopped before a hook was started")
            if (pre := place.target.hook.pre) is None:
                place.begun = True
            elif (ended := self._start(place, pre)) is not None:
                self._follow(place, places, ended)
                self._judge(ended.record, pre.on_error, place.namespaces)

    def _start(self, place: Place, pre: HookCommand) -> Ended | None:
        """The pre command; None where it could not be, and the copy goes on all the same."""
        now = self._commands.clock.now()
        left = int((self._deadline - now).total_seconds())
        if left <= 0:
            record = skipped(place.target, Phase.PRE, "the run's time is over")
            self._judge(record, pre.on_error, place.namespaces)
            return None
        pre = replace(pre, timeout=min(pre.timeout, left))
        place.hook = place.hook.with_until(self._moment(pre))
        if not self._open(place):
            return None
        if self._commands.clock.now() > now + _SLACK and not self._renew(place, pre):
            return None
        place.begun = True
        return self._commands.run(place.pod, place.hook, pre, Phase.PRE, self._stopped)

    def _moment(self, pre: HookCommand) -> datetime:
        """Until when it may be at work, if it is started soon."""
        return self._commands.clock.now() + AWAY + timedelta(seconds=pre.timeout) + _SLACK

    def _renew(self, place: Place, pre: HookCommand) -> bool:
        """Another moment, where writing the first one took long; False where that fails."""
        place.hook = place.hook.with_until(self._moment(pre))
        what = f"writing the Lease of pod {name_of(place.pod)}"
        patience = self._commands.patience(what, AWAY, self._stopped)
        try:
            insist(lambda: self._leases.note(place.pod, place.hook), patience)
        except Interrupted:
            raise
        except BackstayError as error:
            record = skipped(place.target, Phase.PRE, error.message)
            self._judge(record, pre.on_error, place.namespaces)
            return False
        return True

    def _follow(self, place: Place, places: list[Place], ended: Ended) -> None:
        """What the end of a pre command means for its post command."""
        place.begun, place.lost = ended.started, ended.lost
        if not ended.started:
            return
        late = ended.record.outcome is HookOutcome.TIMED_OUT
        if ended.seen:
            self._note(place, None)
        elif late and (pre := place.target.hook.pre) is not None:
            # It goes on, and nobody knows how long: as long again is a guess.
            again = timedelta(seconds=pre.timeout)
            self._note(place, self._commands.clock.now() + again + _SLACK)
        if ended.record.outcome is HookOutcome.COMPLETED:
            place.container = ended.container
        if ended.heir:
            self._inherit(place, places, ended.heir)

    def _note(self, place: Place, moment: datetime | None) -> None:
        """Where it can't be written, a run that is killed now has its post executed at two times.

        The older moment is the safe one where the end was seen; else it comes too soon.
        """
        place.hook = place.hook.with_until(moment)
        commands = self._commands
        patience = commands.patience(f"writing the Lease of pod {name_of(place.pod)}", AWAY)
        try:
            insist(lambda: self._leases.note(place.pod, place.hook), patience)
        except BackstayError as error:
            commands.reporter.warning("hook's lease not written", why=error.message)

    def _inherit(self, place: Place, places: list[Place], uid: str) -> None:
        """The post command runs in the pod that has the name now as well, and before."""
        heir = replace(place, pod=replace(place.pod, uid=uid))
        places.insert(places.index(place) + 1, heir)
        try:
            self._write(heir)
        except BackstayError as error:
            # It is asked for again when its post command's turn comes.
            self._commands.reporter.warning("hook's lease not written", why=error.message)

    def _never_began(self, place: Place) -> None:
        """There is nothing to be ended in a pod where nothing was started."""
        try:
            close_hook(self._commands, self._leases, place.pod, place.hook)
        except BackstayError as error:
            self._commands.reporter.warning(
                "hook left open", hook=place.hook.hook, namespace=place.pod.namespace,
                pod=place.pod.pod, why=error.message,
            )  # fmt: skip

    def _open(self, place: Place) -> bool:
        """Writes the Lease; False where that failed and the copy goes on all the same."""
        try:
            self._write(place)
        except BackstayError as error:
            # Nothing was started. An answer that got lost may have left our Lease all the same.
            with suppress(BackstayError):
                self._leases.withdraw(place.pod, place.hook)
            if isinstance(error, Interrupted):
                raise
            phase = Phase.PRE if place.target.hook.pre else Phase.POST
            why = f"{error.message}; {error.hint}" if error.hint else error.message
            record = skipped(place.target, phase, why)
            self._judge(record, error_means(place.target), place.namespaces)
            return False
        return True

    def _write(self, place: Place, *, patient: bool = False) -> None:
        """Raises Interrupted; a ``patient`` one only for a pod that another run quiesces."""
        commands, pod = self._commands, place.pod
        now = commands.clock.now()
        stopped = self._stopped
        how_long = _BUSY
        if patient:
            # Whoever is told to stop has little time left for its post command.
            how_long = AWAY if stopped() else _BUSY
            stopped = _never
        until = min(now + _BUSY, max(now, self._deadline))

        def tell(held: HookLease) -> None:
            commands.reporter.event(
                "waiting for another run's hooks", namespace=pod.namespace, pod=pod.pod,
                holder=held.holder, policy=held.policy,
            )  # fmt: skip

        insist(
            lambda: self._leases.open(
                pod, place.hook, until=until, stopped=self._stopped, tell=tell
            ),
            commands.patience(f"writing the Lease of pod {name_of(pod)}", how_long, stopped),
        )

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
        self.say(told(record), (record.namespace,))

    def _judge(self, record: HookRecord, on_error: OnError, namespaces: Sequence[str] = ()) -> None:
        """Keeps a record of what ran before the copy; raises HookFailed where that forbids it."""
        self._keep(record)
        if record.outcome is HookOutcome.COMPLETED:
            return
        if on_error is OnError.CONTINUE:
            self.warn(f"{told(record)}; its data was copied all the same")
            return
        self.say(told(record), namespaces or (record.namespace,))
        raise HookFailed(told(record))

    def _end(self, place: Place) -> None:
        """The post command, and the Lease's end. Raises nothing that can be told."""
        try:
            self._run_post(place)
        except NotOurs as error:
            # Another pod of this run, or the controller's Job, is at it.
            self._not_ended(place, f"{error.message}; what comes of it is not known here")
        except PodBusy as error:
            # It would undo what another run has quiesced.
            self._not_ended(place, f"not executed: {error.message}")
        except BackstayError as error:
            self._left_open(place, error)
        except Exception as error:  # noqa: BLE001 - the posts of other pods must run all the same
            bug = explain_unexpected(error, self._commands.reporter, ended="a hook")
            self._left_open(place, bug)

    def _run_post(self, place: Place) -> None:
        commands, leases, pod, hook = self._commands, self._leases, place.pod, place.hook
        post = place.target.hook.post
        if post is None:
            end_hook(commands, leases, pod, hook, None, self.warn)
            return
        # As it begins: what its pre command does from here on, it does not undo.
        unsure = hook.is_unsure(commands.clock.now())
        command = HookCommand(hook.command, hook.timeout)
        ended = run_post(
            commands, leases, pod, hook, command, lambda why: self._open_again(place, why), own=True
        )  # fmt: skip
        unsure = unsure and ended.started
        if not ended.seen:
            self._note(place, self._late(place))
        self._tell_end(place, ended, unsure, post.on_error)
        if place.lost and ended.record.outcome is HookOutcome.SKIPPED:
            self._end_heir(place)
        if unsure or not ended.seen or ended.record.outcome in _BAD:
            # A command that failed is told by who executes it last, whatever becomes of this run.
            self._giving.add(place.pod, place.hook)
        else:
            close_hook(commands, leases, pod, hook)

    def _open_again(self, place: Place, why: str) -> None:
        """Its Lease is gone: a post command that runs keeps others off its pod all the same.

        And whoever is killed meanwhile has left word. Raises PodBusy where another run quiesces it.
        """
        # Who ended it may have done so while the copy went on.
        self.say(f"{why}; {NOT_AT_REST}", place.namespaces)
        try:
            self._write(place, patient=True)
        except PodBusy:
            raise
        except Interrupted as error:
            raise PodBusy(error.message) from error
        except BackstayError as error:
            self._commands.reporter.warning("hook's lease not written", why=error.message)
            place.opened = False

    def _late(self, place: Place) -> datetime:
        """Until when a post command may be at work that nobody saw the end of."""
        late = self._commands.clock.now() + timedelta(seconds=place.hook.timeout) + _SLACK
        return max(late, place.hook.moment or late)

    def _end_heir(self, place: Place) -> None:
        """Its pre command may have been executed in the pod that has the name now."""
        pod = self._commands.heir_of(place.pod)
        if pod is None:
            return
        heir = replace(place, pod=pod, lost=False)
        self._write(heir)
        self._end(heir)
        self._giving.give(heir.pod)

    def _tell_end(self, place: Place, ended: Ended, unsure: bool, on_error: OnError) -> None:
        record = ended.record
        if record.outcome is HookOutcome.SKIPPED and self._quieted(record):
            # Whatever the policy says of errors: what was copied is not what it asked for.
            record = replace(record, why=f"{record.why}; {NOT_AT_REST}")
            self.say(told(record), place.namespaces)
        if ended.container and place.container and ended.container != place.container:
            why = f"container {record.container} of pod {name_of(place.pod)} was restarted"
            self.say(f"{why} after hook {record.name} (pre): {NOT_AT_REST}", place.namespaces)
        self._keep(record)
        again = "" if unsure else "; the controller executes it once more"
        whys = [f"{told(record)}{again}"] if record.outcome in _BAD else []
        whys += [once_more(record, place.hook)] if unsure else []
        if not ended.seen and not whys:
            self.warn(once_more(record, place.hook, of="one try of it"))
        for why in whys:
            if on_error is OnError.FAIL:
                self.say(why, place.namespaces)
            else:
                self.warn(why)

    def _quieted(self, post: HookRecord) -> bool:
        """Whether the pre command of the same hook and pod completed."""
        place = (post.name, post.pod, Phase.PRE, HookOutcome.COMPLETED)
        with self._lock:
            found = self._records[post.namespace]
            return place in [(one.name, one.pod, one.phase, one.outcome) for one in found]

    def _left_open(self, place: Place, error: BackstayError) -> None:
        if isinstance(error, PostLeftOpen) and error.begun:
            self._note(place, self._late(place))
        self._giving.add(place.pod, place.hook)
        if place.opened:
            why = f"not executed yet: {error.message}; the controller tries again"
        else:
            why = f"not executed: {error.message}; nobody tries again: no Lease tells of it"
        self._not_ended(place, why)

    def _not_ended(self, place: Place, why: str) -> None:
        record = HookRecord(
            name=place.hook.hook,
            namespace=place.pod.namespace,
            pod=place.pod.pod,
            container=place.target.container,
            phase=Phase.POST,
            outcome=HookOutcome.FAILED,
            why=why,
        )
        self._commands.reporter.warning(
            "hook left open", hook=record.name, namespace=record.namespace, pod=record.pod, why=why
        )
        if place.target.hook.post is None:
            return
        self._keep(record)
        self.say(told(record), place.namespaces)

    def warn(self, warning: str) -> None:
        """Puts a warning beside those of the hooks themselves."""
        with self._lock:
            self.warnings.append(warning)

    def _keep(self, record: HookRecord) -> None:
        with self._lock:
            self._records[record.namespace].append(record)

    def say(self, why: str, namespaces: Sequence[str]) -> None:
        """A reason why these namespaces are not Completed."""
        with self._lock:
            for name in namespaces:
                self._reasons[name].append(why)


def _never() -> bool:
    return False


def need_exec(execute: ports.PodExec | None) -> ports.PodExec:
    """Raises NotSupported where this process can't execute in pods."""
    if execute is None:
        raise NotSupported("hooks are executed by a run inside the cluster only")
    return execute
