"""Files on the cluster's own branch that somebody else changed: nothing is done, all is said."""

from __future__ import annotations

import pytest

from reconciler.engine.clusterbranch import load_cluster_branch
from reconciler.model.errors import Refused
from reconciler.model.run import Outcome
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, HOME, RUN_IDS, RunWorld

MARKER = "_cluster.yaml"
REPOSITORIES = "_repositories.yaml"
GARBAGE = (b"", b"garbage: [\n", b"[]\n", b"\xff\xfe", b"kind: Cluster\n")


def damage(world: RunWorld, path: str, data: bytes | None) -> str:
    """Puts something else into a file, or takes it away; the commit before."""
    good = world.remote.heads[HOME]
    put(world, path, data)
    return good


def put(world: RunWorld, path: str, data: bytes | None) -> None:
    store = FakeManifestStore(world.remote)
    commit = store.begin(HOME, store.tip(HOME))
    if data is None:
        commit.delete(path)
    else:
        commit.write(path, data)
    store.push({HOME: commit.finish("By hand\n", when=world.clock.now())})


def assert_says_how_to_mend(error: Refused, path: str, good: str) -> None:
    assert f"{path} on {HOME}" in error.message
    assert "garbage" not in error.message
    assert f"git switch {HOME} && git restore --source={good[:12]} {path} &&" in error.hint


@pytest.mark.parametrize("data", GARBAGE)
def test_a_marker_that_cannot_be_read_stops_everything(data: bytes) -> None:
    world = RunWorld()
    world.run()
    tip, snapshots = world.remote.heads[BRANCH], len(world.repository("shop").snapshots)
    kept = world.tree(HOME)[MARKER]
    good = damage(world, MARKER, data)
    with pytest.raises(Refused) as caught:
        world.run(2)
    assert_says_how_to_mend(caught.value, MARKER, good)
    assert world.remote.heads[BRANCH] == tip, "whose branch it is, nobody knows"
    assert len(world.repository("shop").snapshots) == snapshots
    put(world, MARKER, kept)
    assert world.run(3).record.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("data", [*GARBAGE, None])
def test_repositories_that_cannot_be_read_are_a_failed_run(data: bytes | None) -> None:
    world = RunWorld()
    world.run()
    kept = world.tree(HOME)[REPOSITORIES]
    good = damage(world, REPOSITORIES, data)
    world.storage.repositories.clear()
    result = world.run(2)
    assert isinstance(result.error, Refused)
    assert_says_how_to_mend(result.error, REPOSITORIES, good)
    assert world.record().name == RUN_IDS[1]
    assert world.record().outcome is Outcome.FAILED
    assert any(good[:12] in text for text in world.record().warnings)
    assert world.storage.repositories == {}, "what is lost is not made anew in silence"
    put(world, REPOSITORIES, kept)
    assert "is gone" in str(world.run(3).error)


def test_garbage_from_the_beginning_is_written_anew_by_hand() -> None:
    world = RunWorld()
    put(world, MARKER, b"garbage: [\n")
    with pytest.raises(Refused) as caught:
        load_cluster_branch(FakeManifestStore(world.remote), CLUSTER)
    assert "docs/format.md" in caught.value.hint


def test_no_list_before_the_first_repository_is_right() -> None:
    world = RunWorld()
    world.keyring.masters.clear()
    assert world.run().record.outcome is Outcome.FAILED
    assert REPOSITORIES not in world.tree(HOME)
    world.keyring.masters["restic-main"] = "correct-horse-battery-staple-0123456789"
    assert world.run(2).record.outcome is Outcome.COMPLETED
    assert REPOSITORIES in world.tree(HOME)
