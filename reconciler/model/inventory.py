"""What a cluster has that policies speak of, names only: what plans without a cluster are made of.

The controller publishes it on the branch ``inventory/<cluster>``, a file per namespace, so that
a pull request can be planned by whoever may read that branch. No value of any object is in it,
and of annotations only those that Backstay itself reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.run import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTemplate:
    """A StatefulSet's claim template: every replica to come gets ``<name>-<workload>-<ordinal>``.

    ``workload`` is the StatefulSet's name, ``size`` the request in bytes.
    """

    workload: str
    name: str
    storage_class: str = ""
    size: int = 0
    replicas: int = 0
    volume_mode: str = ""
    """Empty: as the claims that it made."""
    access_modes: tuple[str, ...] = ()

    @property
    def glob(self) -> str:
        """The names of its claims."""
        return f"{self.name}-{self.workload}-*"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceInventory:
    """One namespace. ``workloads``: claim → ``StatefulSet/db``, of the pods that mount it now."""

    namespace: Namespace
    claims: tuple[Claim, ...] = ()
    users: Mapping[str, ClaimUser] = field(default_factory=dict)
    """Claim → the pod beside which a mover would run; node, pod and ids are not published."""
    workloads: Mapping[str, str] = field(default_factory=dict)
    templates: tuple[ClaimTemplate, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClass:
    """A storage class and the CSI driver (provisioner) behind it."""

    name: str
    provisioner: str
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotClass:
    """A VolumeSnapshotClass and its CSI driver."""

    name: str
    driver: str
    default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDigest:
    """A run as retention and coverage see it: when, how it ended, and of which namespaces."""

    policy: str
    run: str
    started: datetime
    outcome: Outcome
    namespaces: Mapping[str, Outcome] = field(default_factory=dict)
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Namespace → the claims whose data is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """One cluster at one moment; everything sorted by name, recovery points oldest first."""

    cluster: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taken: datetime | None = None
    """When it was last found to be so; None for one that was made from manifests."""
    revision: str = ""
    """The revision of the policies in force (``main@sha1:<hex>``)."""
    own_namespace: str = "backstay-system"
    namespaces: tuple[NamespaceInventory, ...] = ()
    storage_classes: tuple[StorageClass, ...] = ()
    snapshot_classes: tuple[SnapshotClass, ...] = ()
    points: tuple[PointDigest, ...] = ()
    older_points: Mapping[str, int] = field(default_factory=dict)
    """Policy → how many of its recovery points are not among ``points``: there were too many."""
    points_known: bool = True
    """False where nobody could read them: ``points`` is empty then, and says nothing."""

    def points_of(self, policy: str) -> tuple[PointDigest, ...]:
        """The recovery points of one policy, oldest first."""
        return tuple(point for point in self.points if point.policy == policy)
