"""When an inventory is published, what that costs, and who may not do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.clusterbranch import adopt_cluster
from reconciler.engine.inventory import inventory_branch
from reconciler.model.errors import Incomplete, Refused, Transient
from reconciler.model.objects import Resource
from reconciler.model.store import Delete, Write
from reconciler.plan.inventory import About
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.inventory_world import ABOUT, MORNING, InventoryWorld

BRANCH = inventory_branch("prod-eu")


@pytest.fixture
def world() -> InventoryWorld:
    return InventoryWorld()


def add_namespace(world: InventoryWorld, name: str) -> None:
    world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def test_what_is_published_is_what_a_reader_gets(world: InventoryWorld) -> None:
    run = world.run()
    world.look()
    found = world.published()
    names = [part.namespace.name for part in found.namespaces]
    assert names == ["aux", "blog", "default", "kube-system", "shop"]
    assert (found.revision, found.taken) == (ABOUT.revision, MORNING)
    assert [(point.run, point.claims) for point in found.points] == [
        (run, {"shop": ("data-db-0",)})
    ]
    assert world.log.of("inventory published")[0]["branch"] == BRANCH
    assert "hunter2" not in repr(world.files)


def test_between_two_looks_nothing_is_asked(world: InventoryWorld) -> None:
    world.look()
    for _ in range(14):
        world.later(minutes=1)
        world.look()
        assert (world.cluster.requests, world.opened, world.runs.calls) == ({}, 0, [])


def test_i7_a_look_without_a_change_pushes_nothing(world: InventoryWorld) -> None:
    world.run()
    world.look()
    world.later(minutes=15)
    world.look()
    assert len(world.commits) == 1
    # What a look costs, however many namespaces there are: docs/inventory.md says so too.
    assert world.cluster.requests == {"pages": 6, "discover": 1}
    assert world.remote.calls == [f"tip {BRANCH}"]
    assert world.runs.calls == ["branches"]


def test_only_what_changed_is_written(world: InventoryWorld) -> None:
    world.look()
    before = world.files
    add_namespace(world, "new")
    world.cluster.remove({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "blog"}})
    world.later(minutes=15)
    world.look()
    changed = {
        path for path in {*before, *world.files} if before.get(path) != world.files.get(path)
    }
    assert changed == {"inventory.json", "namespaces/new.json", "namespaces/blog.json"}
    assert world.commits[0] == "Inventory: namespaces/blog, namespaces/new"
    assert world.published().taken == MORNING + timedelta(minutes=15)


def test_another_revision_changes_the_head_alone(world: InventoryWorld) -> None:
    world.look()
    before = world.files
    world.later(minutes=15)
    world.look(About(cluster="prod-eu", labels={"env": "prod"}, revision="main@sha1:" + "a" * 40))
    assert {path for path in before if before[path] != world.files[path]} == {"inventory.json"}
    assert world.published().revision == "main@sha1:" + "a" * 40


def test_a_cycle_that_never_came_to_git_does_not_take_the_revision_away(
    world: InventoryWorld,
) -> None:
    world.look()
    world.later(minutes=15)
    world.look(About(cluster="prod-eu", labels={"env": "prod"}))
    assert len(world.commits) == 1


def test_once_a_day_the_time_is_written_all_the_same(world: InventoryWorld) -> None:
    world.look()
    for _ in range(96):
        world.later(minutes=15)
        world.look()
    assert world.commits[0] == "Inventory: no change but the time"
    assert len(world.commits) == 2
    assert world.published().taken == MORNING + timedelta(days=1)


def test_a_process_that_begins_again_does_not_publish_more_often(world: InventoryWorld) -> None:
    world.look()
    world.later(minutes=5)
    world.restart()
    add_namespace(world, "new")
    world.forget()
    world.look()
    assert (world.cluster.requests, len(world.commits)) == ({}, 1)
    world.later(minutes=10)
    world.look()
    assert len(world.commits) == 2


def test_a_clock_that_was_set_back_does_not_stop_it(world: InventoryWorld) -> None:
    world.look()
    world.clock.moment -= timedelta(days=3)
    add_namespace(world, "new")
    world.look()
    assert len(world.commits) == 2


def test_a_clock_that_was_set_back_leaves_no_time_to_come_on_the_branch(
    world: InventoryWorld,
) -> None:
    """A reader would take it for the word of a controller that lives."""
    world.look()
    world.clock.moment -= timedelta(days=3)
    world.look()
    assert world.published().taken == MORNING - timedelta(days=3)
    world.later(minutes=15)
    world.look()
    assert len(world.commits) == 2


@pytest.mark.parametrize("restarted", [False, True])
def test_a_new_run_is_read_once_and_the_old_ones_never_again(
    world: InventoryWorld, restarted: bool
) -> None:
    runs = [world.run()]
    world.look()
    world.later(hours=1)
    runs.append(world.run(claims=("data-db-0", "uploads")))
    world.run("blog")
    if restarted:
        world.restart()
    world.look()
    assert [point.run for point in world.published().points_of("shop")] == runs
    assert world.published().points_of("shop")[1].claims == {"shop": ("data-db-0", "uploads")}
    assert world.commits[0] == "Inventory: points/blog, points/shop"
    world.later(minutes=15)
    world.look()
    assert world.runs.calls == ["branches"]


def test_a_long_history_is_read_in_parts_newest_first(world: InventoryWorld) -> None:
    runs = []
    for _ in range(50):
        runs.append(world.run())
        world.later(hours=1)
    seen = []
    for _ in range(4):
        world.look()
        found = world.published()
        seen.append((len(found.points), found.older_points))
        assert [point.run for point in found.points] == runs[-len(found.points) :]
        world.later(minutes=15)
    assert seen == [(20, {"shop": 30}), (40, {"shop": 10}), (50, {}), (50, {})]
    world.look()
    assert world.runs.calls == ["branches"]


def test_a_rewritten_history_is_digested_anew(world: InventoryWorld) -> None:
    world.run()
    world.look()
    del world.runs.heads["clusters/prod-eu/shop"]
    world.later(minutes=15)
    run = world.run()
    world.look()
    assert [point.run for point in world.published().points] == [run]


def test_points_of_a_branch_that_is_gone_go(world: InventoryWorld) -> None:
    world.run()
    world.look()
    del world.runs.heads["clusters/prod-eu/shop"]
    world.later(minutes=15)
    world.look()
    assert world.published().points == ()
    assert "points/shop.json" not in world.files


def test_a_branch_that_was_deleted_comes_back_with_its_points(world: InventoryWorld) -> None:
    runs = [world.run()]
    world.look()
    del world.remote.heads[BRANCH]
    world.later(minutes=15)
    world.look()
    assert [point.run for point in world.published().points] == runs


def test_another_repository_gets_the_points_too(world: InventoryWorld) -> None:
    runs = [world.run()]
    world.look()
    world.remote = FakeRemote()
    world.later(minutes=15)
    world.look()
    assert [point.run for point in world.published().points] == runs


def test_points_that_somebody_removed_come_back(world: InventoryWorld) -> None:
    runs = [world.run()]
    world.look()
    store = FakeManifestStore(world.remote)
    gone = [Delete("points/shop.json")]
    store.push({BRANCH: store.commit(BRANCH, store.tip(BRANCH), gone, "less", when=MORNING)})
    world.later(minutes=15)
    world.look()
    assert [point.run for point in world.published().points] == runs


def test_a_branch_that_was_set_back_is_brought_forward(world: InventoryWorld) -> None:
    runs = [world.run()]
    world.look()
    old = world.remote.heads[BRANCH]
    world.later(hours=1)
    runs.append(world.run())
    world.look()
    world.remote.heads[BRANCH] = old
    world.later(minutes=15)
    world.look()
    assert [point.run for point in world.published().points] == runs


def forge_run(world: InventoryWorld, minute: int = 0) -> None:
    """A commit that says it is a run, with a record that nobody can read."""
    store = FakeManifestStore(world.runs)
    branch = "clusters/prod-eu/shop"
    forged = store.commit(
        branch,
        store.tip(branch),
        [Write("_run.yaml", b"kind: Run\n")],
        f"hello\n\nBackstay-Policy: shop\nBackstay-Run: shop-20261121-05{minute:02}00-7c1e9\n"
        "Backstay-Revision: main@sha1:1\nBackstay-Outcome: Completed\n"
        f"Backstay-Started: 2026-11-21T05:{minute:02}:00Z\nBackstay-Objects: 1 +0 ~0 -0\n"
        "Backstay-Volumes: 0/0 +0\n",
        when=MORNING,
    )
    store.push({branch: forged})


def test_what_is_no_run_is_passed_over(world: InventoryWorld) -> None:
    run = world.run()
    forge_run(world)
    world.look()
    assert [point.run for point in world.published().points] == [run]


def test_records_that_nobody_can_read_do_not_hide_the_older_ones(world: InventoryWorld) -> None:
    run = world.run()
    for minute in range(45):
        forge_run(world, minute)
    world.look()
    assert [point.run for point in world.published().points] == [run]
    world.later(minutes=15)
    world.look()
    assert world.runs.calls == ["branches"]


def test_without_the_manifest_stores_keys_the_rest_is_published(world: InventoryWorld) -> None:
    world.run()
    world.look()
    world.keys_missing = Refused("Secret backstay-manifest-git can't be read", hint="mount it")
    add_namespace(world, "new")
    world.later(minutes=15)
    world.look()
    found = world.published()
    assert "new" in [part.namespace.name for part in found.namespaces]
    assert len(found.points) == 1
    told = world.log.of("recovery points not digested")
    assert [line["hint"] for line in told] == ["mount it"]


@pytest.fixture
def rebuilt(world: InventoryWorld) -> InventoryWorld:
    """Another cluster with the same Config, an hour after the first one published."""
    world.look()
    other = InventoryWorld(uid="another-one")
    other.remote, other.runs = world.remote, world.runs
    other.clock.moment += timedelta(hours=1)
    return other


def test_the_inventory_of_another_cluster_is_never_overwritten(rebuilt: InventoryWorld) -> None:
    rebuilt.look()
    assert len(rebuilt.commits) == 1
    told = rebuilt.log.of("inventory not published")[0]
    assert told["reason"] == "ForeignCluster"
    assert "another-one" in str(told["error"])
    assert "backstay adopt" in str(told["hint"])


def test_a_cluster_that_was_adopted_goes_on_and_the_old_one_does_not(
    world: InventoryWorld, rebuilt: InventoryWorld
) -> None:
    store = FakeManifestStore(world.runs)
    identity = rebuilt.cluster.identity()
    adopt_cluster(store, "prod-eu", identity, now=MORNING, by="ann")
    rebuilt.look()
    assert rebuilt.published().uid == "another-one"
    world.later(hours=2)
    world.look()
    assert world.published().uid == "another-one"
    assert world.log.of("inventory not published")[0]["reason"] == "ForeignCluster"


def test_a_head_that_nobody_can_read_is_not_overwritten(world: InventoryWorld) -> None:
    store = FakeManifestStore(world.remote)
    commit = store.commit(BRANCH, None, [Write("inventory.json", b"{}")], "x", when=MORNING)
    store.push({BRANCH: commit})
    world.look()
    told = world.log.of("inventory not published")[0]
    assert f"{BRANCH}:inventory.json:1:1" in str(told["error"])
    assert world.remote.heads[BRANCH] == commit


def test_what_somebody_else_put_beside_it_goes_with_the_next_change(world: InventoryWorld) -> None:
    world.look()
    store = FakeManifestStore(world.remote)
    files = [Write("README.md", b"# hello"), Write("namespaces/blog.json", b"{}")]
    store.push({BRANCH: store.commit(BRANCH, store.tip(BRANCH), files, "hello", when=MORNING)})
    world.later(minutes=15)
    world.look()
    assert world.published().cluster == "prod-eu"


@pytest.mark.parametrize(
    "error", [Transient("git is away", hint="wait"), Refused("no right to push", hint="allow it")]
)
def test_a_remote_that_says_no_is_told_and_asked_less_and_less(
    world: InventoryWorld, error: Transient
) -> None:
    world.remote.failures = [error] * 3
    world.look()
    told = world.log.of("inventory not published")[0]
    assert (told["error"], told["hint"], told["retry_in"]) == (error.message, error.hint, "300s")
    world.later(minutes=4, seconds=59)
    world.look()
    assert world.opened == 0
    world.later(seconds=1)
    world.look()
    assert world.log.of("inventory not published")[1]["retry_in"] == "600s"
    world.later(minutes=10)
    world.look()
    assert world.log.of("inventory not published")[2]["retry_in"] == "900s"
    world.later(minutes=15)
    world.look()
    assert len(world.commits) == 1


def test_i2_half_a_list_is_never_published(world: InventoryWorld) -> None:
    world.look()
    before = world.files
    world.later(minutes=15)
    reader = FaultyReader(world.cluster, lambda resource, _: resource.kind == "Namespace")
    world.look(reader=reader)
    assert world.files == before
    assert world.log.of("inventory not published")[0]["reason"] == Incomplete.reason


def put_odd_claim(world: InventoryWorld, namespace: str, phase: str) -> None:
    """A claim with a status that no reader takes."""
    world.cluster.put(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "odd", "namespace": namespace},
            "spec": {},
            "status": {"phase": phase},
        }
    )


def test_what_lies_in_one_namespace_never_stops_the_inventory_of_the_others(
    world: InventoryWorld,
) -> None:
    put_odd_claim(world, "blog", "Bound\x1b[31m")
    add_namespace(world, "new")
    world.look()
    names = [part.namespace.name for part in world.published().namespaces]
    assert names == ["aux", "default", "kube-system", "new", "shop"]
    (told,) = world.log.of("namespace not in the inventory")
    assert (told["namespace"], "phase must be one word" in str(told["error"])) == ("blog", True)
    put_odd_claim(world, "blog", "Bound")
    world.later(minutes=15)
    world.look()
    assert "blog" in [part.namespace.name for part in world.published().namespaces]


def test_a_push_that_lost_a_race_is_made_again(world: InventoryWorld) -> None:
    world.look()
    add_namespace(world, "new")
    world.later(minutes=15)
    world.remote.before_push.append((BRANCH, None))
    world.look()
    assert world.log.of("inventory not published")[0]["reason"] == "PushRejected"
    world.later(minutes=5)
    world.look()
    assert "new" in [part.namespace.name for part in world.published().namespaces]


def test_a_bug_ends_the_look_and_not_the_loop(world: InventoryWorld) -> None:
    world.look(reader=object())
    told = world.log.of("inventory not published")[0]
    assert (told["reason"], world.commits) == ("Bug", [])
    world.later(minutes=5)
    world.look()
    assert len(world.commits) == 1


def test_a_stop_ends_the_reading_of_records(world: InventoryWorld) -> None:
    world.run()
    world.look(stopped=lambda: True)
    found = world.published()
    assert found.points == ()
    world.later(minutes=15)
    world.look()
    assert len(world.published().points) == 1


class SlowReader(FaultyReader):
    """Needs two minutes for each list."""

    def __init__(self, world: InventoryWorld) -> None:
        super().__init__(world.cluster, lambda *_: False)
        self._world = world
        self.lists = 0

    def pages(self, resource: Resource, **chosen: str) -> Iterator[list[dict[str, Any]]]:
        self.lists += 1
        self._world.clock.moment += timedelta(minutes=2)
        return super().pages(resource, **chosen)


def test_a_look_at_a_cluster_that_answers_too_slowly_is_given_up_and_writes_nothing(
    world: InventoryWorld,
) -> None:
    slow = SlowReader(world)
    world.look(reader=slow)
    assert slow.lists == 3, "the third list ends after more than five minutes"
    assert world.commits == []
    (told,) = world.log.of("inventory not published")
    assert (told["reason"], told["retry_in"]) == ("Transient", "300s")
    assert "longer than 5 minutes" in str(told["error"])
    world.look(reader=slow)
    assert slow.lists == 3, "not at once again"
    world.later(minutes=5)
    world.look()
    assert len(world.commits) == 1


def test_a_store_that_answers_too_slowly_gets_no_push(world: InventoryWorld) -> None:
    @contextmanager
    def slow() -> Iterator[FakeManifestStore]:
        world.clock.moment += timedelta(minutes=6)
        yield FakeManifestStore(world.runs)

    world.look(manifests=slow)
    assert world.commits == []
    assert "longer than 5 minutes" in str(world.log.of("inventory not published")[0]["error"])
