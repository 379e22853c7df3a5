"""Config gives the cluster another name: a whole cycle, and runs, before and after it is meant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.clusterbranch import LARGEST_MARKER, check_former, names_of
from reconciler.model.config import ClusterConfig
from reconciler.model.errors import ClusterRenamed, ForeignCluster, Refused
from reconciler.model.store import Write
from tests.fakes.cluster import FakeCluster
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.keyring import FakeKeyring
from tests.unit.engine.controller_world import files
from tests.unit.engine.mirror_world import MirrorWorld
from tests.unit.engine.run_world import BRANCH, CLUSTER, HOME, RunWorld, put_shop

NEW = "eu-1"


def rename(world: RunWorld, former: str = "") -> None:
    """What Config says from now on; passwords follow from it."""
    world.config = replace(world.config, cluster=ClusterConfig(NEW, renamed_from=former))
    world.keyring = FakeKeyring(world.storage, NEW)


def test_a_whole_cycle_writes_no_schedule_and_shows_what_to_do() -> None:
    world = MirrorWorld()
    world.source.push(files("mail", "shop"))
    world.cycle()
    before = {raw["metadata"]["name"]: raw for raw in world.cluster.all("CronJob")}
    world.cluster.writes.clear()
    world.source.push(files("shop", "wiki"))
    config = replace(world.setting.config, cluster=ClusterConfig(NEW))
    cycle = world.cycle(config=config)
    assert isinstance(cycle.error, ClusterRenamed)
    assert (cycle.failed_step, cycle.exit_code) == ("plan", 4)
    assert {ref.kind for _, ref in world.cluster.writes} <= {"BackupPolicy", "Event", "Lease"}
    assert {raw["metadata"]["name"]: raw for raw in world.cluster.all("CronJob")} == before
    assert world.conditions()["Stalled"] == ("True", "CycleFailed")
    assert "write cluster.renamedFrom: prod-eu" in world.message("Stalled")
    (told,) = world.log.of("cycle failed")
    assert told["reason"] == "ClusterRenamed"
    meant = replace(config, cluster=ClusterConfig(NEW, renamed_from="prod-eu"))
    assert world.cycle(config=meant).error is None
    assert world.names("CronJob") == ["backstay-shop", "backstay-wiki"]
    assert "Stalled" not in world.conditions()
    (note,) = [one for one in world.log.of("note") if "starts from zero" in str(one["text"])]
    assert str(note["text"]).startswith("cluster prod-eu is called eu-1 now")


def test_a_run_under_a_new_name_writes_nothing_whatever_its_schedule_says() -> None:
    world = RunWorld()
    world.run()
    heads = dict(world.remote.heads)
    rename(world)
    with pytest.raises(ClusterRenamed, match=f"wrote its recovery points as {CLUSTER}") as caught:
        world.run(2)
    assert caught.value.exit_code == 4
    assert f"cluster.renamedFrom: {CLUSTER}" in caught.value.hint
    assert world.remote.heads == heads
    assert len(world.storage.repositories) == 2


def test_renamed_on_purpose_it_begins_anew_and_the_old_name_finds_the_old_points() -> None:
    world = RunWorld()
    world.run()
    old_config, old_keyring = world.config, world.keyring
    old = {name: world.remote.heads[name] for name in (BRANCH, HOME)}
    rename(world, CLUSTER)
    assert world.run(2).record.cluster.name == NEW
    assert len(world.commits(f"clusters/{NEW}/shop")) == 1
    assert {name: world.remote.heads[name] for name in old} == old
    rename(world)
    world.run(3)  # the line may go: the marker of the new name is this cluster's
    world.lose_shop()
    made = world.restored(config=old_config, keyring=old_keyring)
    assert (made.filled, made.differing) == (1, ())
    assert world.data["shop", "files"] == b"a thousand files"


def test_the_new_name_may_be_another_clusters() -> None:
    world = RunWorld()
    world.run()
    rename(world, "prod-us")
    other = FakeCluster(uid="ffffffff-0000-4000-8000-000000000002", now=world.clock.now)
    put_shop(other)
    store = FakeManifestStore(world.remote)
    assert names_of(store, world.cluster.identity().uid, besides=NEW) == (CLUSTER,)
    assert names_of(store, other.identity().uid, besides=NEW) == ()
    check_former(store, NEW, other.identity(), "")
    with pytest.raises(ClusterRenamed):
        check_former(store, NEW, world.cluster.identity(), "prod-us")
    check_former(store, NEW, world.cluster.identity(), CLUSTER)
    other.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "backstay-system"}})
    world.run(2, reader=other, writer=other)
    rename(world, CLUSTER)
    with pytest.raises(ForeignCluster):
        world.run(3)


def test_another_clusters_damaged_marker_stops_nobody() -> None:
    world = RunWorld()
    store = FakeManifestStore(world.remote)
    name = "clusters/broken/_cluster"
    commit = store.commit(
        name, None, (Write("_cluster.yaml", b"uid: ["),), "broken\n", when=world.clock.now()
    )
    store.push({name: commit})
    assert world.run().record.cluster.name == CLUSTER


def put_marker(world: RunWorld, name: str, text: bytes) -> None:
    """Another cluster's branch, with this marker."""
    store, branch = FakeManifestStore(world.remote), f"clusters/{name}/_cluster"
    files = (Write("_cluster.yaml", text),)
    store.push({branch: store.commit(branch, None, files, "x\n", when=world.clock.now())})


def test_a_marker_that_is_too_large_is_not_parsed() -> None:
    world = RunWorld()
    world.run()
    uid, store = world.cluster.identity().uid, FakeManifestStore(world.remote)
    home = f"clusters/{CLUSTER}/_cluster"
    marker = store.read(store.tip(home) or "", ["_cluster.yaml"])["_cluster.yaml"]
    put_marker(world, "padded", marker + b"#" * LARGEST_MARKER)
    put_marker(world, "whole", marker)
    assert names_of(store, uid, besides=NEW) == (CLUSTER, "whole")


def test_more_clusters_than_are_looked_into_are_no_clean_answer() -> None:
    world = RunWorld()
    world.run()
    for name in ("one", "two"):
        put_marker(world, name, b"kind: Cluster")
    store, identity = FakeManifestStore(world.remote), world.cluster.identity()
    with pytest.raises(Refused) as caught:
        check_former(store, NEW, identity, "", most=2)
    assert "3 other clusters write to the manifest store" in caught.value.message
    assert f"backstay adopt (cluster {NEW})" in caught.value.hint
    with pytest.raises(ClusterRenamed):
        check_former(store, NEW, identity, "", most=3)
    with pytest.raises(ClusterRenamed):
        check_former(store, NEW, identity, "", most=0)
