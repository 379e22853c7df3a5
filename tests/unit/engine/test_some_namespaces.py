"""A policy over a few of many namespaces asks for these by name: the same truth, fewer requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import choice
from reconciler.engine import listing
from reconciler.engine.somenamespaces import namespace_names, observe_named, observe_selectable
from reconciler.model import kinds
from reconciler.model.errors import Incomplete, Refused
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import NamespaceSelector, Selector
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.store import Write
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.unit.engine.run_world import BRANCH, POLICY, RunWorld, manifest, put_shop

MANY = 60
NAMED, GLOB = ("shop", "shop-two"), ("shop", "shop-two", "shop-t*")
"""The same two namespaces: by name, and so that all have to be read."""
BOTH = pytest.mark.parametrize("many", [MANY, 0], ids=["by-name", "all"])
"""Among so many others: of a few namespaces, all are read."""

CLASS = manifest("storage.k8s.io/v1/StorageClass", "local", "", provisioner="example.org/local")
"""The claims of both name it."""


class Told(FakeCluster):
    """The same cluster; remembers lists of Namespaces, and may do something before one."""

    def __init__(self, inner: FakeCluster) -> None:
        self.__dict__ = inner.__dict__
        self.__dict__["asked"] = []

    def pages(self, resource: Resource, **where: Any) -> Iterator[list[dict[str, Any]]]:
        """As ever."""
        if resource == kinds.NAMESPACES:
            self.__dict__["asked"].append(where.get("field_selector", ""))
        return super().pages(resource, **where)

    @property
    def asked(self) -> list[str]:
        """Field selectors; empty for all."""
        found: list[str] = self.__dict__["asked"]
        return found


def world(names: tuple[str, ...] = NAMED, many: int = MANY) -> RunWorld:
    made = RunWorld(policy=select(*names))
    put_shop(made.cluster, "shop-two")
    made.cluster.put(CLASS)
    for number in range(many):
        made.cluster.put(manifest("Namespace", f"other-{number}", ""))
    return made


def select(*names: str) -> Any:
    return replace(POLICY, selector=Selector(namespaces=NamespaceSelector(names=names)))


def run(made: RunWorld, number: int) -> tuple[RunRecord, list[str]]:
    told = Told(made.cluster)
    return made.run(number, reader=told).record, told.asked


def test_namespaces_are_never_all_read_for_a_few() -> None:
    asked = {}
    for many in (MANY, 10 * MANY):
        made = world(NAMED, many)
        made.run()
        made.cluster.requests.clear()
        _, names = run(made, 2)
        asked[many] = {**made.cluster.requests, "names": sorted(names)}
    few = asked[MANY]
    assert few == asked[10 * MANY]
    # To plan, to capture, and to see whether they are still there.
    assert few["names"] == sorted(["metadata.name=shop", "metadata.name=shop-two"] * 3)


def test_a_glob_needs_them_all() -> None:
    _, asked = run(world(GLOB), 1)
    assert asked.count("") == 1, "to plan: the two that it found are then asked for by name"


def test_both_ways_give_the_same_tree_and_record() -> None:
    found = {}
    for many in (MANY, 0):
        made = world(many=many)
        made.run()
        made.cluster.remove(manifest("ConfigMap", "settings"))
        record = made.run(2).record
        files = {path: text for path, text in made.tree().items() if path != "_run.yaml"}
        scoped = record.cluster_scoped
        assert scoped is not None
        found[many] = files, record.namespaces, scoped.references, record.gaps
    assert found[MANY] == found[0]


def test_the_others_are_counted_as_ever() -> None:
    record, _ = run(world(NAMED), 1)
    assert record.cluster_scoped is not None
    counted = {(one.kind, one.reason): one.count for one in record.cluster_scoped.left_out}
    # With default, kube-system and Backstay's own.
    assert counted["namespace", choice.OTHER_NAMESPACE] == MANY + 3


class Vanishing(Told):
    """``shop`` goes with the first list of ConfigMaps."""

    back = False

    def pages(self, resource: Resource, **where: Any) -> Iterator[list[dict[str, Any]]]:
        """As ever, but once."""
        if resource.kind == "ConfigMap" and not self.__dict__.get("left"):
            self.__dict__["left"] = True
            self.remove(manifest("Namespace", "shop", ""))
            if self.back:
                self.put(manifest("Namespace", "shop", ""))
        return super().pages(resource, **where)


class Replaced(Vanishing):
    """And is back at once, as another one."""

    back = True


@BOTH
@pytest.mark.parametrize("how", [Vanishing, Replaced])
def test_i2_one_that_goes_during_its_capture_deletes_nothing(
    how: type[Vanishing], many: int
) -> None:
    made = world(many=many)
    made.run()
    before = set(made.tree())
    record = made.run(2, reader=how(made.cluster)).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert before <= set(made.tree())
    reasons = [why for part in record.namespaces for why in part.reasons]
    assert any("while it was captured" in why for why in reasons)


@BOTH
def test_i2_a_list_of_one_that_fails_deletes_nothing(many: int) -> None:
    made = world(many=many)
    made.run()
    before = set(made.tree())
    made.cluster.remove(CLASS)
    discovered = made.cluster.requests["discover"]
    reader = FaultyReader(
        made.cluster,
        lambda kind, _: kind == kinds.NAMESPACES and made.cluster.requests["discover"] > discovered,
        error=Refused("list namespaces: HTTP 403"),
        times=1,
    )
    record = made.run(2, reader=reader).record
    assert reader.struck == 1
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert set(made.tree()) == before
    assert [gap.folder for gap in record.gaps] == ["namespace"]


def test_where_one_is_refused_the_others_are_not_asked_for() -> None:
    made = FakeCluster()
    reader = FaultyReader(
        made, lambda kind, _: kind == kinds.NAMESPACES, error=Refused("HTTP 403"), times=99
    )
    names = tuple(f"n{number}" for number in range(9))
    (gap,) = listing.list_all(reader, [listing.Named(kinds.NAMESPACES, names)])
    assert isinstance(gap, Gap)
    assert (gap.reason, reader.struck) == ("HTTP 403", 1)


@pytest.mark.parametrize("gone", [False, True], ids=["there", "deleted"])
@pytest.mark.parametrize("changed", [False, True], ids=["same-policy", "changed-policy"])
def test_one_that_is_not_selected_any_more_is_told_as_ever(gone: bool, changed: bool) -> None:
    """Whether it is there decides whose doing it is; so it is asked for, too."""
    told = {}
    for many in (MANY, 0):
        made = world(many=many)
        made.run()
        if gone:
            made.cluster.remove(manifest("Namespace", "shop-two", ""))
        if changed or not gone:
            made.policy = select("shop")
        if changed:
            made.digest = "sha256:" + "2" * 64
        record, asked = run(made, 2)
        assert ("metadata.name=shop-two" in asked) is bool(many)
        (left,) = [part for part in record.namespaces if part.name == "shop-two"]
        told[many] = set(made.tree()), left, record.outcome
        assert not [path for path in made.tree() if "shop-two" in path]
    assert told[MANY] == told[0]
    by_itself = gone and not changed
    assert told[0][1].outcome is (Outcome.PARTIALLY_FAILED if by_itself else Outcome.SKIPPED)


def test_a_name_that_no_namespace_can_have_is_not_asked_for() -> None:
    names = ["a", "A", "-a", "a-", "a.b", "", "_cluster", "a,metadata.name!=b", "a" * 63, "a" * 64]
    assert namespace_names([*names, "a"]) == ("a", "a" * 63)
    cluster = FakeCluster()
    assert [one.name for one in observe_named(cluster, ["default", "none", "x,y", "default"])] == [
        "default"
    ]
    assert cluster.requests["pages"] == 2


def test_i2_a_damaged_path_in_the_tree_asks_for_no_other_namespace() -> None:
    made = world(NAMED)
    first = made.run().commit
    store = made.make_store()
    odd = store.commit(
        BRANCH, first, [Write("x%2Cmetadata.name%3Dother-1/configmap/c.yaml", b"a: b\n")],
        "By hand\n", when=made.clock.now(),
    )  # fmt: skip
    store.push({BRANCH: odd})
    _, asked = run(made, 2)
    assert set(asked) == {"metadata.name=shop", "metadata.name=shop-two"}


@pytest.mark.parametrize(
    ("names", "total", "requests"),
    [
        (("default",), 300, {"count": 1, "pages": 1}),
        (("default", "none"), 300, {"count": 1, "pages": 2}),
        (("default",), 2, {"count": 1, "pages": 1}),
        (("d*",), 300, {"pages": 1}),
        (("default", "[x]"), 300, {"pages": 1}),
        ((), 300, {"pages": 1}),
    ],
)
def test_what_a_selector_may_select_is_asked_the_cheaper_way(
    names: tuple[str, ...], total: int, requests: dict[str, int]
) -> None:
    cluster = FakeCluster()
    for number in range(total - 2):
        cluster.put(manifest("Namespace", f"other-{number}", ""))
    found, told = observe_selectable(cluster, NamespaceSelector(names=names))
    assert "default" in {one.name for one in found}
    assert told == total
    assert cluster.requests == requests


def test_where_nobody_tells_their_number_all_are_read() -> None:
    class Silent(FakeCluster):
        def count(self, resource: Resource) -> int | None:
            raise Incomplete(f"{resource}: no answer")

    found, told = observe_selectable(Silent(), NamespaceSelector(names=("default",)))
    assert ([one.name for one in found], told) == (["default", "kube-system"], 2)
