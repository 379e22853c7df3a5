"""What somebody pushes while a run is at work stays, unless the run has seen it otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.run import Outcome
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, RUN_IDS, RunWorld, manifest


def push_before_us(world: RunWorld, files: Mapping[str, bytes], *, delete: str = "") -> str:
    """Somebody's commit that arrives between the next run's fetch and its push."""
    other = FakeManifestStore(world.remote)
    newer = other.begin(BRANCH, other.tip(BRANCH))
    for path, data in files.items():
        newer.write(path, data)
    if delete:
        newer.delete(delete)
    moved = newer.finish("By hand\n", when=world.clock.now())
    world.remote.commits[moved] = other._find(moved)
    world.remote.before_push.append((BRANCH, moved))
    return moved


def test_a_readme_stays_and_manifests_are_the_runs() -> None:
    world = RunWorld()
    world.run()
    settings, invented = "shop/configmap/settings.yaml", "shop/configmap/invented.yaml"
    good = world.tree()[settings]
    files = {"README.md": b"ours\n", settings: b"by hand\n", invented: b"by hand\n"}
    moved = push_before_us(world, files)
    world.cluster.put(manifest("ConfigMap", "new"))
    result = world.run(2)
    assert result.record.outcome is Outcome.COMPLETED
    newest, below = world.commits()[:2]
    assert (newest.sha, below.sha) == (result.commit, moved)
    assert f"Backstay-Run: {RUN_IDS[1]}" in newest.message
    tree = world.tree()
    assert tree["README.md"] == b"ours\n"
    assert tree[settings] == good
    assert invented not in tree
    assert "shop/configmap/new.yaml" in tree
    assert world.record().name == RUN_IDS[1]
    assert set(world.tree()) - set(below.files) == {"shop/configmap/new.yaml"}


def test_a_readme_that_went_stays_away() -> None:
    world = RunWorld()
    world.run()
    push_before_us(world, {"README.md": b"ours\n"})
    world.run(2)
    push_before_us(world, {}, delete="README.md")
    world.run(3)
    assert "README.md" not in world.tree()
    assert world.record().name == RUN_IDS[2]
