"""Bundles that wait in any repository of `_cluster`, by policy: what `backstay deliver` plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler import ports
from reconciler.engine.bundling import Waiting, waiting_in
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.restoresource import open_repository
from reconciler.model.errors import Refused
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import RepositoryRef


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundles:
    """Those of one policy in one repository, oldest run first; never empty."""

    policy: str
    url: str
    backend: ports.VolumeBackend
    waiting: tuple[Waiting, ...]


def find_bundles(
    keyring: ports.Keyring, branch: ClusterBranch, cluster: str, policy: str = ""
) -> Iterator[PolicyBundles]:
    """Asks each repository of `_cluster` that a run ever made; one question each.

    Raises Refused before the first run, and what opening raises: what is not known is not "none".
    """
    entries = [entry for entry in branch.entries if entry.namespace == CLUSTER_NAMESPACE]
    if not entries:
        raise Refused(
            f"no run of cluster {cluster} ever made a repository of {CLUSTER_NAMESPACE}",
            hint="nothing can wait there; the name is cluster.name in Config",
        )
    for entry in entries:
        ref = RepositoryRef(name=entry.repository, url=entry.url, id=entry.id, secret=entry.secret)
        backend = keyring.backend(open_repository(keyring, ref, CLUSTER_NAMESPACE))
        found = waiting_in(backend, cluster, policy)
        for name in sorted({one.policy for one in found}):
            mine = tuple(one for one in found if one.policy == name)
            yield PolicyBundles(policy=name, url=entry.url, backend=backend, waiting=mine)
