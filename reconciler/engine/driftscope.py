"""What a drift takes of cluster-scoped objects, and which kinds the cluster should tell of.

Of a run that took all of them, every new one is an addition; of one that took what is needed, a
new one that something in the point's namespaces needs, told as the run tells it
(`reconciler.capture.references`). A kind that the point has and discovery does not name may be
hidden and not gone: what the cluster's own objects promise is held against it, as in a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from reconciler.capture import choice, paths, quiet
from reconciler.capture.references import References, is_candidate
from reconciler.engine.promisedkinds import DEFINITIONS, SERVERS, Promised, gap_of_kind
from reconciler.engine.reading import CLUSTER_SCOPED, Wanted
from reconciler.model import kinds
from reconciler.model.cluster import Discovery
from reconciler.model.objects import Gap, ObjectRef, Resource
from reconciler.model.policy import ClusterScoped
from reconciler.model.run import RunRecord

_BY_POLICY = "selector."
"""How reasons begin that a policy gave for leaving something out."""
_UNTOLD = "discovery does not name it, and the list of what should be there is not whole"
_PROMISING = (DEFINITIONS, SERVERS)


class Scope:
    """For one look at the cluster; ``tree`` are the paths of the point that are asked for."""

    def __init__(
        self, record: RunRecord, wanted: Wanted, names: Collection[str], tree: Collection[str]
    ) -> None:
        self._wanted = wanted
        self._tree = tree
        self._unselected = _unselected(record)
        self._excluded = _excluded(record)
        scoped = record.cluster_scoped
        self._mode = scoped.selection if scoped is not None else ""
        places = filter(None, map(paths.parse_path, tree))
        self._folders = {place.folder for place in places}
        self._scoped = {path.split("/")[1] for path in tree if path.startswith("_cluster/")}
        self._references = References(names, without=_left_out_kinds(record))
        self._promised = Promised()
        self._missing: frozenset[str] = frozenset()
        self._new: dict[ObjectRef, str] = {}

    def learn(self, served: Discovery) -> None:
        """Before the first list: what the point has and nobody tells of."""
        self._missing = frozenset(self._folders - {kind.folder for kind in served.resources})

    @property
    def follows(self) -> bool:
        """Whether objects of the namespaces may need a new cluster-scoped one that is asked for."""
        return self._mode == ClusterScoped.REFERENCED and self._wanted.takes_namespace(
            CLUSTER_SCOPED
        )

    def lists(self, resource: Resource) -> bool:
        """Whether a cluster-scoped kind is to be listed."""
        return (
            paths.encode(resource.folder) in self._scoped
            or self.takes_new(resource)
            or (self.follows and is_candidate(resource))
            or (bool(self._missing) and resource.folder in _PROMISING)
        )

    def takes_new(self, resource: Resource) -> bool:
        """Whether the run would take any object of a cluster-scoped kind, also a new one."""
        return self._mode == ClusterScoped.ALL and self._asks_for(resource)

    def _asks_for(self, resource: Resource) -> bool:
        return (
            resource != kinds.NAMESPACES
            and self._wanted.takes_namespace(CLUSTER_SCOPED)
            and self._wanted.takes_kind(resource.folder)
            and not self.is_left_out(resource)
        )

    def is_left_out(self, resource: Resource) -> bool:
        """Whether the policy may leave out what is new, of a kind that is new itself, too."""
        return resource.folder in self._unselected or any(
            fnmatchcase(name, glob) for name in resource.names for glob in self._excluded
        )

    def see(self, resource: Resource, raw: Mapping[str, Any], path: str) -> None:
        """Any object that was listed; what the policy may leave out needs nothing."""
        if not resource.namespaced:
            self._promised.see(resource, raw)
        if self.follows and (path in self._tree or not self.is_left_out(resource)):
            self._references.observe(resource, raw)

    def may_be_needed(self, resource: Resource, raw: Mapping[str, Any], path: str) -> None:
        """A new cluster-scoped object: an addition if something needs it (`needed`)."""
        if not (self.follows and is_candidate(resource) and self._asks_for(resource)):
            return
        if quiet.object_left_out(raw, resource) is None:
            name = str(raw["metadata"]["name"])
            self._new[ObjectRef(group=resource.group, kind=resource.kind, name=name)] = path

    def needed(self) -> Iterator[str]:
        """After the last list: paths of new objects that the run would take."""
        wanted = self._references.wanted() if self._new else {}
        return (path for ref, path in self._new.items() if ref in wanted)

    def untold(self, served: Discovery, gaps: Iterable[Gap]) -> Iterator[Gap]:
        """Kinds of the point that discovery leaves out, and that may be there."""
        if not self._missing:
            return
        told = {(kind.group, kind.plural) for kind in served.resources}
        for kind in self._promised.kinds(told):
            if kind.folder in self._missing:
                yield gap_of_kind(kind)
        groups = {folder.partition(".")[2] for folder in self._missing}
        empty = self._promised.groups - {group for group, _ in told}
        for gap in self._promised.gaps(served.groups, empty & groups):
            if gap.group in groups:
                yield gap
        promising = {folder.partition(".")[2] for folder in _PROMISING}
        if any(gap.folder in _PROMISING or _is_whole(gap, promising) for gap in gaps):
            for folder in sorted(self._missing):
                yield Gap(group=folder.partition(".")[2], folder=folder, reason=_UNTOLD)


def _is_whole(gap: Gap, groups: Collection[str]) -> bool:
    return not gap.folder and gap.group in groups


def _left_out_kinds(record: RunRecord) -> set[str]:
    """Of which the policy leaves out all."""
    return {one.kind for one in record.left_out_kinds if one.reason.startswith(_BY_POLICY)}


def _unselected(record: RunRecord) -> set[str]:
    """Kinds of which the policy leaves out some or all: what is new there, it may leave out."""
    found = _left_out_kinds(record)
    for part in record.namespaces:
        found |= {one.kind for one in part.left_out if one.reason.startswith(_BY_POLICY)}
    return found


def _excluded(record: RunRecord) -> frozenset[str]:
    """The policy's globs, as far as any kind was left out by them."""
    said = (one.reason.partition(choice.EXCLUDED) for one in record.left_out_kinds)
    return frozenset(glob for before, found, glob in said if found and not before)
