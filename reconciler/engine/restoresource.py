"""What a restore reads before it plans: the recovery point, and what stands in the cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from reconciler import ports
from reconciler.capture import canonical, paths, sealedsecrets
from reconciler.engine import restorepromised
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import (
    BranchPart,
    StoreReader,
    copied_until,
    doubt_newest,
    points_of,
    read_parts,
    read_record_of,
)
from reconciler.engine.observe import read_all
from reconciler.engine.renaming import Renaming
from reconciler.engine.secretstore import SECRETS_PATH
from reconciler.model import naming
from reconciler.model.errors import Refused, RepositoryLost, Stalled, Waiting
from reconciler.model.objects import ObjectRef, Resource, folder_of
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome, RepositoryRef, RunRecord
from reconciler.model.volumes import RepositoryAccess
from reconciler.plan.expiry import Promise, expired_namespaces
from reconciler.plan.objectwords import tell_left_out
from reconciler.plan.recoverypoints import RecoveryPoint, choose_point, tell_late, tell_newer
from reconciler.plan.restore import Live, Stored

_LOOKED_AT = 100
"""Records of partial points that are read to find one that has what is asked for."""
_WAITED_FOR = (
    "namespace",
    "persistentvolumeclaim",
    "customresourcedefinition.apiextensions.k8s.io",
)
"""Who takes one that is being deleted for one that is there loses what it holds a moment later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointContent:
    """One recovery point with its manifests: all, or those that were asked for."""

    point: RecoveryPoint
    record: RunRecord
    stored: tuple[Stored, ...]
    namespaces: frozenset[str]
    """All that the point has anything of, also those whose manifests were not read."""
    texts: Mapping[str, bytes] = field(repr=False)
    """As Git has them; of Secrets that it has encrypted, with fingerprints in place of values."""
    sealed: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    """The files of these Secrets as they are, by captured path."""
    opened: Mapping[str, dict[str, Any]] = field(repr=False, default_factory=dict)
    """Those that were decrypted: whole Secrets, by captured path."""
    notes: tuple[str, ...] = ()
    """What somebody should know who chose this point."""
    points: tuple[RecoveryPoint, ...] = ()
    """All points of the policy, newest first."""
    expired: Mapping[str, Promise] = field(default_factory=dict)
    """Of the namespaces that were asked for: those that maintenance does not hold any more."""
    renaming: Renaming = field(default_factory=Renaming)
    """Of what `reconciler.engine.mappedpoint` made copies of."""


def read_point(
    store: StoreReader,
    branch: str,
    at: str,
    *,
    policy: str,
    allow_partial: bool,
    vouch: Callable[[str], None],
    only: Collection[str] = (),
) -> PointContent:
    """Chooses the recovery point and reads it.

    With ``only`` some namespaces are asked for: a partial point in which these are Completed lacks
    nothing of them, and of the others no manifest is read. ``vouch`` raises Refused for a commit
    that nobody signed who should have; what it is not content with is not read, and leads to no
    former name.
    """
    formers = _Formers(store, vouch)
    expiries = Expiries(store, branch.split("/")[1], vouch)
    parts = read_parts(store, branch, formers.believe, expiries)
    points = points_of(parts)
    copied = copied_until(store)
    whole = _whole(store, only) if only else None
    choose = partial(
        choose_point, at=at, policy=policy, allow_partial=allow_partial, copied=copied, whole=whole
    )
    offered = restorepromised.offered(points, at)
    try:
        point = choose(offered, promised=restorepromised.holds(store, only))
    except Refused as error:
        expired = restorepromised.tell_expired(points, offered)
        told = "; ".join(filter(None, (error.message, expired, formers.doubts)))
        if told == error.message:
            raise
        raise Refused(told, hint=error.hint) from error
    # Its tree, its record and all of its history are what the signature is over; not its place.
    vouch(point.commit)
    record = read_record_of(store, point.commit, run_id=point.run_id, outcome=point.outcome)
    _check_place(parts, point, record)
    places = {path: paths.parse_path(path) for path in store.tree(point.commit)}
    manifests = {path: place for path, place in places.items() if place is not None}
    wanted = [path for path, place in manifests.items() if _is_asked_for(place, only)]
    texts, sealed = sealedsecrets.split_sealed(store.read(point.commit, wanted))
    stored = tuple(_stored(path, texts[path]) for path in sorted(texts))
    notes = (
        tell_late(points, point, at, copied),
        tell_newer(offered, point, at, copied),
        doubt_newest(store, branch),
        tell_left_out(record),
        formers.doubts,
        _tell_spared(record, only),
        restorepromised.tell_passed(choose(points), point, at),
        *expiries.doubts,
    )
    return PointContent(
        point=point,
        record=record,
        stored=stored,
        namespaces=frozenset(filter(None, map(_namespace_of, manifests.values()))),
        texts=texts,
        sealed=sealed,
        notes=tuple(filter(None, notes)),
        points=points,
        expired=expired_namespaces(point.expiry, record, only) if point.expiry else {},
    )


