"""`manifests.secrets: Omit`: no value, no fingerprint, no file; names in the record, and said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture.canonical import SECRETS_OMITTED
from reconciler.engine.drift import OMITTED, find_drift
from reconciler.engine.reading import PointFinder, Wanted
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.model.run import LeftOutCount, Outcome, SecretsRecord
from reconciler.plan.pointnames import PointName
from reconciler.report.history import render_run
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, MARKER, RunWorld, manifest

SECRET = "shop/secret/db.yaml"
WARNING = (
    "its policy keeps Secrets nowhere (manifests.secrets: Omit), and not in the cluster are"
    " shop/db, shop/tls: what needs them waits until somebody makes them"
)


def omitting(world: RunWorld | None = None) -> RunWorld:
    """A shop with two Secrets whose policy omits them."""
    world = world or RunWorld()
    world.cluster.put(manifest("Secret", "tls", data={"tls.key": "bm90IGEga2V5"}))
    world.policy = replace(world.policy, manifests=Manifests(SecretsMode.OMIT))
    return world


def test_secrets_are_neither_in_git_nor_in_restic_and_the_record_names_them() -> None:
    world = omitting()
    world.run()
    assert [path for path in world.tree() if "/secret/" in path] == []
    assert world.repository("_cluster").snapshots == []
    made = world.record()
    assert made.outcome is Outcome.COMPLETED
    assert made.secrets == SecretsRecord(mode="Omit", omitted=("shop/db", "shop/tls"))
    (part,) = made.namespaces
    assert LeftOutCount(kind="secret", reason=SECRETS_OMITTED, count=2) in part.left_out
    assert not [text for text in world.tree().values() if MARKER.encode() in text]
    assert "Secrets  2 kept nowhere: shop/db, shop/tls" in render_run(made, "c" * 40)


def test_the_change_of_mode_is_told_apart_from_a_deletion_and_back_again() -> None:
    world = RunWorld()
    world.run(1)
    assert SECRET in world.tree()
    omitting(world)
    world.run(2)
    assert SECRET not in world.tree()
    (part,) = world.record().namespaces
    assert part.unselected == (LeftOutCount(kind="secret", reason=SECRETS_OMITTED, count=1),)
    assert any("files left the tree" in warning for warning in world.record().warnings)
    world.run(3)
    assert world.changed_paths() == {"_run.yaml"}
    assert world.record().warnings == ()
    world.policy = replace(world.policy, manifests=Manifests(SecretsMode.RESTIC))
    world.run(4)
    held = world.record().secrets
    assert held is not None
    assert (held.mode, held.count, held.omitted) == ("Restic", 2, ())
    assert SECRET in world.tree()


def test_a_gap_keeps_a_file_of_before() -> None:
    world = RunWorld()
    world.run(1)
    omitting(world)
    reader = FaultyReader(world.cluster, lambda resource, _: resource.kind == "Secret")
    world.run(2, reader=reader)
    assert SECRET in world.tree()  # nothing proves that it is not there any more (I2)
    assert world.record().outcome is Outcome.PARTIALLY_FAILED


def test_a_restore_names_the_secrets_that_nobody_has() -> None:
    world = omitting()
    world.run()
    world.lose_shop()
    restore = world.restore()
    plan = restore.plan()
    assert WARNING in plan.notes
    restore.execute(plan)
    assert world.cluster.all("Secret") == []
    world.cluster.put(manifest("Secret", "db"))
    world.cluster.put(manifest("Secret", "tls"))
    assert not [note for note in world.restore().plan().notes if "Omit" in note]


def test_a_copy_needs_them_where_it_is_made() -> None:
    world = omitting()
    world.run()
    world.cluster.put(manifest("Namespace", "shop-2", ""))
    plan = world.restore(map_namespaces={"shop": "shop-2"}).plan()
    (told,) = [note for note in plan.notes if "Omit" in note]
    assert "shop-2/db, shop-2/tls:" in told


@pytest.mark.parametrize("key", [None, b"k" * 32])
def test_a_comparison_with_the_cluster_says_that_it_leaves_them_out(key: bytes | None) -> None:
    world = omitting()
    world.run()
    store = FakeManifestStore(world.remote)
    point = PointFinder(store, CLUSTER).find(PointName("shop", "latest"))
    found = find_drift(store, point, world.cluster, Wanted(), key)
    assert (found.changes, found.notes) == ([], [OMITTED])
