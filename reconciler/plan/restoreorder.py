"""In which order objects of one phase are created: what one needs of another, inside a phase.

Objects of one rank are created at the same time. Ranks follow Velero's list of priorities
(``pkg/cmd/server/config/config.go``, v1.18) where its reasons hold here: the cluster deletes a
token Secret whose service account is not there, and a ReplicaSet or a workload adopts the pods that
it finds, and makes more where it finds none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from reconciler.model.objects import folder_of
from reconciler.model.restore import RestoreStep

_LATER = 9
_RANKS = {
    "serviceaccount": 0,
    "role.rbac.authorization.k8s.io": 1,
    "clusterrole.rbac.authorization.k8s.io": 1,
    "endpoints": 0,
    "pod": 0,
    "replicaset.apps": 1,
}


def rank_of(step: RestoreStep) -> int:
    """Within a phase, lower ranks come first."""
    return _RANKS.get(folder_of(step.ref.group, step.ref.kind), _LATER)


def waves(steps: Sequence[RestoreStep], *, most: int) -> Iterator[list[RestoreStep]]:
    """Steps of one phase in groups of at most ``most``, each to be created at the same time."""
    ordered = sorted(steps, key=lambda step: (rank_of(step), step.path))
    for _, group in groupby(ordered, key=rank_of):
        alike = list(group)
        for start in range(0, len(alike), most):
            yield alike[start : start + most]
