"""Post commands, and the end of a Lease (invariant I5)."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.engine.hookcommands import AWAY_AFTER, Commands, Ended
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.patience import insist
from reconciler.model.hooks import HookCommand, HookRecord, Phase
from reconciler.plan.hooklease import OpenHook, QuietPod

Warn = Callable[[str], object]


def run_post(
    commands: Commands,
    leases: HookLeases,
    pod: QuietPod,
    hook: OpenHook,
    command: HookCommand,
    warn: Warn,
    *,
    own: bool = False,
) -> Ended:
    """Executes an open hook's post command; the hook stays open.

    Where its Lease is gone it is executed all the same, which ``warn`` hears before: twice is
    better than never, but whoever ended it may have done so at any time since its pre command.
    Raises NotOurs where another sees to it, what ``warn`` does, and what keeps it from running.
    ``own``: it was opened by whoever asks, and not by a run that is dead.
    """
    _check(commands, leases, pod, hook, warn, own=own)
    return commands.run(pod, hook, command, Phase.POST, lambda: False)


def end_hook(
    commands: Commands,
    leases: HookLeases,
    pod: QuietPod,
    hook: OpenHook,
    command: HookCommand | None,
    warn: Warn = lambda _: None,
) -> HookRecord | None:
    """Executes an open hook's post command, if it has one, and then closes it for good.

    For where nothing overtakes that any more (`OpenHook.is_unsure`). Raises as `run_post`.
    """
    if command is None:
        _check(commands, leases, pod, hook, warn)
        close_hook(commands, leases, pod, hook)
        return None
    record = run_post(commands, leases, pod, hook, command, warn).record
    close_hook(commands, leases, pod, hook)
    return record


def close_hook(commands: Commands, leases: HookLeases, pod: QuietPod, hook: OpenHook) -> None:
    """Closes it, for a while also against an API server that is away."""
    patience = commands.patience(f"closing hook {hook.hook} in {_name(pod)}", AWAY_AFTER)
    insist(lambda: leases.close(pod, hook), patience)


def _check(
    commands: Commands,
    leases: HookLeases,
    pod: QuietPod,
    hook: OpenHook,
    warn: Warn,
    *,
    own: bool = False,
) -> None:
    patience = commands.patience(f"ending hook {hook.hook} in {_name(pod)}", AWAY_AFTER)
    if insist(lambda: leases.check(pod, hook, own=own), patience):
        return
    lease = f"Lease {leases.namespace}/{pod.lease}"
    why = f"somebody deleted {lease} or ended what was open in it"
    where = {"hook": hook.hook, "namespace": pod.namespace, "pod": pod.pod}
    commands.reporter.warning("hook's lease is gone", **where, why=why)
    warn(f"{why}, of hook {hook.hook} in pod {_name(pod)}")


def _name(pod: QuietPod) -> str:
    return f"{pod.namespace}/{pod.pod}"
