"""A part of a recovery point: these namespaces and what they need, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from reconciler.engine.restore import Restore
from reconciler.model.errors import Refused, UsageError
from reconciler.model.restore import RestoreAction
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import RUN_IDS, RunWorld, manifest, put_shop

RBAC = "rbac.authorization.k8s.io/v1"


def world_of_two(failing: str = "") -> RunWorld:
    """`shop` and `shop-two`, each with a binding of its own; captured, and lost.

    The volume of ``failing`` could not be copied.
    """

    def move(task: MoveTask) -> MoveResult:
        if task.namespace == failing:
            return MoveResult(state=MoveState.FAILED, message="unreadable")
        return world.move(task)

    world = RunWorld()
    world.mover._effect = move
    put_shop(world.cluster, "shop-two")
    for name in ("shop", "shop-two"):
        account = {"kind": "ServiceAccount", "name": "default", "namespace": name}
        role = {"kind": "ClusterRole", "name": f"role-{name}"}
        world.cluster.put(manifest(f"{RBAC}/ClusterRole", f"role-{name}", ""))
        world.cluster.put(
            manifest(f"{RBAC}/ClusterRoleBinding", name, "", subjects=[account], roleRef=role)
        )
    world.run()
    for name in ("shop", "shop-two"):
        world.cluster.remove(manifest("Namespace", name, ""))
        world.cluster.remove(manifest(f"{RBAC}/ClusterRoleBinding", name, ""))
        world.cluster.remove(manifest(f"{RBAC}/ClusterRole", f"role-{name}", ""))
    world.cluster.writes.clear()
    world.data.clear()
    return world


def narrowed(world: RunWorld, *only: str, **names: str) -> Restore:
    return world.restore(only_namespaces=only, map_namespaces=names)


def test_only_what_is_asked_for_comes_back() -> None:
    world = world_of_two()
    restore = narrowed(world, "shop-two")
    plan = restore.plan()
    assert {step.ref.namespace for step in plan.steps} == {"", "shop-two"}
    names = [step.ref.name for step in plan.steps if not step.ref.namespace]
    assert sorted(names) == ["role-shop-two", "shop-two", "shop-two"]
    assert [(fill.namespace, fill.claim) for fill in plan.fills] == [("shop-two", "files")]
    assert plan.notes == ("only shop-two, of 2 namespaces in this recovery point",)
    result = restore.execute(plan)
    assert (result.created, result.filled) == (plan.count(RestoreAction.CREATE), 1)
    assert list(world.data) == [("shop-two", "files")]
    assert narrowed(world, "shop-two").plan().empty
    assert not narrowed(world, "shop").plan().empty


class CountedStore(FakeManifestStore):
    """Keeps what was read of each manifest."""

    def __init__(self, world: RunWorld) -> None:
        super().__init__(world.remote)
        self.held: dict[str, int] = {}

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        found = super().read(commit, paths)
        self.held |= {path: len(data) for path, data in found.items() if path != "_run.yaml"}
        return found


def test_no_manifest_of_another_namespace_is_read() -> None:
    world = world_of_two()
    tree = {path: len(data) for path, data in world.tree().items() if path != "_run.yaml"}
    mine = {path: size for path, size in tree.items() if path.startswith(("_cluster/", "shop-two"))}
    store = CountedStore(world)
    restore = world.restore(only_namespaces=("shop-two",), store=store)
    restore.execute(restore.plan())
    assert store.held == mine, "executed as well: which objects, and how many bytes"
    assert 0 < len(mine) < len(tree)
    whole = CountedStore(world)
    world.restore(store=whole).plan()
    assert whole.held == tree
    copied = CountedStore(world)
    world.restore(
        only_namespaces=("shop-two",), map_namespaces={"shop-two": "x"}, store=copied
    ).plan()
    assert copied.held == mine


def test_without_names_all_of_it_comes_back() -> None:
    world = world_of_two()
    both, none = narrowed(world, "shop", "shop-two").plan(), narrowed(world).plan()
    assert both.steps == none.steps
    assert both.fills == none.fills


def test_a_part_can_be_copied() -> None:
    world = world_of_two()
    plan = narrowed(world, "shop", shop="shop3").plan()
    assert {step.ref.namespace for step in plan.steps} == {"", "shop3"}
    with pytest.raises(UsageError, match="shop-two is not among those of --namespace") as caught:
        narrowed(world, "shop", **{"shop-two": "x"}).plan()
    assert caught.value.hint.startswith("add --namespace shop-two")
    # Left out of the restore, it is in the recovery point all the same.
    with pytest.raises(UsageError, match="shop-two is in the recovery point itself"):
        narrowed(world, "shop", shop="shop-two").plan()


def test_a_namespace_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no namespace shopp") as caught:
        narrowed(world_of_two(), "shopp").plan()
    assert caught.value.hint == "this recovery point has: shop, shop-two"


def test_a_namespace_that_only_an_older_point_has_is_found_there() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    world.run(2)
    world.cluster.remove(manifest("Namespace", "shop-two", ""))
    commit = world.run(3).commit
    world.run(4)
    for at in ("latest", commit[:10]):
        with pytest.raises(UsageError, match="no namespace shop-two") as caught:
            world.restore(at, only_namespaces=("shop-two",), allow_partial=True).plan()
        assert caught.value.hint == f"newest that has it: --at {RUN_IDS[1]}"
        with pytest.raises(UsageError, match="no namespace shop-two") as caught:
            world.restore(at, map_namespaces={"shop-two": "x"}, allow_partial=True).plan()
        assert caught.value.hint == f"newest that has it: --at {RUN_IDS[1]}"


def test_definitions_come_with_the_kinds_that_need_them() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    for kind, namespace in (("Coupon", "shop"), ("Ticket", "shop-two")):
        spec = {
            "group": "x.org", "scope": "Namespaced",
            "names": {"kind": kind, "plural": f"{kind}s".lower()},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        }  # fmt: skip
        name = f"{kind}s.x.org".lower()
        world.cluster.put(
            manifest("apiextensions.k8s.io/v1/CustomResourceDefinition", name, "", spec=spec)
        )
        world.cluster.put(manifest(f"x.org/v1/{kind}", "a", namespace))
    world.run()
    plan = narrowed(world, "shop-two").plan()
    definitions = [s.ref.name for s in plan.steps if s.ref.kind == "CustomResourceDefinition"]
    assert definitions == ["tickets.x.org"]


def test_what_another_namespace_lacks_is_no_reason_to_ask_for_a_partial_one() -> None:
    world = world_of_two(failing="shop")
    run = RUN_IDS[0]
    for at in ("latest", run, "2099-01-01"):
        plan = world.restore(at, only_namespaces=("shop-two",)).plan()
        assert plan.run_id == run
        assert f"run {run} is PartiallyFailed because of shop; what is asked" in plan.notes[0]
        for only in ((), ("shop",), ("shop", "shop-two")):
            with pytest.raises(Refused, match="PartiallyFailed"):
                world.restore(at, only_namespaces=only).plan()
    restore = world.restore(only_namespaces=("shop-two",))
    assert restore.execute(restore.plan()).filled == 1
    assert list(world.data) == [("shop-two", "files")]


def test_a_gap_of_the_whole_cluster_is_one_of_each_namespace() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    broken = FaultyReader(world.cluster, lambda resource, _: resource.kind == "ClusterRole")
    world.run(reader=broken)
    with pytest.raises(Refused, match="PartiallyFailed"):
        world.restore(only_namespaces=("shop-two",)).plan()
