"""One run of a policy at a time.

The holder is ``<run id>/<pod>``. A holder whose pod is gone or has ended is dead, whatever the
Lease says: its successor need not wait. A Lease that can't be renewed is lost, and a run without
its Lease pushes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.leases import DURATION, keep_lease
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Waiting
from reconciler.model.naming import lease_name

_WAIT_FOR_PREDECESSOR = 5.0


class Busy(BackstayError):
    """Another run of the policy is at work: this one is skipped."""

    exit_code = 0
    reason = "Skipped"


def _is_dead(run: RunPorts, namespace: str, holder: str) -> bool:
    _, _, pod = holder.rpartition("/")
    if not pod:
        return False
    found = run.reader.get(kinds.PODS, pod, namespace=namespace)
    return found is None or found.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _acquire(request: RunRequest, run: RunPorts, holder: str, stopped: Callable[[], bool]) -> None:
    name = lease_name(request.policy.name)
    while True:
        held_by = run.writer.acquire_lease(request.namespace, name, holder, seconds=DURATION)
        if held_by != holder and _is_dead(run, request.namespace, held_by):
            run.reporter.event("taking over the lease of a dead run", lease=name, holder=held_by)
            held_by = run.writer.acquire_lease(
                request.namespace, name, holder, seconds=DURATION, take_from=held_by
            )
        if held_by == holder:
            return
        other, _, _ = held_by.rpartition("/")
        if other != request.run_id:
            raise Busy(
                f"policy {request.policy.name}: {other or held_by} is running",
                hint="it is left alone; the next run comes by schedule",
            )
        # Our predecessor's pod still ends: this very run goes on as soon as it is gone.
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
    request: RunRequest, run: RunPorts, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Callable[[], None]]:
    """Holds the policy's Lease; yields a check that raises LeaseLost once somebody took it.

    The check asks the cluster, so a Lease that could not be renewed for a while is not trusted.
    """
    holder = f"{request.run_id}/{request.pod}"
    name = lease_name(request.policy.name)
    _acquire(request, run, holder, stopped)
    with keep_lease(
        run.writer,
        run.reporter,
        namespace=request.namespace,
        name=name,
        holder=holder,
        lost_hint="nothing is pushed; the other run's record tells what happened",
    ) as check:
        yield check
