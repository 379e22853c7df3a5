"""Ends hooks that a run has left open because it was killed (invariant I5).

Three look for them. The next pod of the same run, and the next run of the policy, do before they
begin: they hold the policy's Lease. For a run that nobody goes on with, the controller starts one
Job within a cycle (`engine.finishjobs`). Whoever it is takes the pod's Lease from its dead holder,
and of two only one gets it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from reconciler import ports
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.hookleases import HookLeases, NotOurs
from reconciler.engine.hooks import Commands, end_hook, told
from reconciler.engine.patience import Patience, insist
from reconciler.engine.quiescing import make_commands, make_leases
from reconciler.engine.runlease import is_of_run
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Transient, Waiting
from reconciler.model.hooks import HookCommand, HookOutcome, HookRecord
from reconciler.plan.finishjob import POST_FAILED
from reconciler.plan.hooklease import HookLease

_PATIENCE = timedelta(minutes=15)
"""How long the pod of a run that is over is waited for: it may be ending its hooks itself."""
_POLL = 2.0


class PostFailed(BackstayError):
    """Nothing is open any more, but a post command failed: its pod may still be quiesced."""

    reason = "PostFailed"
    exit_code = POST_FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Finisher:
    """Takes Leases from dead holders and ends what is open there."""

    leases: HookLeases
    commands: Commands
    reader: ports.ClusterReader

    def is_dead(self, holder: str) -> bool:
        """Whether the pod of a holder has ended or is gone; in Backstay's own namespace."""
        pod = holder.rpartition("/")[2]
        if not pod:
            return True
        found = self.reader.get(kinds.PODS, pod, namespace=self.leases.namespace)
        return found is None or (found.get("status") or {}).get("phase") in ("Succeeded", "Failed")

    def finish(self, lease: HookLease) -> tuple[tuple[HookRecord, ...], tuple[str, ...]]:
        """(what came of its post commands in the reverse of their order, why some are still open).

        Nothing of both where another was faster. Its holder must be dead.
        """
        reporter = self.commands.reporter
        mine = self.leases.take(lease)
        if mine is None:
            return (), ()
        where = {"namespace": mine.pod.namespace, "pod": mine.pod.pod, "run": mine.run_id}
        reporter.warning("ending the hooks of a dead run", **where, lease=mine.name)
        records: list[HookRecord] = []
        left: list[str] = []
        for hook in reversed(mine.pod.open):
            command = HookCommand(hook.command, hook.timeout) if hook.command else None
            try:
                record = end_hook(self.commands, self.leases, mine.pod, hook, command)
            except NotOurs:
                break
            except BackstayError as error:
                reporter.warning("hook left open", **where, hook=hook.hook, why=error.message)
                left.append(f"hook {hook.hook}: {error.message}")
                continue
            records += [record] if record is not None else []
        return tuple(records), tuple(left)


def finish_left(request: RunRequest, run: RunPorts, stopped: Callable[[], bool]) -> tuple[str, ...]:
    """What pods before this one have left open, for whoever holds the policy's Lease.

    Returns what people should know. A failure here is none of the run: a pod that stays quiesced
    is waited for when its turn comes.
    """
    if not request.compiled.policy.hooks:
        return ()
    reporter = run.reporter
    finisher = Finisher(
        leases=make_leases(request, run), commands=make_commands(run), reader=run.reader
    )
    patience = Patience(
        what="looking for open hooks",
        clock=run.clock,
        reporter=reporter,
        deadline=request.deadline,
        stopped=stopped,
    )
    warnings: list[str] = []

    def unreadable(error: BackstayError) -> None:
        reporter.warning("hook's lease not understood", why=error.message, hint=error.hint)
        warnings.append(error.message)

    for lease in insist(lambda: finisher.leases.list(unreadable), patience):
        if lease.policy != request.policy.name:
            continue
        try:
            if insist(functools.partial(finisher.is_dead, lease.holder), patience):
                warnings += _warn(lease, request.run_id, *finisher.finish(lease))
        except Interrupted:
            raise
        except BackstayError as error:
            reporter.warning("hooks of a dead run left open", lease=lease.name, why=error.message)
            warnings.append(f"Lease {lease.name}: {error.message}")
    return tuple(warnings)


def _warn(
    lease: HookLease, run_id: str, records: tuple[HookRecord, ...], left: tuple[str, ...]
) -> list[str]:
    pod = f"pod {lease.pod.namespace}/{lease.pod.pod}"
    warnings = [f"{pod} is still quiesced by run {lease.run_id}: {why}" for why in left]
    warnings += [f"of run {lease.run_id}: {why}" for why in _failed(records)]
    if not warnings and not is_of_run(lease.holder, run_id):
        warnings = [f"{pod} was left quiesced by run {lease.run_id}; its hooks were ended now"]
    return warnings


def _failed(records: tuple[HookRecord, ...]) -> list[str]:
    bad = (HookOutcome.FAILED, HookOutcome.TIMED_OUT)
    return [told(record) for record in records if record.outcome in bad]


def finish_lease(name: str, finisher: Finisher, stopped: Callable[[], bool]) -> None:
    """What the controller's Job does. Returns when nothing is open there any more.

    Raises Waiting where the run is not dead, Transient where something had to be left open,
    PostFailed where a command failed: its end is known, so it is not executed again.
    """
    clock, reporter = finisher.commands.clock, finisher.commands.reporter
    until = clock.now() + _PATIENCE
    patience = Patience(
        what=f"reading Lease {name}", clock=clock, reporter=reporter, deadline=until,
        stopped=stopped,
    )  # fmt: skip
    while True:
        lease = insist(lambda: finisher.leases.find(name), patience)
        if lease is None:
            reporter.event("nothing is open", lease=name)
            return
        holder = lease.holder
        if insist(functools.partial(finisher.is_dead, holder), patience):
            records, left = finisher.finish(lease)
            failed = _failed(records)
            if left:
                why = "; ".join([*left, *failed])
                raise Transient(why, hint="it is tried again; backstay doctor lists it")
            if failed:
                hint = "look into the pod: it may still be quiesced; nothing ends that by itself"
                raise PostFailed("; ".join(failed), hint=hint)
        elif clock.now() >= until:
            raise Waiting(
                f"pod {holder.rpartition('/')[2]} still holds Lease {name}",
                hint="look at that pod: it ends its hooks itself",
            )
        else:
            reporter.event("waiting for the pod of the run", lease=name, holder=holder)
            clock.sleep(_POLL)
        if stopped():
            raise Interrupted("stopped while hooks of a dead run are open")
