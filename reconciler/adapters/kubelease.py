"""Leases (coordination.k8s.io/v1): who may do it now, decided by compare-and-swap.

The decisions are pure; the loop around them reads, decides and writes with the resourceVersion it
read, so of two callers one loses, reads again and sees the other. Expiry is told by this machine's
clock against the holder's ``renewTime``: clocks of a cluster may differ by less than the lease's
length, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model import naming
from reconciler.model.errors import Transient

Swap = Callable[[dict[str, Any]], bool]
"""Writes an object under the resourceVersion it carries (none: creates); False: lost the race."""

_TRIES = 10


def acquire(
    get: Callable[[], dict[str, Any] | None],
    swap: Swap,
    now: Callable[[], datetime],
    *,
    namespace: str,
    name: str,
    holder: str,
    seconds: int,
    take_from: str,
) -> str:
    """The loop of `reconciler.ports.ClusterWriter.acquire_lease`; raises Transient if it can't."""
    for _ in range(_TRIES):
        lease = get()
        moment = now()
        held = held_by(lease, moment)
        if held not in {"", holder, take_from}:
            return held
        wanted = taken(
            lease, moment, namespace=namespace, name=name, holder=holder, seconds=seconds
        )
        if swap(wanted):
            return holder
    raise Transient(f"lease {namespace}/{name}: lost {_TRIES} races for it in a row")


def release(get: Callable[[], dict[str, Any] | None], swap: Swap, *, holder: str) -> None:
    """Frees the lease if ``holder`` has it; a lost race is looked at again."""
    for _ in range(_TRIES):
        lease = get()
        if lease is None or _spec(lease).get("holderIdentity") != holder:
            return
        if swap(freed(lease)):
            return
    raise Transient(f"lease held by {holder}: lost {_TRIES} races while giving it back")


def held_by(lease: Mapping[str, Any] | None, now: datetime) -> str:
    """The holder, or "" when there is none or its time is over."""
    spec = _spec(lease or {})
    holder = str(spec.get("holderIdentity") or "")
    renewed = parse_micro_time(spec.get("renewTime"))
    if not holder or renewed is None:
        return ""
    length = timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))
    return holder if now < renewed + length else ""


def taken(
    lease: Mapping[str, Any] | None,
    now: datetime,
    *,
    namespace: str,
    name: str,
    holder: str,
    seconds: int,
) -> dict[str, Any]:
    """The lease as ``holder`` writes it: renewed if it was theirs, else taken over."""
    moment = render_micro_time(now)
    spec = dict(_spec(lease or {}))
    if spec.get("holderIdentity") != holder:
        spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (1 if lease else 0)
        spec["acquireTime"] = moment
    spec |= {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": moment}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": naming.labels("lease"),
    }
    if lease is not None:
        metadata = dict(lease["metadata"])
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": spec,
    }


def freed(lease: Mapping[str, Any]) -> dict[str, Any]:
    """The lease without a holder; ``leaseTransitions`` is kept, so takeovers stay countable."""
    spec = {key: value for key, value in _spec(lease).items() if key == "leaseTransitions"}
    return {**lease, "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}


def render_micro_time(moment: datetime) -> str:
    """``metav1.MicroTime``: ``2026-11-21T04:17:03.123456Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_micro_time(text: object) -> datetime | None:
    """A MicroTime; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _spec(lease: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = lease.get("spec")
    return spec if isinstance(spec, Mapping) else {}
