"""Whether a pod may still be at work, as Kubernetes tells it. Pure.

The Job that a pod belongs to does not say so: one with a `podFailurePolicy` starts no other pod
before the last one has ended, and says for hours that it is at work while the node of that pod is
out of reach. A pod whose Node was removed is removed as well, by the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

Raw = Mapping[str, Any]
_ENDED = frozenset({"Succeeded", "Failed"})
_LATE = timedelta(minutes=1)
"""How long after its time a pod that is being deleted may still end: a kubelet is a bit late."""


def moment_of(text: object) -> datetime | None:
    """A time as Kubernetes writes it; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


def has_ended(pod: Raw) -> bool:
    """Whether its containers have; of a pod that starts none of them again."""
    status = pod.get("status") or {}
    containers = status.get("containerStatuses") or ()
    return status.get("phase") in _ENDED or (
        bool(containers) and all("terminated" in (one.get("state") or {}) for one in containers)
    )


def overdue_since(pod: Raw) -> datetime | None:
    """Since when it should have ended, where it was deleted: the grace that it got is in it."""
    return moment_of(pod["metadata"].get("deletionTimestamp"))


def is_lost(pod: Raw, now: datetime) -> bool:
    """Whether it was deleted, should have ended, and nobody can say that it has."""
    due = overdue_since(pod)
    return not has_ended(pod) and due is not None and now > due + _LATE


def is_at_work(pod: Raw | None, now: datetime) -> bool:
    """False where it is gone (None), has ended, or is lost with its node."""
    return pod is not None and not has_ended(pod) and not is_lost(pod, now)
