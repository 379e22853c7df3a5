"""restic repositories are made once, also when several policies begin in the same second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture import record
from reconciler.engine.clusterbranch import load_cluster_branch, remember_repositories
from reconciler.engine.repositories import open_repositories
from reconciler.model.errors import RepositoryLost, RepositoryMissing, Waiting
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import Outcome
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.volumebackend import FakeVolumeBackend
from tests.unit.engine.run_world import CLUSTER, HOME, RUN_IDS, SYSTEM, RunWorld

NAME = "backstay-repositories"


def test_a_repository_that_another_run_makes_meanwhile_is_not_made_twice() -> None:
    world = RunWorld()
    other = "blog-20261121-011703-00001/run-b"
    world.cluster.acquire_lease(SYSTEM, NAME, other, seconds=300)
    branch = load_cluster_branch(FakeManifestStore(world.remote), CLUSTER)

    def end_the_other() -> None:
        access = world.keyring.access(
            name="main", secret="restic-main", namespace=CLUSTER_NAMESPACE,
            url=f"s3:https://s3.example.org/backups/{CLUSTER}/{CLUSTER_NAMESPACE}",
        )  # fmt: skip
        if not world.storage.repositories:
            FakeVolumeBackend(access, world.storage).initialise()
            world.cluster.release_lease(SYSTEM, NAME, other)

    world.clock.on_sleep = end_the_other
    found = open_repositories(world.request(), world.ports(), branch, [CLUSTER_NAMESPACE])
    assert found.failed == {}
    assert found.entries[0].id == world.repository(CLUSTER_NAMESPACE).id
    (lease,) = world.cluster.all("Lease")
    assert not lease["spec"].get("holderIdentity"), "given back"


def test_a_run_does_not_wait_for_ever_for_another_one() -> None:
    world = RunWorld()
    world.cluster.acquire_lease(SYSTEM, NAME, "blog-1/run-b", seconds=7 * 24 * 3600)
    branch = load_cluster_branch(FakeManifestStore(world.remote), CLUSTER)
    found = open_repositories(world.request(), world.ports(), branch, [CLUSTER_NAMESPACE])
    assert isinstance(found.failed[CLUSTER_NAMESPACE], Waiting)
    assert world.storage.repositories == {}


def test_what_exists_is_opened_without_the_lease() -> None:
    world = RunWorld()
    world.run()
    world.cluster.acquire_lease(SYSTEM, NAME, "blog-1/run-b", seconds=7 * 24 * 3600)
    assert world.run(2).record.outcome is Outcome.COMPLETED


def test_another_repository_in_the_place_of_a_recorded_one_is_told() -> None:
    world = RunWorld()
    world.run()
    store = FakeManifestStore(world.remote)
    (entry, *_) = load_cluster_branch(store, CLUSTER).entries
    before = world.remote.heads[HOME]
    with pytest.raises(RepositoryLost, match=f"{RUN_IDS[0]} recorded {entry.id}") as caught:
        remember_repositories(
            store, CLUSTER, world.cluster.identity(), [replace(entry, id="0" * 64)],
            run_id=RUN_IDS[1], now=world.clock.now(),
        )  # fmt: skip
    assert isinstance(caught.value, RepositoryMissing)
    assert world.remote.heads[HOME] == before
    assert entry in record.parse_repositories(world.tree(HOME)["_repositories.yaml"])
