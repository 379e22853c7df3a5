"""What Backstay knows of a cluster: who it is, what it serves, what lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model import naming
from reconciler.model.objects import Gap, Resource


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """``uid`` is the uid of the namespace kube-system: it dies with the cluster."""

    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """Every listable kind at its preferred version, and the groups that did not answer."""

    resources: tuple[Resource, ...]
    failed: tuple[Gap, ...] = ()
    versions: tuple[Resource, ...] = ()
    """Every listable kind in every version that is served."""
    groups: frozenset[tuple[str, str]] = frozenset()
    """(group, version) of all that was told of, whether or not it has a kind that can be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A namespace as selection sees it."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False
    uid: str = ""
    created: datetime | None = field(default=None, compare=False)
    """None where nobody says, as in an inventory of Git; no decision of a run depends on it."""

    @property
    def privileged_movers(self) -> bool:
        """Whether its administrator allows movers that run as root."""
        return self.annotations.get(naming.PRIVILEGED_MOVERS) == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A persistent volume claim as selection sees it; ``size`` is its request in bytes."""

    namespace: str
    name: str
    storage_class: str = ""
    phase: str = ""
    volume_mode: str = "Filesystem"
    access_modes: tuple[str, ...] = ()
    size: int = 0
    terminating: bool = False
    restoring: str = ""
    """The run whose data an unfinished restore is putting into it."""
    uid: str = ""
    created: datetime | None = field(default=None, compare=False)
    capacity: int = field(default=0, compare=False)
    """Bytes that its volume has, which may be more; 0 where nobody says."""
    ours: bool = field(default=False, compare=False)
    """A copy that Backstay has made: nobody's data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimUser:
    """The running pod beside which a Direct mover must run, and as whom."""

    pod: str
    node: str
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    tolerations: tuple[Mapping[str, object], ...] = ()
