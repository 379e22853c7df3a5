"""What the checks of `backstay doctor` are given, and what they have found out so far.

A fact that could not be had raises `Lacking` for every check that needs it: the check is then
told as unknown, with the id of the check that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from reconciler import ports
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.history import StoreReader
from reconciler.model.config import Config, Credentials
from reconciler.model.doctor import Finding, Level
from reconciler.model.errors import BackstayError, Refused
from reconciler.model.plan import Desired, Observed
from reconciler.model.policy import BackupPolicy, Repository
from reconciler.model.rights import Right
from reconciler.model.store import PolicyFiles
from reconciler.model.volumes import ResticLock, ResticSnapshot
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
    inventory: Callable[[], DoctorStore]
    """The repository of the inventory; asked for where Config has one."""
    keyring: Callable[[], ports.Keyring]
    """Whose repositories are read without a lock."""
    program: Callable[[str], str]
    """The version of ``git`` or ``restic`` here; raises Refused without one."""
    clock: ports.Clock
    reporter: ports.Reporter
    stopped: Callable[[], bool] = lambda: False
    signing: Callable[[], str] = lambda: ""
    """Reads the key that runs sign with, and says where it is; asked where Config names one."""
    is_dead: Callable[[str], bool] = lambda _: False
    """Whether a holder of a Lease is known to be dead: a process of this machine that is gone."""


@dataclass(slots=True)
class Facts:
    """Filled in by the checks, in their order."""

    config: Config
    ports: DoctorPorts
    namespace: str
    policy: str = ""
    """Only this policy is looked at; empty for all."""
    writer: str = ""
    """This program and its version, as records name their writer."""
    config_map: str = "backstay-config"
    uid: str = ""
    server: str = ""
    who: str = ""
    found_cluster: DoctorCluster | None = None
    found_server: DoctorCluster | None = None
    """One that answers, and perhaps does not say which cluster it is: that takes a right."""
    found_store: DoctorStore | None = None
    found_files: PolicyFiles | None = None
    found_desired: Desired | None = None
    found_observed: Observed | None = None
    found_branch: ClusterBranch | None = None
    found_scene: Scene | None = None
    points: dict[str, Sequence[RecoveryPoint]] = field(default_factory=dict)
    """Branch → its recovery points, of the branches that could be read."""
    at_work: frozenset[str] = frozenset()
    """Runs that were at work when branches began to be read: their records may have come later."""
    found_branches: Mapping[str, str] | None = None
    failed_branches: list[str] = field(default_factory=list)
    snapshots: dict[str, tuple[str, Sequence[ResticSnapshot]]] = field(default_factory=dict)
    """restic's id of a repository → (its place, all its snapshots), of those that opened."""
    unopened: list[str] = field(default_factory=list)
    """Places of repositories that should be there and did not open."""
    locks: list[tuple[str, ResticLock]] = field(default_factory=list)
    """(place, lock) of every restic repository that opened."""

    @property
    def cluster(self) -> DoctorCluster:
        """The cluster that answered."""
        return _known(self.found_cluster, "cluster/api")

    @property
    def api(self) -> DoctorCluster:
        """The cluster that answered, for what everybody may ask of one."""
        return _known(self.found_server, "cluster/api")

    @property
    def files(self) -> PolicyFiles:
        """The newest revision of the policy repository."""
        return _known(self.found_files, "git/policies")

    @property
    def desired(self) -> Desired:
        """What it asks for, and all its problems."""
        return _known(self.found_desired, "git/policies")

    @property
    def observed(self) -> Observed:
        """CronJobs, ConfigMaps and Jobs of Backstay's namespace."""
        return _known(self.found_observed, "policies/applied")

    @property
    def store(self) -> DoctorStore:
        """The manifest store that could be read."""
        return _known(self.found_store, "git/manifests")

    @property
    def branch(self) -> ClusterBranch:
        """Marker and repositories of this cluster."""
        return _known(self.found_branch, "git/cluster")

    @property
    def branches(self) -> Mapping[str, str]:
        """Branches of this cluster's policies and their tips."""
        return _known(self.found_branches, "git/manifests")

    @property
    def scene(self) -> Scene:
        """What lies in the cluster."""
        return _known(self.found_scene, "leftovers/mover")

    @property
    def policies(self) -> tuple[BackupPolicy, ...]:
        """The good policies that are looked at."""
        return tuple(p for p in self.desired.parsed.policies if self.policy in ("", p.name))

    @property
    def repositories(self) -> tuple[Repository, ...]:
        """The Repositories of these policies."""
        names = {policy.volumes.repository for policy in self.policies}
        found = self.desired.parsed.repositories
        return tuple(repository for repository in found if repository.name in names)


def failed(identifier: str, error: BackstayError, where: str = "") -> Finding:
    """The problem that an error is."""
    again = f"put that right, then: backstay doctor --only {identifier.partition('/')[0]}"
    return Finding(
        id=identifier,
        level=Level.PROBLEM,
        where=where,
        message=error.message,
        hint=error.hint or again,
    )


def failed_with(
    facts: Facts, identifier: str, error: BackstayError, where: str, keys: Credentials | None
) -> Finding:
    """The same for what needs a Secret: unknown where it is only we who may not read that."""
    found = failed(identifier, error, where)
    if not isinstance(error, Refused) or keys is None or not keys.secret_ref:
        return found
    right = Right(verb="get", resource="secrets", name=keys.secret_ref, namespace=facts.namespace)
    try:
        if facts.found_cluster is None or facts.found_cluster.may(right).allowed:
            return found
    except BackstayError:
        return found
    return replace(
        found,
        level=Level.UNKNOWN,
        message=f"you may not read Secret {facts.namespace}/{keys.secret_ref}",
        hint="ask somebody who may, or give Config on this machine a `file:` or `env:` for it",
    )


def _known(value: _T | None, check: str) -> _T:
    if value is None:
        raise Lacking("not asked: what it needs is not known", hint=f"see {check}")
    return value
