"""What of the cluster a policy's ``selector.objects`` chooses, and why all else is left out.

``matchLabels`` and ``include`` are for the objects of the selected namespaces, ``exclude`` is for
cluster-scoped kinds as well, and ``clusterScoped`` says which of those come along. Whatever is
written there, the selected Namespaces themselves come, since nothing could be put back without
them, and so do claims whose data is copied: the caller knows those, so their kind is always listed.
What `quiet` leaves out never comes.

Every reason of this module begins with the field that decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.capture import quiet, references
from reconciler.model import kinds
from reconciler.model.objects import Resource, folder_of
from reconciler.model.policy import OBJECTS_FIELD, ClusterScoped, ObjectSelector

FIELD = OBJECTS_FIELD
EXCLUDED = f"{FIELD}.exclude: "
"""Before the glob."""
NOT_NEEDED = f"{FIELD}.clusterScoped: Referenced, and nothing selected refers to it"
UNKNOWN_REFERENCE = f"{FIELD}.clusterScoped: Referenced, and no way is known to refer to this kind"
NO_CLUSTER_SCOPED = f"{FIELD}.clusterScoped: None"
OTHER_NAMESPACE = "selector.namespaces does not select it"

_ANCHORS = (
    ("", "ServiceAccount", "serviceaccounts"),
    ("", "Service", "services"),
    ("snapshot.storage.k8s.io", "VolumeSnapshot", "volumesnapshots"),
)
"""Kinds that cluster-scoped objects point at: group, kind, plural."""
_ANY = "\0" * 300
"""Stands for a kind that is not known: it is longer than a glob, so only a wildcard matches it."""


class Choice:
    """One policy's choice: the same object gets the same answer in every run."""

    def __init__(self, objects: ObjectSelector) -> None:
        self._objects = objects
        self._labels = tuple(sorted(objects.match_labels.items()))
        self._kinds: dict[Resource, str | None] = {}
        """What was answered: it is asked for each object."""

    @property
    def mode(self) -> ClusterScoped:
        """Which cluster-scoped objects come along."""
        return self._objects.cluster_scoped

    def kind_left_out(self, resource: Resource) -> str | None:
        """Why no object of the kind is captured, or None; such a kind need not be listed."""
        reason = quiet.kind_left_out(resource)
        if reason is not None:
            return reason
        if resource.folder in (kinds.NAMESPACES.folder, kinds.CLAIMS.folder):
            return None
        if resource.namespaced:
            return self._kind(*resource.names)
        if self.mode is ClusterScoped.NONE:
            return NO_CLUSTER_SCOPED
        if glob := self._objects.excluded(*resource.names):
            return _excluded(glob)
        if self.mode is ClusterScoped.REFERENCED and not references.is_candidate(resource):
            return UNKNOWN_REFERENCE
        return None

    def object_left_out(self, resource: Resource, raw: Mapping[str, Any]) -> str | None:
        """Why the policy leaves out an object of a selected namespace, or None."""
        if resource not in self._kinds:
            self._kinds[resource] = self._kind(*resource.names)
        reason = self._kinds[resource]
        if reason is not None or not self._labels:
            return reason
        labels = (raw.get("metadata") or {}).get("labels") or {}
        for key, value in self._labels:
            if labels.get(key) != value:
                return f"{FIELD}.matchLabels: {key}={value}"
        return None

    def group_left_out(self, group: str) -> bool:
        """Whether nothing of an API group would be captured, whatever kinds it has."""
        return group in quiet.LIVE_GROUPS or bool(self._objects.excluded(folder_of(group, _ANY)))

    def anchors_left_out(self) -> frozenset[str]:
        """Kinds that cluster-scoped objects point at, and of which none is captured."""
        return frozenset(
            folder_of(group, kind)
            for group, kind, plural in _ANCHORS
            if self._kind(folder_of(group, kind), folder_of(group, plural)) is not None
        )

    def _kind(self, *names: str) -> str | None:
        if glob := self._objects.excluded(*names):
            return _excluded(glob)
        if not self._objects.included(*names):
            return f"{FIELD}.include does not have it"
        return None


def _excluded(glob: str) -> str:
    return f"{EXCLUDED}{glob}"
