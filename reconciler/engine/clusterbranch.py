"""The cluster's own branch: who writes here, and every restic repository ever initialised.

Both are what a later loss is recognised by. A cluster with another uid than the marker's is a
rebuilt or a copied one: it writes nothing until a person says `backstay adopt`, because an empty
new cluster must not become the latest recovery point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler import ports
from reconciler.capture import paths, record
from reconciler.engine.context import cluster_branch
from reconciler.engine.history import StoreReader
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.errors import ForeignCluster, PushRejected, RepositoryLost, Transient
from reconciler.model.run import Adoption, ClusterMarker, RepositoryEntry
from reconciler.model.store import FileChange, Write

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class ClusterBranch:
    """The branch as it was read; ``tip`` and ``marker`` are None before the first run."""

    tip: str | None
    marker: ClusterMarker | None
    entries: tuple[RepositoryEntry, ...]

    def entry(self, repository: str, namespace: str) -> RepositoryEntry | None:
        """What was recorded for this (Repository, namespace), if a run ever initialised it."""
        for found in self.entries:
            if (found.repository, found.namespace) == (repository, namespace):
                return found
        return None


def load_cluster_branch(store: StoreReader, cluster: str) -> ClusterBranch:
    """Reads marker and repositories; raises on files that can't be read."""
    tip = store.tip(cluster_branch(cluster))
    if tip is None:
        return ClusterBranch(None, None, ())
    files = store.read(tip, [paths.MARKER_PATH, paths.REPOSITORIES_PATH])
    marker = files.get(paths.MARKER_PATH)
    entries = files.get(paths.REPOSITORIES_PATH)
    return ClusterBranch(
        tip,
        record.parse_cluster(marker) if marker is not None else None,
        record.parse_repositories(entries) if entries is not None else (),
    )


def open_cluster_branch(
    store: ports.ManifestStore, cluster: str, identity: ClusterIdentity
) -> ClusterBranch:
    """The branch of this cluster, or of nobody yet; raises ForeignCluster if it is another's."""
    hint = f"if this cluster replaces it, say so once: backstay adopt (cluster {cluster})"
    branch = load_cluster_branch(store, cluster)
    others = () if branch.marker else sorted(store.branches(f"clusters/{cluster}/"))
    if others:
        # Another policy's first run may have begun since: it writes the marker before its branch.
        branch = load_cluster_branch(store, cluster)
    if branch.marker is None and others:
        raise ForeignCluster(
            f"branches of cluster {cluster} exist ({', '.join(others[:3])}), but the"
            f" marker on {cluster_branch(cluster)} is missing",
            hint=hint,
        )
    if branch.marker is not None and branch.marker.uid != identity.uid:
        raise ForeignCluster(
            f"the manifest store was written by cluster {cluster} with uid {branch.marker.uid},"
            f" and this one has uid {identity.uid}; nothing was written",
            hint=hint,
        )
    return branch


def adopt_cluster(
    store: ports.ManifestStore, cluster: str, identity: ClusterIdentity, *, now: datetime, by: str
) -> ClusterMarker:
    """Writes the marker with this cluster's uid; the old ones stay in its history."""
    for _ in range(_ATTEMPTS):
        branch = load_cluster_branch(store, cluster)
        if branch.marker is not None and branch.marker.uid == identity.uid:
            return branch.marker
        marker = _marked(branch.marker, cluster, identity.uid, now, by)
        message = f"Adopt cluster {cluster}\n\nIts uid is {identity.uid} from now on.\n"
        if _try_save(store, cluster, branch, (_marker_file(marker),), message, now):
            return marker
    raise Transient(f"{cluster_branch(cluster)} moves too fast", hint="try again")


def remember_repositories(
    store: ports.ManifestStore,
    cluster: str,
    identity: ClusterIdentity,
    entries: Iterable[RepositoryEntry],
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Records repositories (and, on the first run, the marker) before anything is stored in them.

    Idempotent; runs of several policies may do it at the same time.
    """
    wanted = tuple(entries)
    for _ in range(_ATTEMPTS):
        branch = load_cluster_branch(store, cluster)
        check_cluster_uid(branch, cluster, identity)
        missing = [new for new in wanted if not _is_known(branch, new)]
        files: list[FileChange] = []
        if branch.marker is None:
            files.append(_marker_file(_marked(None, cluster, identity.uid, now, "")))
        if missing:
            merged = (*branch.entries, *missing)
            files.append(Write(paths.REPOSITORIES_PATH, record.render_repositories(merged)))
        if not files:
            return
        names = ", ".join(f"{new.repository}/{new.namespace}" for new in missing) or "none"
        message = f"Record what {run_id} set up\n\nRestic repositories: {names}\n"
        if _try_save(store, cluster, branch, tuple(files), message, now):
            return
    raise Transient(f"{cluster_branch(cluster)} moves too fast", hint="run again")


def _is_known(branch: ClusterBranch, new: RepositoryEntry) -> bool:
    """Raises RepositoryLost where another run has meanwhile recorded another one in its place."""
    known = branch.entry(new.repository, new.namespace)
    if known is not None and known.id != new.id:
        raise RepositoryLost(
            f"repository {new.repository} at {new.url} has id {new.id}, and {known.first_run}"
            f" recorded {known.id} meanwhile",
            hint="two runs saw two repositories: do they use the same URL and storage?",
        )
    return known is not None


def check_cluster_uid(branch: ClusterBranch, cluster: str, identity: ClusterIdentity) -> None:
    """The part of `open_cluster_branch` that a race can change."""
    if branch.marker is not None and branch.marker.uid != identity.uid:
        raise ForeignCluster(
            f"another cluster took over the branches of {cluster} meanwhile (uid"
            f" {branch.marker.uid})",
            hint="two clusters use the same name: give each its own in Config",
        )


def _marked(
    old: ClusterMarker | None, cluster: str, uid: str, now: datetime, by: str
) -> ClusterMarker:
    adoption = Adoption(uid=uid, at=now, by=by)
    if old is None:
        return ClusterMarker(name=cluster, uid=uid, adopted=(adoption,))
    return replace(old, uid=uid, adopted=(*old.adopted, adoption))


def _marker_file(marker: ClusterMarker) -> Write:
    return Write(paths.MARKER_PATH, record.render_cluster(marker))


def _try_save(
    store: ports.ManifestStore,
    cluster: str,
    branch: ClusterBranch,
    files: tuple[FileChange, ...],
    message: str,
    now: datetime,
) -> bool:
    name = cluster_branch(cluster)
    commit = store.commit(name, branch.tip, files, message, when=now)
    try:
        store.push({name: commit})
    except PushRejected:
        return False
    return True
