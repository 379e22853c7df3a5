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
from reconciler.engine.pacing import Turn
from reconciler.model.cluster import ClusterIdentity
from reconciler.model.errors import (
    BackstayError,
    ClusterRenamed,
    ForeignCluster,
    PushRejected,
    Refused,
    RepositoryLost,
    Stalled,
    Transient,
)
from reconciler.model.run import Adoption, ClusterMarker, RepositoryEntry
from reconciler.model.store import FileChange, Write

_ATTEMPTS = 10
_LOOK_BACK = 50
"""Commits that are searched for the last good version of a file."""
MOST_CLUSTERS = 500
"""Other clusters whose markers a run looks into, a connection each."""
LARGEST_MARKER = 1 << 18
"""Bytes of another cluster's marker that are parsed: an adoption is a line or three."""


@dataclass(frozen=True, slots=True)
class ClusterBranch:
    """The branch as it was read; ``tip`` and ``marker`` are None before the first run."""

    tip: str | None
    marker: ClusterMarker | None
    entries: tuple[RepositoryEntry, ...]
    damage: BackstayError | None = None
    """Why the entries are not known, and how to mend that; then there are none here."""

    def entry(self, repository: str, namespace: str) -> RepositoryEntry | None:
        """What was recorded for this (Repository, namespace), if a run ever initialised it."""
        for found in self.entries:
            if (found.repository, found.namespace) == (repository, namespace):
                return found
        return None


def load_cluster_branch(store: StoreReader, cluster: str) -> ClusterBranch:
    """Reads marker and repositories; raises Refused on files that can't be read, saying how to
    mend them: what is not known must not be taken for what never was."""
    branch = _load(store, cluster)
    if branch.damage is not None:
        raise branch.damage
    return branch


def _load(store: StoreReader, cluster: str) -> ClusterBranch:
    """Raises Refused for the marker only."""
    name = cluster_branch(cluster)
    tip = store.tip(name)
    if tip is None:
        return ClusterBranch(None, None, ())
    files = store.read(tip, [paths.MARKER_PATH, paths.REPOSITORIES_PATH])
    marker = None
    if paths.MARKER_PATH in files:
        try:
            marker = record.parse_cluster(files[paths.MARKER_PATH])
        except Stalled as error:
            raise _damage(store, name, tip, paths.MARKER_PATH, error.message) from error
    if paths.REPOSITORIES_PATH in files:
        try:
            return ClusterBranch(
                tip, marker, record.parse_repositories(files[paths.REPOSITORIES_PATH])
            )
        except Stalled as error:
            damage = _damage(store, name, tip, paths.REPOSITORIES_PATH, error.message)
            return ClusterBranch(tip, marker, (), damage)
    # Not there is right before the first repository is made, and never again.
    if _last_good(store, name, paths.REPOSITORIES_PATH):
        damage = _damage(store, name, tip, paths.REPOSITORIES_PATH, "it was deleted")
        return ClusterBranch(tip, marker, (), damage)
    return ClusterBranch(tip, marker, ())


def _damage(store: StoreReader, branch: str, tip: str, path: str, why: str) -> BackstayError:
    good = _last_good(store, branch, path)
    mend = (
        f"put back the last good one, in a clone: git switch {branch} && git restore"
        f" --source={good[:12]} {path} && git commit -m 'Mend {path}' {path} && git push"
        if good
        else f"none of the last {_LOOK_BACK} commits has a good one: write it anew from the"
        " records, as docs/format.md says"
    )
    return Refused(
        f"{path} on {branch} (commit {tip[:12]}) can't be read: {why};"
        " without it nobody knows what is ours, so nothing is backed up",
        hint=f"somebody else changed it; {mend}",
    )


def _last_good(store: StoreReader, branch: str, path: str) -> str:
    """The newest commit that has the file as a run wrote it; empty where there is none."""
    parse = record.parse_cluster if path == paths.MARKER_PATH else record.parse_repositories
    for commit in store.log(branch, limit=_LOOK_BACK):
        data = store.read(commit.sha, [path]).get(path)
        try:
            if data is not None and parse(data):
                return commit.sha
        except Stalled:
            continue
    return ""