def _is_asked_for(place: paths.Location, only: Collection[str]) -> bool:
    """What is cluster-scoped is needed to know what of it these namespaces need."""
    return not only or not place.namespace or place.namespace in only


def _namespace_of(place: paths.Location) -> str:
    """The namespace that an object is in, or is; empty for another cluster-scoped one."""
    if place.namespace or place.folder != "namespace":
        return place.namespace
    return place.name or ""


def _whole(store: StoreReader, only: Collection[str]) -> Callable[[RecoveryPoint], bool]:
    """Whether a point has all of these namespaces; the records of so many are read at most."""
    left = _LOOKED_AT

    def whole(point: RecoveryPoint) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            return False
        try:
            record = read_record_of(store, point.commit, run_id=point.run_id, outcome=point.outcome)
        except Stalled:
            return False
        return _has_whole(record, only)

    return whole


def _has_whole(record: RunRecord, only: Collection[str]) -> bool:
    """A gap of the whole cluster is one of each namespace, and none of them is Completed then."""
    good = {part.name for part in record.namespaces if part.outcome is Outcome.COMPLETED}
    return good.issuperset(only)


def _tell_spared(record: RunRecord, only: Collection[str]) -> str:
    """What a partial point lacks is not asked for."""
    if not only or record.outcome is Outcome.COMPLETED or not _has_whole(record, only):
        return ""
    others = sorted(
        part.name
        for part in record.namespaces
        if part.outcome not in (Outcome.COMPLETED, Outcome.SKIPPED)
    )
    return (
        f"run {record.name} is {record.outcome} because of {', '.join(others)}; what is asked for"
        " is complete in it"
    )


class _Formers:
    """Which former names count: those of a record that is vouched for and is of its branch.

    Trailers alone would let whoever can push lead a policy to another one's recovery points.
    """

    def __init__(self, store: StoreReader, vouch: Callable[[str], None]) -> None:
        self._store = store
        self._vouch = vouch
        self._taken: dict[str, bool] = {}

    def believe(self, branch: str, point: RecoveryPoint) -> bool:
        """Whether this point's record says what its commit says, with a word to trust."""
        try:
            self._vouch(point.commit)
            record = read_record_of(
                self._store, point.commit, run_id=point.run_id, outcome=point.outcome
            )
        except Stalled:
            good = False
        else:
            said = f"clusters/{record.cluster.name}/{record.policy.name}"
            good = said == branch and record.policy.renamed_from == point.renamed_from
        self._taken[point.renamed_from] = good or self._taken.get(point.renamed_from, False)
        return good

    @property
    def doubts(self) -> str:
        """The former names that were not taken, as a note; empty where there is none."""
        names = ", ".join(sorted(name for name, taken in self._taken.items() if not taken))
        if not names:
            return ""
        return f"nobody vouches for the former name {names}: its recovery points are left out"


def _check_place(parts: Iterable[BranchPart], point: RecoveryPoint, record: RunRecord) -> None:
    """A commit says of which policy it is; whoever can push can put it on another's branch."""
    found = {part.policy for part in parts if point in part.points}
    if record.policy.name not in found:
        raise Refused(
            f"commit {point.commit} is on the branch of policy {', '.join(sorted(found))}, and its"
            f" record is of policy {record.policy.name}",
            hint="somebody moved a branch, and a run would not: see `backstay verify`; to restore"
            f" that policy: backstay restore {record.policy.name}",
        )


def _stored(path: str, text: bytes) -> Stored:
    manifest = canonical.read_manifest(text, where=path)
    metadata = manifest.get("metadata") or {}
    group, _, _ = str(manifest.get("apiVersion", "")).rpartition("/")
    kind = str(manifest.get("kind", ""))
    ref = ObjectRef(
        group=group,
        kind=kind,
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
    )
    if paths.path_of(ref.namespace, group, kind, ref.name) != path:
        raise Refused(
            f"{path} holds {ref}: it is not where a run would have put it",
            hint="look at who wrote the branch; a run writes each object to its own path",
        )
    return Stored(path=path, folder=folder_of(group, kind), ref=ref, manifest=manifest)


