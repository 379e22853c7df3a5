"""Differences and an object's versions don't call deleted what is only not selected any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.engine.reading import Wanted, changed_objects
from reconciler.engine.versions import object_versions, version_changes
from reconciler.model.store import Delete
from reconciler.plan.diff import Kind
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, RunWorld, manifest

WHEN = datetime(2026, 11, 21, tzinfo=UTC)
NARROWER = "selector.objects.exclude: secret"


def narrowed() -> RunWorld:
    """A run of everything, and one without Secrets; a ConfigMap was deleted meanwhile."""
    made = RunWorld()
    made.cluster.put(manifest("ConfigMap", "gone"))
    made.run()
    made.cluster.remove(manifest("ConfigMap", "gone"))
    selector = made.policy.selector
    selector = replace(selector, objects=replace(selector.objects, exclude=("secret",)))
    made.policy = replace(made.policy, selector=selector)
    made.run(2)
    return made


def stored(made: RunWorld) -> FakeManifestStore:
    """What somebody reads who was not there."""
    return FakeManifestStore(made.remote)


def test_a_difference_tells_them_apart() -> None:
    store = stored(narrowed())
    new, old = (commit.sha for commit in store.log(BRANCH))
    found = {
        change.path: change.note
        for change in changed_objects(store, old, new, Wanted())
        if change.kind is Kind.REMOVED
    }
    assert found == {
        "shop/configmap/gone.yaml": "",
        "shop/secret/db.yaml": f"not selected, whether or not it exists: {NARROWER}",
    }


def test_the_versions_of_an_object_tell_it_too() -> None:
    store = stored(narrowed())
    for path, note in (
        ("shop/secret/db.yaml", f"not selected, whether or not it exists: {NARROWER}"),
        ("shop/configmap/gone.yaml", ""),
    ):
        versions = list(object_versions(store, BRANCH, path))
        newest, *_ = version_changes(store, path, versions)
        assert (newest[1].kind, newest[1].note) == (Kind.REMOVED, note)


def test_a_tree_without_a_record_explains_nothing() -> None:
    store = stored(narrowed())
    _, old = (commit.sha for commit in store.log(BRANCH))
    gone = [Delete("_run.yaml"), Delete("shop/secret/db.yaml")]
    new = store.commit(BRANCH, old, gone, "somebody\n", when=WHEN)
    (change,) = changed_objects(store, old, new, Wanted())
    assert (change.kind, change.note) == (Kind.REMOVED, "")
