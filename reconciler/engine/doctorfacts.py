"""What the checks of `backstay doctor` are given, and what they have found out so far.

A fact that could not be had raises `Lacking` for every check that needs it: the check is then
told as unknown, with the id of the check that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from reconciler import ports
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.controller import Cycle
from reconciler.engine.history import StoreReader
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError
from reconciler.model.policy import BackupPolicy, Repository
from reconciler.plan.doctorleftovers import Scene
from reconciler.plan.recoverypoints import RecoveryPoint

_T = TypeVar("_T")


class DoctorCluster(ports.ClusterReader, ports.ClusterProbe, Protocol):
    """A cluster that is read and asked, never written."""

    @property
    def host(self) -> str: ...


class DoctorStore(StoreReader, ports.PushProbe, Protocol):
    """A manifest store that is read and asked, never written."""


class Lacking(BackstayError):
    """A fact that an earlier check should have found out is not there."""

    reason = "Lacking"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorPorts:
    """The world of a checkup; everything is opened when it is first needed, and may fail then."""

    cluster: Callable[[], DoctorCluster]
    source: Callable[[], ports.PolicySource]
    store: Callable[[], DoctorStore]
    keyring: Callable[[], ports.Keyring]
    """Whose repositories are read without a lock."""
    program: Callable[[str], str]
    """The version of ``git`` or ``restic`` here; raises Refused without one."""
    clock: ports.Clock
    reporter: ports.Reporter
    stopped: Callable[[], bool] = lambda: False


@dataclass(slots=True)
class Facts:
    """Filled in by the checks, in their order."""

    config: Config
    ports: DoctorPorts
    namespace: str
    policy: str = ""
    """Only this policy is looked at; empty for all."""
    config_map: str = "backstay-config"
    uid: str = ""
    server: str = ""
    who: str = ""
    found_cluster: DoctorCluster | None = None
    found_store: DoctorStore | None = None
    found_cycle: Cycle | None = None
    found_branch: ClusterBranch | None = None
    found_scene: Scene | None = None
    points: dict[str, Sequence[RecoveryPoint]] = field(default_factory=dict)
    """Branch → its recovery points, of the branches that could be read."""
    branches: Mapping[str, str] | None = None

    @property
    def cluster(self) -> DoctorCluster:
        """The cluster that answered."""
        return _known(self.found_cluster, "cluster/api")

    @property
    def cycle(self) -> Cycle:
        """Policies, and the plan for the cluster where that could be read."""
        return _known(self.found_cycle, "git/policies")

    @property
    def store(self) -> DoctorStore:
        """The manifest store that could be read."""
        return _known(self.found_store, "git/manifests")

    @property
    def branch(self) -> ClusterBranch:
        """Marker and repositories of this cluster."""
        return _known(self.found_branch, "git/cluster")

    @property
    def scene(self) -> Scene:
        """What lies in the cluster."""
        return _known(self.found_scene, "leftovers/mover")

    @property
    def policies(self) -> tuple[BackupPolicy, ...]:
        """The good policies that are looked at."""
        return tuple(p for p in self.cycle.policies if self.policy in ("", p.name))

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """The Repositories of these policies."""
        names = {policy.volumes.repository for policy in self.policies}
        desired = self.cycle.desired
        found = desired.parsed.repositories if desired else ()
        return tuple(repository for repository in found if repository.name in names)


def _known(value: _T | None, check: str) -> _T:
    if value is None:
        raise Lacking("not asked: what it needs is not known", hint=f"see {check}")
    return value
