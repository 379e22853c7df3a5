"""Kinds and groups that the cluster's own objects promise, held against what discovery told.

Discovery is put together by the API server from others: definitions, and servers behind it. Where
it leaves one out, an answer looks like that of a cluster which never had the kind, and a run would
delete what it had captured (invariant I2). A CustomResourceDefinition that is Established and an
APIService that names a Service say what has to be there.

Sources: status conditions of `apiextensions.k8s.io/v1`, spec of `apiregistration.k8s.io/v1`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.objects import Gap, Resource, folder_of

DEFINITIONS = "customresourcedefinition.apiextensions.k8s.io"
SERVERS = "apiservice.apiregistration.k8s.io"
_KIND = "its definition is there, and discovery does not name it"
_GROUP = "an APIService names it, and discovery does not"
_EMPTY = "an APIService names it, and discovery tells no kind of it"

Group = tuple[str, str]
"""(group, version)"""


class Promised:
    """What was seen in the lists of one run."""

    def __init__(self) -> None:
        self._kinds: dict[Resource, None] = {}
        self._groups: set[Group] = set()

    def see(self, resource: Resource, raw: Mapping[str, Any]) -> None:
        """Any cluster-scoped object; keeps names only."""
        if raw["metadata"].get("deletionTimestamp"):
            return
        if resource.folder == DEFINITIONS:
            self._define(raw)
        elif resource.folder == SERVERS:
            spec = raw.get("spec") or {}
            if spec.get("service"):
                self._groups.add((str(spec.get("group", "")), str(spec.get("version", ""))))

    @property
    def groups(self) -> frozenset[str]:
        """Those that a server is registered for."""
        return frozenset(group for group, _ in self._groups)

    def kinds(self, told: Collection[tuple[str, str]]) -> Iterator[Resource]:
        """Defined ones whose (group, plural) was not told."""
        for kind in self._kinds:
            if (kind.group, kind.plural) not in told:
                yield kind

    def gaps(self, groups: Collection[Group], empty: Collection[str]) -> Iterator[Gap]:
        """Of groups that discovery does not tell of, or (``empty``) tells nothing of any more."""
        for group, version in sorted(self._groups):
            if (group, version) not in groups:
                yield Gap(group=group, reason=f"{group}/{version}: {_GROUP}")
            elif group in empty:
                yield Gap(group=group, reason=f"{group}/{version}: {_EMPTY}")

    def _define(self, raw: Mapping[str, Any]) -> None:
        spec = raw.get("spec") or {}
        names = spec.get("names") or {}
        served = [one for one in spec.get("versions") or () if one.get("served")]
        conditions = (raw.get("status") or {}).get("conditions") or ()
        established = any(
            one.get("type") == "Established" and one.get("status") == "True" for one in conditions
        )
        if established and served:
            kind = Resource(
                group=str(spec.get("group", "")),
                version=str(served[0].get("name", "")),
                kind=str(names.get("kind", "")),
                plural=str(names.get("plural", "")),
                namespaced=spec.get("scope") == "Namespaced",
            )
            self._kinds[kind] = None


def gap_of_kind(kind: Resource) -> Gap:
    """A kind that is defined and not told."""
    folder = folder_of(kind.group, kind.kind)
    return Gap(group=kind.group, plural=kind.plural, folder=folder, reason=_KIND)


def groups_of(paths: Iterable[str]) -> frozenset[str]:
    """The groups that files of a tree are of."""
    folders = {path.split("/", 2)[1] for path in paths if path.count("/") > 1}
    return frozenset(folder.partition(".")[2] for folder in folders)
