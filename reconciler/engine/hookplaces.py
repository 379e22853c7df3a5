"""One hook in one pod, on its way from its Lease to its post command, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.hooks import HookOutcome, HookRecord, OnError, Phase
from reconciler.plan.hooklease import OpenHook, QuietPod
from reconciler.plan.hooks import HookTarget


@dataclass(slots=True, kw_only=True)
class Place:
    """It changes as its run goes on; one thread has it."""

    target: HookTarget
    pod: QuietPod
    hook: OpenHook
    namespaces: tuple[str, ...]
    """Whose data it is for."""
    opened: bool = False
    """Its Lease says that it is open."""
    begun: bool = False
    """Its pre command may have been started, or its turn came and it has none."""
    container: str = ""
    """The id of the container in which its pre command completed."""
    lost: bool = False
    """Nobody knows in which pod of this name its pre command was executed."""


def place_of(target: HookTarget, namespaces: tuple[str, ...]) -> Place:
    """Where nothing was done yet; for the target's own namespace where none is given."""
    post = target.hook.post
    return Place(
        target=target,
        pod=QuietPod(namespace=target.namespace, pod=target.pod, uid=target.uid),
        hook=OpenHook(
            hook=target.hook.name,
            container=target.container,
            command=post.command if post else (),
            timeout=post.timeout if post else 0,
        ),
        namespaces=namespaces or (target.namespace,),
    )


def name_of(pod: QuietPod) -> str:
    """``namespace/pod``."""
    return f"{pod.namespace}/{pod.pod}"


def once_more(record: HookRecord, hook: OpenHook, of: str = "its pre command") -> str:
    """A post command that was executed too early, as a sentence; ``of`` what may be at work."""
    return (
        f"hook {record.name} (post) in pod {record.namespace}/{record.pod} runs once more at"
        f" {hook.until}: nobody saw the end of {of}"
    )


def skipped(target: HookTarget, phase: Phase, why: str) -> HookRecord:
    """The record of a command that was not started."""
    return HookRecord(
        name=target.hook.name,
        namespace=target.namespace,
        pod=target.pod,
        container=target.container,
        phase=phase,
        outcome=HookOutcome.SKIPPED,
        why=why,
    )


def error_means(target: HookTarget) -> OnError:
    """What it means that the hook could not begin."""
    command = target.hook.pre or target.hook.post
    return command.on_error if command else OnError.FAIL