def open_repository(keyring: ports.Keyring, ref: RepositoryRef, namespace: str) -> RepositoryAccess:
    """Keys of a repository that a record names, once it answered with the recorded id."""
    access = keyring.access(name=ref.name, secret=ref.secret, url=ref.url, namespace=namespace)
    found = keyring.backend(access).open()
    if found != ref.id:
        raise RepositoryLost(
            f"repository {ref.name} at {ref.url} has id {found}, and the record names {ref.id}",
            hint="it was replaced; the recovery point's data is not in it",
        )
    return access


def prove_password(keyring: ports.Keyring, record: RunRecord) -> None:
    """Opens one repository per master password that the point needs. Raises WrongPassword.

    Fingerprints made with another password than a run's would call every Secret different.
    """
    needed: dict[str, tuple[RepositoryRef, str]] = {}
    if record.secrets is not None and record.secrets.repository is not None:
        ref = record.secrets.repository
        needed[ref.secret] = (ref, CLUSTER_NAMESPACE)
    for part in record.namespaces:
        for volume in part.volumes:
            if volume.repository is not None and volume.snapshot is not None:
                needed.setdefault(volume.repository.secret, (volume.repository, part.name))
    for ref, namespace in needed.values():
        open_repository(keyring, ref, namespace)


def read_secrets(keyring: ports.Keyring, record: RunRecord) -> Mapping[str, dict[str, Any]]:
    """path → whole object with values that Git does not have, from restic: Secrets and others.

    Empty where the run stored none.
    """
    held = record.secrets
    if held is None or held.repository is None or held.snapshot is None:
        return {}
    access = open_repository(keyring, held.repository, CLUSTER_NAMESPACE)
    data = b"".join(keyring.backend(access).read_file(held.snapshot, SECRETS_PATH))
    found = {}
    for line in data.splitlines():
        whole: dict[str, Any] = orjson.loads(line)
        metadata = whole["metadata"]
        group, _, _ = str(whole["apiVersion"]).rpartition("/")
        place = (str(metadata.get("namespace") or ""), group, whole["kind"], metadata["name"])
        found[paths.path_of(*place)] = whole
    return found


def fingerprint_key(keyring: ports.Keyring, record: RunRecord) -> bytes | None:
    """The key that the record's fingerprints were made with, None without stored Secrets."""
    held = record.secrets
    if held is None or held.repository is None:
        return None
    return keyring.fingerprint_key(secret=held.repository.secret, url=held.repository.url)


def observe_live(
    reader: ports.ClusterReader,
    content: PointContent,
    served: Mapping[str, Resource],
    key: bytes | None,
) -> dict[str, Live]:
    """path → what stands there now; complete or raises. One list per kind and namespace."""
    wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for found in content.stored:
        if found.folder in served:
            wanted[found.folder, found.ref.namespace].add(found.path)
    live: dict[str, Live] = {}
    for (folder, namespace), expected in sorted(wanted.items()):
        resource = served[folder]
        for raw in read_all(reader, resource, dict, namespace=namespace):
            path = paths.object_path(resource, raw["metadata"])
            if path in expected:
                live[path] = _look(resource, raw, path, content, key)
    return _without_begun(live, content)


def _without_begun(live: dict[str, Live], content: PointContent) -> dict[str, Live]:
    """A namespace that a restore began to make is not there yet, nor is its default account."""
    for found in content.stored:
        if found.folder == "namespace" and found.path in live and live[found.path].restoring:
            del live[found.path]
            live.pop(paths.path_of(found.ref.name, "", "ServiceAccount", "default"), None)
    return live


def _look(
    resource: Resource, raw: dict[str, Any], path: str, content: PointContent, key: bytes | None
) -> Live:
    metadata = raw["metadata"]
    if resource.folder in _WAITED_FOR and metadata.get("deletionTimestamp"):
        raise Waiting(
            f"{resource.folder} {metadata['name']} is still being deleted",
            hint="wait until it is gone, then restore again",
            retry_after=10,
        )
    renaming = content.renaming
    seen = renaming.as_captured(raw, resource)
    found = canonical.capture_like(
        seen,
        resource,
        content.texts[path],
        fingerprint_key=key,
        captured=renaming.captured_as(metadata, resource),
    )
    equal = isinstance(found, canonical.Captured) and renaming.accepts(
        path, found.text, content.texts[path]
    )
    annotations = metadata.get("annotations") or {}
    return Live(equal=equal, restoring=annotations.get(naming.RESTORING, ""))


def served_kinds(resources: Iterable[Resource]) -> dict[str, Resource]:
    """folder → kind, of what the cluster serves."""
    return {resource.folder: resource for resource in resources}
