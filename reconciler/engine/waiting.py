"""Bundles that wait in any repository of `_cluster`, by policy: what `backstay deliver` plans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler import ports
from reconciler.engine.bundling import Waiting, waiting_in
from reconciler.engine.clusterbranch import ClusterBranch
from reconciler.engine.restoresource import open_repository
from reconciler.model.errors import BackstayError, Interrupted, Refused
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import RepositoryEntry, RepositoryRef


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBundles:
    """Those of one policy in one repository, oldest run first; never empty."""

    policy: str
    url: str
    backend: ports.VolumeBackend
    waiting: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unasked:
    """A repository that could not be opened or asked: what waits there is not known."""

    url: str
    error: BackstayError


def find_bundles(
    keyring: ports.Keyring, branch: ClusterBranch, cluster: str, policy: str = ""
) -> Iterator[PolicyBundles | Unasked]:
    """Asks each repository of `_cluster` that a run ever made; one question each.

    One that can't be asked is in no other's way. Raises Refused before the first run.
    """
    entries = [entry for entry in branch.entries if entry.namespace == CLUSTER_NAMESPACE]
    if not entries:
        raise Refused(
            f"no run of cluster {cluster} ever made a repository of {CLUSTER_NAMESPACE}",
            hint="nothing can wait there; the name is cluster.name in Config",
        )
    for entry in entries:
        try:
            yield from _ask(keyring, entry, cluster, policy)
        except Interrupted:
            raise
        except BackstayError as error:
            yield Unasked(url=entry.url, error=error)


def _ask(
    keyring: ports.Keyring, entry: RepositoryEntry, cluster: str, policy: str
) -> list[PolicyBundles]:
    ref = RepositoryRef(name=entry.repository, url=entry.url, id=entry.id, secret=entry.secret)
    backend = keyring.backend(open_repository(keyring, ref, CLUSTER_NAMESPACE))
    waiting = waiting_in(backend, cluster, policy)
    return [
        PolicyBundles(
            policy=name,
            url=entry.url,
            backend=backend,
            waiting=tuple(one for one in waiting if one.policy == name),
        )
        for name in sorted({one.policy for one in waiting})
    ]
