"""The Namespaces that one capture has to do with: all of the cluster, or the few by their names.

Those it has to do with are the selected ones and those that the tree has something of: whether one
of these left the selection or was deleted is told apart. The others only count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from reconciler import ports
from reconciler.capture import paths
from reconciler.engine.listing import Named, Target
from reconciler.engine.observe import observe_namespaces
from reconciler.engine.runplan import RunPlan
from reconciler.engine.somenamespaces import namespace_names, observe_named
from reconciler.model import kinds
from reconciler.model.cluster import Namespace
from reconciler.model.objects import Gap, Resource
from reconciler.plan import listingcost

EVERYTHING = "*"
"""As a gap's group: all that a namespace holds."""


class Namespaces:
    """Of one run; ``tree`` are the paths of the commit below."""

    def __init__(self, plan: RunPlan, tree: Iterable[str]) -> None:
        self._chosen = plan.selection.namespaces
        self._total = plan.total_namespaces
        self._names = namespace_names({*plan.selection.names, *_names_in(tree)})
        self._by_name = listingcost.is_by_name_cheaper(len(self._names), self._total)
        self._now: dict[str, Namespace] = {}
        self.existing: frozenset[str] = frozenset()
        """Those there were when they were looked at again."""

    def target(self, resource: Resource) -> Target | Named:
        """How a cluster-scoped kind is to be listed."""
        if self._by_name and resource.folder == kinds.NAMESPACES.folder:
            return Named(resource, self._names)
        return resource, ""

    def not_listed(self, listed: int) -> int:
        """How many others there are, when so many were listed."""
        here = max(listed, len(self._chosen))
        return max(0, self._total - here) if self._by_name else 0

    def look_again(self, reader: ports.ClusterReader) -> None:
        """Reads `existing` and what `gaps` compares. Raises as a list does."""
        found = observe_named(reader, self._names) if self._by_name else observe_namespaces(reader)
        self._now = {one.name: one for one in found}
        self.existing = frozenset(self._now)

    def gaps(self) -> Iterator[Gap]:
        """A namespace deleted meanwhile gives empty lists, not errors: that proves nothing (I2)."""
        for chosen in self._chosen:
            found = self._now.get(chosen.name)
            if found is None:
                reason = "the namespace was deleted while it was captured"
            elif found.terminating or found.uid != chosen.namespace.uid:
                reason = "the namespace is being deleted or was replaced while it was captured"
            else:
                continue
            yield Gap(group=EVERYTHING, namespace=chosen.name, reason=reason)


def _names_in(tree: Iterable[str]) -> Collection[str]:
    """Namespaces that a tree has a folder or the manifest of."""
    own = f"{paths.part_path('')}/{kinds.NAMESPACES.folder}/"
    parts = {
        path.removeprefix(own).removesuffix(paths.SUFFIX)
        if path.startswith(own)
        else path.partition("/")[0]
        for path in tree
    }
    return {name for part in parts if (name := paths.decode(part)) is not None}
