"""What every ClusterWatch promises. Run on the fake and on a real cluster.

A watch may end at any time, so a test asks again from where it was until it has seen what it waits
for; on a real server that takes as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.model.errors import Expired
from reconciler.model.objects import ObjectRef
from reconciler.ports import ClusterWatch, ClusterWriter, Happened
from tests.fakes.kubekinds import kind

CONFIGMAP = kind("ConfigMap")
_WATCHES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchWorld:
    """The watch under test, who changes things, and a namespace that is empty."""

    watch: ClusterWatch
    writer: ClusterWriter
    namespace: str
    old: Callable[[], str]
    """A version that is too old to watch from."""

    def configmap(self, name: str, **data: str) -> dict[str, Any]:
        """A ConfigMap of this namespace."""
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    def names(self) -> tuple[set[str], str]:
        """Those in this namespace, and the version."""
        found, version = self.watch.listing(CONFIGMAP, lambda raw: raw["metadata"])
        return {m["name"] for m in found if m["namespace"] == self.namespace}, version

    def follow(self, version: str, count: int) -> tuple[list[Happened], str]:
        """So many happenings to ConfigMaps of this namespace, and the version after them."""
        found: list[Happened] = []
        for _ in range(_WATCHES):
            for happened in self.watch.changes(CONFIGMAP, version):
                metadata = happened.object["metadata"]
                version = metadata["resourceVersion"]
                if metadata.get("namespace") == self.namespace:
                    found.append(happened)
                if len(found) == count:
                    return found, version
        raise AssertionError(f"only {[h.kind for h in found]} happened")


class WatchContract:
    """ClusterWatch."""

    def test_a_listing_is_everything_and_a_version(self, watched: WatchWorld) -> None:
        before, _ = watched.names()
        for number in range(3):
            watched.writer.apply(watched.configmap(f"listed-{number}"))
        after, version = watched.names()
        assert after - before == {"listed-0", "listed-1", "listed-2"}
        assert version

    def test_what_happens_after_the_listing_is_told_in_order(self, watched: WatchWorld) -> None:
        _, version = watched.names()
        name = "told"
        watched.writer.apply(watched.configmap(name, a="1"))
        (added,), version = watched.follow(version, 1)
        watched.writer.apply(watched.configmap(name, a="2"))
        (changed,), version = watched.follow(version, 1)
        ref = ObjectRef(group="", kind="ConfigMap", namespace=watched.namespace, name=name)
        assert watched.writer.delete(ref)
        (gone,), _ = watched.follow(version, 1)
        assert [added.kind, changed.kind, gone.kind] == ["ADDED", "MODIFIED", "DELETED"]
        assert {h.object["metadata"]["name"] for h in (added, changed, gone)} == {name}
        assert changed.object["data"] == {"a": "2"}

    def test_it_goes_on_where_it_was(self, watched: WatchWorld) -> None:
        _, version = watched.names()
        watched.writer.apply(watched.configmap("first"))
        _, version = watched.follow(version, 1)
        watched.writer.apply(watched.configmap("second"))
        (only,), _ = watched.follow(version, 1)
        assert only.object["metadata"]["name"] == "second"

    def test_a_version_of_long_ago_is_expired(self, watched: WatchWorld) -> None:
        with pytest.raises(Expired):
            list(watched.watch.changes(CONFIGMAP, watched.old()))
