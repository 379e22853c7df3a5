"""Kinds come, go and don't answer while a run works: a gap, or captured, and never a deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.capture.choice import Choice
from reconciler.engine.capturekinds import Kinds
from reconciler.engine.promisedkinds import groups_of
from reconciler.model.cluster import Discovery
from reconciler.model.objects import Gap, Resource
from reconciler.model.policy import ObjectSelector
from reconciler.model.run import Outcome
from tests.fakes.cluster import FakeCluster
from tests.unit.engine.run_world import RunWorld, manifest

GROUP = "example.org"
WIDGET = Resource(group=GROUP, version="v1", kind="Widget", plural="widgets", namespaced=True)
NEWER = Resource(group=GROUP, version="v2", kind="Widget", plural="widgets", namespaced=True)
PATH = f"shop/widget.{GROUP}/one.yaml"
DEFINITION = f"_cluster/customresourcedefinition.apiextensions.k8s.io/widgets.{GROUP}.yaml"


class Changing(FakeCluster):
    """The same cluster; ``then`` is done after its ``nth`` discovery."""

    def __init__(self, world: RunWorld, nth: int, then: Callable[[], object]) -> None:
        self.__dict__ = world.cluster.__dict__
        self.__dict__["left"] = nth
        self.__dict__["then"] = then

    def discover(self) -> Discovery:
        """As ever, and then something happens."""
        found = super().discover()
        self.__dict__["left"] -= 1
        if self.__dict__["left"] == 0:
            self.__dict__["then"]()
        return found


def come(world: RunWorld) -> None:
    """A definition and an object of its kind."""
    names = {"kind": "Widget", "plural": "widgets"}
    spec = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": []}
    api = "apiextensions.k8s.io/v1/CustomResourceDefinition"
    world.cluster.put(manifest(api, f"widgets.{GROUP}", "", spec=spec))
    world.cluster.serve(WIDGET)
    world.cluster.put(manifest(f"{GROUP}/v1/Widget", "one", spec={"size": 1}))


def go(world: RunWorld) -> None:
    """The definition is deleted, and with it all that it defined."""
    world.cluster.remove(manifest(f"{GROUP}/v1/Widget", "one"))
    api = "apiextensions.k8s.io/v1/CustomResourceDefinition"
    world.cluster.remove(manifest(api, f"widgets.{GROUP}", ""))
    world.cluster.resources = [found for found in world.cluster.resources if found != WIDGET]


def test_a_definition_that_comes_during_the_run_is_captured_with_its_objects() -> None:
    world = RunWorld()
    record = world.run(reader=Changing(world, 1, lambda: come(world))).record
    assert record.outcome is Outcome.COMPLETED
    assert {PATH, DEFINITION} <= set(world.tree())


def test_one_that_comes_after_the_last_look_is_a_gap_and_no_lie() -> None:
    world = RunWorld()
    kinds = iter(range(100))

    def another() -> None:
        number = next(kinds)
        world.cluster.serve(
            Resource(
                group=GROUP, version="v1", kind=f"K{number}", plural=f"k{number}s", namespaced=True
            )
        )

    class Growing(FakeCluster):
        def __init__(self) -> None:
            self.__dict__ = world.cluster.__dict__

        def discover(self) -> Discovery:
            another()
            return super().discover()

    record = world.run(reader=Growing()).record
    (gap,) = record.gaps
    assert (gap.folder, gap.plural) == (f"k3.{GROUP}", "k3s")
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert next(kinds) == 4, "it does not go on for ever"


def test_i2_a_definition_that_is_deleted_during_the_run_deletes_nothing() -> None:
    world = RunWorld()
    come(world)
    world.run()
    assert {PATH, DEFINITION} <= set(world.tree())
    record = world.run(2, reader=Changing(world, 1, lambda: go(world))).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert [gap.folder for gap in record.gaps] == [f"widget.{GROUP}"]
    assert "its definition was deleted while the run captured" in record.gaps[0].reason
    assert {PATH, DEFINITION} <= set(world.tree())
    after = world.run(3).record
    assert after.outcome is Outcome.COMPLETED
    assert not {PATH, DEFINITION} & set(world.tree())
    assert after.namespaces[0].unselected == ()


@pytest.mark.parametrize(
    ("group", "gaps"),
    [("metrics.k8s.io", []), ("custom.metrics.k8s.io", []), ("apps", ["apps"]), (GROUP, [GROUP])],
)
def test_a_group_that_does_not_answer_is_a_gap_where_something_would_be_captured(
    group: str, gaps: list[str]
) -> None:
    world = RunWorld()
    world.run()
    world.cluster.failed.append(Gap(group=group, reason="HTTP 503"))
    record = world.run(2).record
    assert [gap.group for gap in record.gaps] == gaps
    assert record.outcome is (Outcome.PARTIALLY_FAILED if gaps else Outcome.COMPLETED)


def test_a_group_that_answers_at_the_end_is_captured_after_all() -> None:
    world = RunWorld()
    come(world)
    world.run()
    world.cluster.edit(
        manifest(f"{GROUP}/v1/Widget", "one"), lambda raw: raw["spec"].update(size=2)
    )
    world.cluster.failed.append(Gap(group=GROUP, reason="HTTP 503"))
    record = world.run(2, reader=Changing(world, 1, world.cluster.failed.clear)).record
    assert (record.outcome, record.gaps) == (Outcome.COMPLETED, ())
    assert b"size: 2" in world.tree()[PATH]


def test_a_group_that_stops_to_answer_after_its_lists_is_no_gap() -> None:
    world = RunWorld()
    come(world)
    gap = Gap(group=GROUP, reason="HTTP 503")
    record = world.run(reader=Changing(world, 1, lambda: world.cluster.failed.append(gap))).record
    assert (record.outcome, record.gaps) == (Outcome.COMPLETED, ())
    assert PATH in world.tree()


def kinds_after(*discoveries: tuple[list[Resource], list[Gap]], **selector: Any) -> list[Gap]:
    kinds = Kinds(Choice(ObjectSelector(**selector)))
    for resources, failed in discoveries:
        kinds.learn(resources, failed)
    return list(kinds.gaps())


def test_i2_a_group_that_fails_each_time_with_another_message_is_a_gap() -> None:
    world = RunWorld()
    come(world)
    world.run()
    world.cluster.failed.append(Gap(group=GROUP, reason="HTTP 503"))
    world.cluster.resources.remove(WIDGET)

    def fail_otherwise() -> None:
        world.cluster.failed[:] = [Gap(group=GROUP, reason="it timed out")]

    record = world.run(2, reader=Changing(world, 1, fail_otherwise)).record
    assert [str(gap) for gap in record.gaps] == [f"*.{GROUP}: it timed out"]
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert {PATH, DEFINITION} <= set(world.tree())


def test_only_a_discovery_that_tells_a_group_whole_ends_its_gap() -> None:
    old, new = (Gap(group=GROUP, reason=f"{GROUP}/{name}: HTTP 503") for name in ("v1", "v2"))
    other = Gap(group="apps", reason="HTTP 503")
    assert kinds_after(([], [old]), ([], [new])) == [new]
    assert kinds_after(([], [old, new]), ([], [old]), ([], [old, new])) == [old, new]
    deployment = Resource(
        group="apps", version="v1", kind="Deployment", plural="deployments", namespaced=True
    )
    assert kinds_after(([], [old, other]), ([deployment], [new])) == [new]
    assert kinds_after(([], [old]), ([], [])) == [old]
    assert kinds_after(([], [old]), ([WIDGET], []), ([], [new])) == []
    assert kinds_after(([], [old]), ([WIDGET], [new])) == [new]


def test_another_preferred_version_is_the_same_kind() -> None:
    assert kinds_after(([WIDGET], []), ([NEWER], [])) == []
    assert Kinds(Choice(ObjectSelector())).learn([WIDGET], []) == [WIDGET]
    kinds = Kinds(Choice(ObjectSelector()))
    kinds.learn([WIDGET], [])
    assert kinds.learn([NEWER], []) == []


def test_what_is_left_out_is_no_gap_when_it_goes() -> None:
    assert len(kinds_after(([WIDGET], []), ([], []))) == 1
    assert kinds_after(([WIDGET], []), ([], []), exclude=("widgets.*",)) == []
    failing = Gap(group=GROUP, reason="HTTP 503")
    assert kinds_after(([], [failing]), ([], [failing])) == [failing]
    assert kinds_after(([], [failing]), ([], [failing]), exclude=("*.example.org",)) == []


def test_every_run_asks_the_server_twice_and_not_more() -> None:
    world = RunWorld()
    world.run()
    world.cluster.requests.clear()
    world.run(2)
    assert world.cluster.requests["discover"] == 2


CRD = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
)
SERVER = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
)


def definition(
    *, established: str = "True", served: bool = True, **metadata: Any
) -> dict[str, Any]:
    names = {"kind": "Widget", "plural": "widgets"}
    versions = [{"name": "v0", "served": False}, {"name": "v1", "served": served}]
    spec = {"group": GROUP, "names": names, "scope": "Namespaced", "versions": versions}
    conditions = [{"type": "Established", "status": established}]
    api = "apiextensions.k8s.io/v1/CustomResourceDefinition"
    made = manifest(api, f"widgets.{GROUP}", "", spec=spec, metadata=metadata)
    return {**made, "status": {"conditions": conditions}}


def server(*, local: bool = False, group: str = GROUP) -> dict[str, Any]:
    spec: dict[str, Any] = {"group": group, "version": "v1"}
    spec["service"] = None if local else {"namespace": "shop", "name": "api"}
    return manifest("apiregistration.k8s.io/v1/APIService", f"v1.{group}", "", spec=spec)


def test_i2_a_kind_that_discovery_does_not_tell_although_it_is_defined_is_a_gap() -> None:
    world = RunWorld()
    come(world)
    world.cluster.put(definition())
    assert world.run().record.outcome is Outcome.COMPLETED
    assert {PATH, DEFINITION} <= set(world.tree())
    world.cluster.resources.remove(WIDGET)
    record = world.run(2).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert [str(gap) for gap in record.gaps] == [
        f"widgets.{GROUP}: its definition is there, and discovery does not name it"
    ]
    assert {PATH, DEFINITION} <= set(world.tree()), "nothing of it is taken for deleted"


def test_a_kind_that_discovery_tells_later_than_its_definition_is_captured() -> None:
    world = RunWorld()
    come(world)
    world.cluster.put(definition())
    world.cluster.resources.remove(WIDGET)

    def tell() -> None:
        if WIDGET not in world.cluster.resources:
            world.cluster.serve(WIDGET)

    world.clock.on_sleep = tell
    assert world.run().record.outcome is Outcome.COMPLETED
    assert {PATH, DEFINITION} <= set(world.tree())


def promised(
    kind: Resource,
    raw: dict[str, Any],
    *groups: tuple[str, str],
    captured: str = "",
    **selector: Any,
) -> list[str]:
    """Gaps after discoveries that tell of these groups and of no kind."""
    kinds = Kinds(Choice(ObjectSelector(**selector)))
    kinds.learn([], [])
    kinds.see(kind, raw)
    kinds.learn([], [], groups)
    return [gap.reason for gap in kinds.gaps((), lambda: {captured})]


@pytest.mark.parametrize(
    "raw",
    [
        definition(established="False"),
        definition(served=False),
        definition(deletionTimestamp="2026-11-22T00:00:00Z"),
        {"metadata": {"name": "x"}, "spec": None, "status": None},
    ],
)
def test_a_definition_that_promises_nothing(raw: dict[str, Any]) -> None:
    assert promised(CRD, definition()) != []
    assert promised(CRD, raw) == []
    assert promised(CRD, definition(), exclude=("widgets.*",)) == []


def test_i2_a_group_that_a_server_is_registered_for_and_discovery_does_not_tell_of() -> None:
    told = (GROUP, "v1")
    (absent,) = promised(SERVER, server())
    assert absent == f"{GROUP}/v1: an APIService names it, and discovery does not"
    assert promised(SERVER, server(), (GROUP, "v2")) == [absent], "another version is no answer"
    assert promised(SERVER, server(), told) == [], "it may have no kinds"
    (empty,) = promised(SERVER, server(), told, captured=GROUP)
    assert empty == f"{GROUP}/v1: an APIService names it, and discovery tells no kind of it"
    assert promised(SERVER, server(local=True)) == []
    assert promised(SERVER, server(), exclude=("*.example.org",)) == []
    assert promised(SERVER, server(group="metrics.k8s.io")) == []


def test_the_groups_of_a_tree() -> None:
    paths = ["_run.yaml", "shop/configmap/a.yaml", PATH, "_cluster/clusterrole.rbac.x/b.yaml"]
    assert groups_of(paths) == {"", GROUP, "rbac.x"}
