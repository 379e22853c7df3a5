"""ClusterWatch over a FakeCluster: tells what differs, and ends, as a server does in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from reconciler.model.errors import BackstayError, Expired
from reconciler.model.objects import Resource
from reconciler.ports import Happened
from tests.fakes.cluster import FakeCluster
from tests.fakes.copying import copied

T = TypeVar("T")
State = dict[tuple[str, str], dict[str, Any]]


class FakeWatch:
    """A watch sees what has happened until it began, and ends; one without news is bookmarked."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._states: dict[tuple[str, str], State] = {}
        self._made = 0
        self.requests: Counter[str] = Counter()
        """By method of the port."""
        self.failures: list[BackstayError] = []
        """What the next calls raise, in order."""
        self.bookmarks = True

    def forget(self) -> None:
        """Every version is too old from now on."""
        self._states.clear()

    def listing(
        self, resource: Resource, parse: Callable[[dict[str, Any]], T]
    ) -> tuple[list[T], str]:
        """As the port says."""
        self._ask("listing")
        state = self._look(resource)
        return [parse(copied(raw)) for raw in state.values()], self._keep(resource, state)

    def changes(self, resource: Resource, version: str) -> Iterator[Happened]:
        """As the port says."""
        self._ask("changes")
        before = self._states.get((str(resource), version))
        if before is None:
            raise Expired(f"watch {resource}: too much has happened since (HTTP 410 Expired)")
        now = self._look(resource)
        version = self._keep(resource, now)
        for key in sorted(before.keys() | now.keys()):
            old, new = before.get(key), now.get(key)
            if old != new:
                kind = "DELETED" if new is None else "MODIFIED" if old else "ADDED"
                yield self._happened(kind, new or old or {}, version)
        if self.bookmarks:
            yield self._happened("BOOKMARK", {}, version)

    def _ask(self, what: str) -> None:
        self.requests[what] += 1
        if self.failures:
            raise self.failures.pop(0)

    def _look(self, resource: Resource) -> State:
        found = (raw for page in self._cluster.pages(resource) for raw in page)
        return {(r["metadata"].get("namespace") or "", r["metadata"]["name"]): r for r in found}

    def _keep(self, resource: Resource, state: State) -> str:
        self._made += 1
        version = str(self._made)
        self._states[str(resource), version] = copied(state)
        return version

    @staticmethod
    def _happened(kind: str, raw: dict[str, Any], version: str) -> Happened:
        metadata = {**raw.get("metadata", {}), "resourceVersion": version}
        return Happened(kind, {**copied(raw), "metadata": metadata})