def open_cluster_branch(
    store: ports.ManifestStore, cluster: str, identity: ClusterIdentity, *, former: str = ""
) -> ClusterBranch:
    """The branch of this cluster, or of nobody yet; raises ForeignCluster if it is another's.

    ``former`` is the name that this cluster may have written under before. Raises ClusterRenamed
    where it is nobody's yet and this very cluster wrote under other names only, and Refused where
    the marker can't be read; for the repositories ``damage`` says so.
    """
    hint = f"if this cluster replaces it, say so once: backstay adopt (cluster {cluster})"
    branch = _load(store, cluster)
    others = () if branch.marker else sorted(store.branches(f"clusters/{cluster}/"))
    if others:
        # Another policy's first run may have begun since: it writes the marker before its branch.
        branch = _load(store, cluster)
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
    if branch.marker is None:
        check_former(store, cluster, identity, former)
    return branch


def check_former(
    store: StoreReader,
    cluster: str,
    identity: ClusterIdentity,
    former: str,
    *,
    most: int = MOST_CLUSTERS,
) -> None:
    """For a name that has no marker yet; see `open_cluster_branch`."""
    own = names_of(store, identity.uid, besides=cluster, most=most)
    if own and former not in own:
        raise ClusterRenamed(
            f"this very cluster ({identity.uid}) wrote its recovery points as {own[0]}, and Config"
            f" calls it {cluster}; nothing was written",
            hint=f"put cluster.name: {own[0]} into Config; or, if it is called {cluster} from now"
            f" on, cluster.renamedFrom: {own[0]}",
        )


def names_of(
    store: StoreReader, uid: str, *, besides: str, most: int = MOST_CLUSTERS
) -> tuple[str, ...]:
    """The other names that the cluster with this uid wrote under, sorted.

    Raises Refused where more than ``most`` others write here (0: there is no such limit): what was
    not looked for must not count as not there.
    """
    homes = [
        name
        for name, branches in _by_cluster(store).items()
        if name != besides and cluster_branch(name) in branches
    ]
    if 0 < most < len(homes):
        raise Refused(
            f"{len(homes)} other clusters write to the manifest store, more than the {most} that"
            f" are looked into: whether this one, {besides}, wrote under another name is not known",
            hint=f"say once that it is called so: backstay adopt (cluster {besides}); that looks at"
            " all of them",
        )
    found = []
    for name in homes:
        try:
            marker = load_marker(store, name)
        except Stalled:
            continue  # another cluster's, and damaged: its own doctor says so
        if marker is not None and marker.uid == uid:
            found.append(name)
    return tuple(found)


def _by_cluster(store: StoreReader) -> dict[str, set[str]]:
    """Cluster → its branches, sorted by name. One connection."""
    found: dict[str, set[str]] = {}
    for branch in sorted(store.branches("clusters/")):
        found.setdefault(branch.split("/")[1], set()).add(branch)
    return found


def load_marker(store: StoreReader, cluster: str) -> ClusterMarker | None:
    """Who writes as this cluster; None before the first run. Raises Stalled where it is damaged."""
    tip = store.tip(cluster_branch(cluster))
    if tip is None:
        return None
    data = store.read(tip, [paths.MARKER_PATH]).get(paths.MARKER_PATH)
    if data is not None and len(data) > LARGEST_MARKER:
        raise Refused(f"{paths.MARKER_PATH} of cluster {cluster} has {len(data)} bytes")
    return None if data is None else record.parse_cluster(data)


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
    turn: Turn | None = None,
) -> None:
    """Records repositories (and, on the first run, the marker) before anything is stored in them.

    Idempotent; runs of several policies may do it at the same time. Who has to wait for its
    ``turn`` to push looks again when it comes: else all but the first would push in vain.
    """
    wanted = tuple(entries)
    if turn is not None:
        branch = load_cluster_branch(store, cluster)
        check_cluster_uid(branch, cluster, identity)
        if branch.marker is not None and all(_is_known(branch, new) for new in wanted):
            return
        with turn():
            remember_repositories(store, cluster, identity, wanted, run_id=run_id, now=now)
        return
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
