"""Which kinds the cluster serves: aggregated discovery, two requests for everything.

Format: Kubernetes API ``apidiscovery.k8s.io/v2`` (``v2beta1`` has the same fields). The order of a
group's versions is the server's order of preference, so the preferred version of a kind is the
first that serves it. A version marked ``Stale`` comes from an aggregated API server that does not
answer: its kinds are a gap, never an empty list (invariant I2).

Servers before 1.27, and some that stand in front of one, answer with the older lists, one request
per group and version; the result is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.cluster import Discovery
from reconciler.model.errors import BackstayError
from reconciler.model.objects import Gap, Resource

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = f"{_AGGREGATED.format('v2')},{_AGGREGATED.format('v2beta1')},application/json"

_OF_EXTENSIONS = {
    "apps": ("deployments", "daemonsets", "replicasets"),
    "networking.k8s.io": ("ingresses", "networkpolicies"),
    "policy": ("podsecuritypolicies",),
}
_ELSEWHERE = {("events.k8s.io", "events"): ""} | {
    ("extensions", plural): group for group, plurals in _OF_EXTENSIONS.items() for plural in plurals
}
"""Kinds that are served twice: (group, plural) left out → the group they are read from."""

GetJson = Callable[[str], Mapping[str, Any]]
"""Reads one path as JSON; raises BackstayError."""


@dataclass(frozen=True, slots=True)
class Served:
    """One kind in one version of a group; ``rank`` 0 is the group's preferred version."""

    resource: Resource
    verbs: frozenset[str]
    rank: int

    @property
    def listable(self) -> bool:
        """Whether it can be captured."""
        return {"list", "get"} <= self.verbs


@dataclass(frozen=True, slots=True)
class Named:
    """A version of a group that told what it has, if only that it has nothing."""

    group: str
    version: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is served, in all versions, and the groups that did not answer."""

    served: tuple[Served, ...] = ()
    failed: tuple[Gap, ...] = ()
    groups: frozenset[tuple[str, str]] = frozenset()

    def find(self, group: str, kind: str, version: str = "") -> Resource | None:
        """A kind in a version, or in its preferred one."""
        fitting = [
            entry
            for entry in self.served
            if entry.resource.group == group
            and entry.resource.kind == kind
            and version in {"", entry.resource.version}
        ]
        return min(fitting, key=lambda entry: entry.rank).resource if fitting else None

    def discovery(self) -> Discovery:
        """Every listable kind once, at its preferred version, sorted."""
        best: dict[tuple[str, str], Served] = {}
        for entry in self.served:
            key = (entry.resource.group, entry.resource.plural)
            if entry.listable and (key not in best or entry.rank < best[key].rank):
                best[key] = entry
        kept = (
            entry.resource
            for (group, plural), entry in best.items()
            if (_ELSEWHERE.get((group, plural)), plural) not in best
        )
        versions = sorted({entry.resource for entry in self.served if entry.listable})
        return Discovery(tuple(sorted(kept)), self.failed, tuple(versions), self.groups)


def read_catalogue(get: GetJson) -> Catalogue:
    """The catalogue through ``get``. A root that can't be read raises; a group is a gap."""
    served: list[Served] = []
    failed: list[Gap] = []
    groups: set[tuple[str, str]] = set()
    for root in ("/api", "/apis"):
        document = get(root)
        if document.get("kind") == "APIGroupDiscoveryList":
            parts = _aggregated(document)
        else:
            parts = _one_by_one(root, document, get)
        for part in parts:
            if isinstance(part, Gap):
                failed.append(part)
            elif isinstance(part, Named):
                groups.add((part.group, part.version))
            else:
                served.append(part)
    return Catalogue(tuple(served), tuple(sorted(set(failed))), frozenset(groups))


def _aggregated(document: Mapping[str, Any]) -> Iterator[Served | Gap | Named]:
    for item in document.get("items") or ():
        group = (item.get("metadata") or {}).get("name") or ""
        for rank, version in enumerate(item.get("versions") or ()):
            name = str(version.get("version", ""))
            if version.get("freshness") == "Stale":
                told = "the API server behind it does not answer (discovery is stale)"
                yield Gap(group=group, reason=f"{group}/{name}: {told}")
                continue
            yield Named(group, name)
            for entry in version.get("resources") or ():
                kind = (entry.get("responseKind") or {}).get("kind") or ""
                if kind:
                    yield _served(
                        group=group,
                        version=name,
                        kind=kind,
                        plural=str(entry.get("resource", "")),
                        namespaced=entry.get("scope") == "Namespaced",
                        verbs=entry.get("verbs") or (),
                        rank=rank,
                    )


def _one_by_one(
    root: str, document: Mapping[str, Any], get: GetJson
) -> Iterator[Served | Gap | Named]:
    for group, versions in _versions(root, document):
        for rank, version in enumerate(versions):
            path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
            try:
                entries = get(path).get("resources") or ()
            except BackstayError as error:
                yield Gap(group=group, reason=error.message)
                continue
            yield Named(group, version)
            for entry in entries:
                plural = str(entry.get("name", ""))
                if "/" not in plural and entry.get("kind"):
                    yield _served(
                        group=group,
                        version=version,
                        kind=str(entry["kind"]),
                        plural=plural,
                        namespaced=bool(entry.get("namespaced")),
                        verbs=entry.get("verbs") or (),
                        rank=rank,
                    )


def _versions(root: str, document: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    if root == "/api":
        yield "", [str(version) for version in document.get("versions") or ()]
        return
    for item in document.get("groups") or ():
        names = [str(version.get("version", "")) for version in item.get("versions") or ()]
        preferred = (item.get("preferredVersion") or {}).get("version")
        names.sort(key=lambda name: name != preferred)  # stable: the server's order for the rest
        yield str(item.get("name", "")), names


def _served(
    *,
    group: str,
    version: str,
    kind: str,
    plural: str,
    namespaced: bool,
    verbs: Iterable[str],
    rank: int,
) -> Served:
    resource = Resource(
        group=group, version=version, kind=kind, plural=plural, namespaced=namespaced
    )
    return Served(resource, frozenset(verbs), rank)
