"""Pods in which a run has hooks open, told with who sees to them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import Refused
from reconciler.plan.finishjob import finish_name
from reconciler.plan.hooklease import HookLease, is_hook_lease, read_lease

CHECK = "leftovers/hook"
Raw = Mapping[str, Any]


def find_open(
    leases: Iterable[Raw],
    jobs: Iterable[Raw],
    *,
    namespace: str,
    alive: Collection[str],
    policy: str,
) -> Iterator[Finding]:
    """One for each pod; ``alive`` are ids of the runs at work, ``policy`` empty for all."""
    there = {str(job["metadata"]["name"]) for job in jobs}
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
        if policy in ("", lease.policy):
            yield _tell(lease, where, namespace, at_work=lease.run_id in alive, jobs=there)


def _tell(
    lease: HookLease, where: str, namespace: str, *, at_work: bool, jobs: Collection[str]
) -> Finding:
    names = ", ".join(dict.fromkeys(hook.hook for hook in lease.pod.open))
    pod = f"pod {lease.pod.namespace}/{lease.pod.pod}"
    if at_work:
        return Finding(
            id=CHECK,
            level=Level.INFO,
            where=where,
            message=f"run {lease.run_id} has hooks open in {pod}: {names}",
            hint="wait for it: it ends them itself",
        )
    job = finish_name(lease)
    logs = f"kubectl -n {namespace} logs job/{job}"
    return Finding(
        id=CHECK,
        level=Level.PROBLEM,
        where=where,
        message=f"run {lease.run_id} is over, and its hooks are still open in {pod}: {names}",
        hint=f"the controller's Job ends them: {logs}"
        if job in jobs
        else f"the controller starts the Job {job} within one interval; without a controller:"
        f" backstay run {lease.policy} --finish {lease.name}",
    )
