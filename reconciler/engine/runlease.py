"""One run of a policy at a time.

The holder is ``<run id>/<pod>``. A holder whose pod is gone or has ended is dead, whatever the
Lease says: its successor need not wait. A Lease that can't be renewed is lost, and a run without
its Lease pushes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.leases import DURATION, RENEW_EVERY, keep_lease
from reconciler.engine.patience import Patience, insist
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Waiting
from reconciler.model.naming import lease_name

_WAIT_FOR_PREDECESSOR = 5.0
_OVER = frozenset({"FailureTarget", "Failed"})
"""Conditions of a Job that starts no other pod: it fails once its last one has ended, or has."""


class Busy(BackstayError):
    """Another run of the policy is at work: this one is skipped."""

    exit_code = 0
    reason = "Skipped"


@dataclass(frozen=True, slots=True)
class HeldLease:
    """The policy's Lease. ``dead`` is the run that died holding it; empty where none did."""

    check: Callable[[], None]
    """Raises LeaseLost once somebody else took it."""
    dead: str = ""
    lost: Callable[[], bool] = lambda: False
    """Whether somebody else was seen to have it; asks nobody."""


def holder_of(request: RunRequest) -> str:
    """How a pod of a run signs its Leases."""
    return f"{request.run_id}/{request.pod}"


def acquire(
    request: RunRequest, run: RunPorts, name: str, *, seconds: int, proven: bool = False
) -> tuple[str, str]:
    """(who has the Lease now, the dead holder that it was taken from; empty where none was).

    A holder is dead when its pod has ended; or is gone, unless that must be ``proven``: a pod that
    was removed by force from a node out of reach may still work there.
    """
    holder = holder_of(request)
    held_by = run.writer.acquire_lease(request.namespace, name, holder, seconds=seconds)
    if held_by == holder or not is_dead(run, request.namespace, held_by, proven=proven):
        return held_by, ""
    run.reporter.event("taking over the lease of a dead run", lease=name, holder=held_by)
    now = run.writer.acquire_lease(
        request.namespace, name, holder, seconds=seconds, take_from=held_by
    )
    return now, held_by if now == holder else ""


def release_of_dead(request: RunRequest, run: RunPorts, name: str, holder: str) -> None:
    """Frees a Lease that a dead ``holder`` still has, where its pod proves that it is dead."""
    if holder and is_dead(run, request.namespace, holder, proven=True):
        run.writer.release_lease(request.namespace, name, holder)


def is_of_run(holder: str, run_id: str) -> bool:
    """Whether a holder is a pod of this run."""
    return holder.rpartition("/")[0] == run_id


def job_is_over(request: RunRequest, run: RunPorts) -> bool:
    """Whether no other pod can go on with this run; False where nobody says."""
    if not request.job:
        return False
    try:
        job = run.reader.get(kinds.JOBS, request.job, namespace=request.namespace)
    except BackstayError as error:
        run.reporter.warning("job not asked for", job=request.job, why=error.message)
        return False
    if job is None or "deletionTimestamp" in job["metadata"]:
        return True
    return any(
        condition.get("type") in _OVER and condition.get("status") == "True"
        for condition in (job.get("status") or {}).get("conditions") or ()
    )


def is_dead(run: RunPorts, namespace: str, holder: str, *, proven: bool) -> bool:
    """Whether the pod of a holder has ended; or is gone, unless it must be ``proven``."""
    _, _, pod = holder.rpartition("/")
    if not pod:
        return False
    found = run.reader.get(kinds.PODS, pod, namespace=namespace)
    if found is None:
        return not proven
    return found.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _holder(request: RunRequest, run: RunPorts, name: str) -> str:
    """Who took the Lease last and did not give it back, also if its time is over."""
    found = run.reader.get(kinds.LEASES, name, namespace=request.namespace) or {}
    return str(found.get("spec", {}).get("holderIdentity") or "")


def _wait_for(request: RunRequest, run: RunPorts, stopped: Callable[[], bool]) -> str:
    """Returns the dead holder that the policy's Lease was taken from, if it was."""
    name = lease_name(request.policy.name)
    patience = Patience(
        what=f"taking the Lease {name}",
        clock=run.clock,
        reporter=run.reporter,
        deadline=request.deadline,
        stopped=stopped,
    )
    told = False
    while True:
        before = insist(lambda: _holder(request, run, name), patience)
        held_by, dead = insist(lambda: acquire(request, run, name, seconds=DURATION), patience)
        if held_by == holder_of(request):
            if before and not dead and before != held_by:
                # Nobody renewed it, and nobody gave it back: its holder is as dead.
                dead = before
                run.reporter.event("taking over the lease of a dead run", lease=name, holder=dead)
            return dead
        other, _, _ = held_by.rpartition("/")
        if other != request.run_id:
            raise Busy(
                f"policy {request.policy.name}: {other or held_by} is running",
                hint="it is left alone; the next run comes by schedule",
            )
        # Our predecessor's pod still ends: this very run goes on as soon as it is gone.
        if not told:
            told = True
            run.reporter.event("waiting for the pod before this one", lease=name, holder=held_by)
        if run.clock.now() >= request.deadline:
            raise Waiting(
                f"pod {held_by.rpartition('/')[2]} of this very run still holds the Lease {name}",
                hint="look at that pod; the run ends with it",
            )
        if stopped():
            raise Interrupted("stopped while the pod before this one ends")
        run.clock.sleep(_WAIT_FOR_PREDECESSOR)


@contextmanager
def hold_lease(
    request: RunRequest,
    run: RunPorts,
    stopped: Callable[[], bool] = lambda: False,
    *,
    every: float = RENEW_EVERY,
) -> Iterator[HeldLease]:
    """Holds the policy's Lease; raises Busy where another run of the policy lives.

    The check asks the cluster, so a Lease that could not be renewed for a while is not trusted.
    """
    holder = holder_of(request)
    lost = threading.Event()
    dead = _wait_for(request, run, stopped)
    with keep_lease(
        run.writer,
        run.reporter,
        namespace=request.namespace,
        name=lease_name(request.policy.name),
        holder=holder,
        lost_hint="nothing is pushed; the other run's record tells what happened",
        # A run that was told to end leaves its name: should nobody go on, the next run tells of it.
        leave_on=(Interrupted,),
        on_lost=lost.set,
        every=every,
    ) as check:
        yield HeldLease(check, dead, lost.is_set)
