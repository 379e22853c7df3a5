"""Pods in which a run has hooks open, told with who sees to them, and posts that failed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused
from reconciler.plan.finishjob import finish_name
from reconciler.plan.finishturns import find_failed, find_turn, is_held
from reconciler.plan.hooklease import HookLease, is_hook_lease, is_process, read_lease

CHECK = "leftovers/hook"
Raw = Mapping[str, Any]


def find_open(
    leases: Iterable[Raw],
    jobs: Sequence[Raw],
    pods: Sequence[Raw],
    *,
    namespace: str,
    now: datetime,
    dead: Collection[str] = (),
    policy: str = "",
) -> Iterator[Finding]:
    """One for each pod, and for each pod and each Job in which a post command failed.

    ``jobs`` and ``pods`` are those of Backstay's ``namespace``, ``dead`` holders that are known to
    be, ``policy`` empty for all.
    """
    for raw in leases:
        if not is_hook_lease(raw):
            continue
        where = f"Lease {namespace}/{raw['metadata']['name']}"
        try:
            lease = read_lease(raw)
        except Refused as error:
            yield Finding(
                id=CHECK, level=Level.WARNING, where=where, message=error.message, hint=error.hint
            )
            continue
        if policy not in ("", lease.policy):
            continue
        if lease.failed:
            yield _failed(lease, where, namespace)
        if lease.is_over:
            continue
        if lease.holder not in dead and is_held(lease, pods, now):
            yield _held(lease, where)
            if lease.given:
                yield _given(lease, where, _way_on(lease, jobs, pods, namespace, now))
        else:
            yield _dead(lease, where, namespace, _way_on(lease, jobs, pods, namespace, now))
    for one in find_failed(jobs):
        if policy in ("", one.policy):
            yield Finding(
                id=CHECK,
                level=Level.PROBLEM,
                where=f"Job {namespace}/{one.job}",
                message=f"a post command failed in pod {one.pod}, which run {one.run_id} had left"
                " quiesced: it may still be",
                hint=f"kubectl -n {namespace} logs job/{one.job}; nothing executes it again: look"
                f" into that pod, and then kubectl -n {namespace} delete job {one.job}",
            )


def _names(lease: HookLease) -> str:
    return ", ".join(dict.fromkeys(hook.hook for hook in lease.pod.open if not hook.failed))


def _failed(lease: HookLease, where: str, namespace: str) -> Finding:
    return Finding(
        id=CHECK,
        level=Level.PROBLEM,
        where=where,
        message=f"pod {lease.pod.namespace}/{lease.pod.pod} may still be quiesced by run"
        f" {lease.run_id}: {'; '.join(hook.failed for hook in lease.failed)}",
        hint="nothing executes that again: look into that pod; the next run of policy"
        f" {lease.policy} records it and removes this, or so do you:"
        f" kubectl -n {namespace} delete lease {lease.name}"
        if lease.is_over
        else "nothing executes that again: look into that pod",
    )


def _held(lease: HookLease, where: str) -> Finding:
    pod = f"pod {lease.pod.namespace}/{lease.pod.pod}"
    own = lease.holder.startswith(f"{lease.run_id}/")
    return Finding(
        id=CHECK,
        level=Level.INFO,
        where=where,
        message=f"run {lease.run_id} has hooks open in {pod}: {_names(lease)}"
        if own
        else f"{lease.who} ends the hooks that run {lease.run_id} left open in {pod}:"
        f" {_names(lease)}",
        hint=f"wait for {lease.who}: it ends them itself",
    )


def _given(lease: HookLease, where: str, way_on: str) -> Finding:
    names = ", ".join(dict.fromkeys(hook.hook for hook in lease.given))
    return Finding(
        id=CHECK,
        level=Level.PROBLEM,
        where=where,
        message=f"run {lease.run_id} could not end hooks in pod"
        f" {lease.pod.namespace}/{lease.pod.pod}: {names}",
        hint=way_on.partition("; without a controller")[0],
    )


def _dead(lease: HookLease, where: str, namespace: str, way_on: str) -> Finding:
    gone = f"{lease.who} of {namespace} is gone"
    if not (lease.holder_pod or is_process(lease.holder)):
        # Its run has executed them once: a pre command may be at work that overtakes that.
        gone = "nobody has begun to end them for good"
    return Finding(
        id=CHECK,
        level=Level.PROBLEM,
        where=where,
        message=f"hooks of run {lease.run_id} are still open in pod"
        f" {lease.pod.namespace}/{lease.pod.pod}: {_names(lease)}; {gone}",
        hint=way_on,
    )


def _way_on(
    lease: HookLease, jobs: Sequence[Raw], pods: Sequence[Raw], namespace: str, now: datetime
) -> str:
    turn = find_turn(lease, jobs, pods, now)
    job = finish_name(lease, turn.number)
    if turn.at_work:
        return f"the controller's Job ends them: kubectl -n {namespace} logs job/{job}"
    by_hand = f"backstay run {lease.policy} --finish {lease.name}"
    if turn.is_due(now) or turn.due is None:
        when = f"the controller starts the Job {job} within one interval"
    else:
        when = f"the controller starts the Job {job} after {turn.due.astimezone(UTC):%H:%M} UTC"
    if turn.before:
        logs = f"kubectl -n {namespace} logs job/{turn.before}"
        when = f"Job {turn.before} failed: {turn.why} ({logs}); {when}"
    return f"{when}; without a controller: {by_hand}"
