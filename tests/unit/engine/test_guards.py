"""What is gone too much at once stays in the tree until somebody accepts exactly that, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.errors import PartialFailure
from reconciler.model.grants import Grant
from reconciler.model.objects import Gap
from reconciler.model.policy import ClusterScoped, Guards, NamespaceSelector
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.volumes import MoveResult, MoveState
from reconciler.plan.guards import shrink_digest
from tests.fakes.mover import FakeMover
from tests.unit.engine.run_world import RUN_IDS, RunWorld, manifest, put_shop

HALF = Guards(max_shrink=50)
NAMES = tuple(f"settings-{number:02}" for number in range(40))


def guarded(guards: Guards | None = HALF, names: Iterable[str] = NAMES) -> RunWorld:
    """A shop with 40 ConfigMaps more, recorded by a good run."""
    made = RunWorld()
    give(made, guards)
    put(made, names)
    assert made.run().record.outcome is Outcome.COMPLETED
    return made


def give(made: RunWorld, guards: Guards | None) -> None:
    made.policy = replace(made.policy, guards=guards)


def put(made: RunWorld, names: Iterable[str], namespace: str = "shop") -> None:
    for name in names:
        made.cluster.put(manifest("ConfigMap", name, namespace, data={"name": name}))


def lose(made: RunWorld, names: Iterable[str], namespace: str = "shop") -> None:
    for name in names:
        made.cluster.remove(manifest("ConfigMap", name, namespace))


def held(made: RunWorld, namespace: str = "shop") -> set[str]:
    """ConfigMaps of the tree, without those of the first hour."""
    start = f"{namespace}/configmap/settings-"
    return {path.removeprefix(start)[:2] for path in made.tree() if path.startswith(start)}


def select(made: RunWorld, *names: str, **objects: Any) -> None:
    selector = made.policy.selector
    made.policy = replace(
        made.policy,
        selector=replace(
            selector,
            namespaces=replace(selector.namespaces, names=names or selector.namespaces.names),
            objects=replace(selector.objects, **objects),
        ),
    )
    made.digest = "sha256:" + "2" * 64


def accept(record: RunRecord) -> str:
    assert record.guards is not None
    assert not record.guards.accepted
    return record.guards.accept


def test_all_config_maps_gone_at_once_stay_and_the_record_says_all() -> None:
    made = guarded()
    lose(made, NAMES)
    made.cluster.put(manifest("ConfigMap", "new"))
    record = made.run(2).record
    assert len(held(made)) == 40
    assert "shop/configmap/new.yaml" in made.tree(), "what was captured is recorded"
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert record.guards is not None
    (withheld,) = record.guards.withheld
    assert (withheld.namespace, withheld.kind) == ("shop", "configmap")
    assert (withheld.count, withheld.since) == (40, RUN_IDS[0])
    (gap,) = record.gaps
    assert (gap.namespace, gap.folder) == ("shop", "configmap")
    assert gap.reason == (
        f"40 files stay as in run {RUN_IDS[0]}, held by guards:"
        " namespace shop: 6 of 45 objects are left, maxShrink is 50%"
    )
    (reason,) = record.namespaces[0].reasons
    assert str(gap) in reason
    assert record.namespaces[0].objects.deleted == 0
    (warning,) = record.warnings
    assert warning == (
        "guards keep 40 files in the tree that the cluster has no more; to let exactly these go,"
        f" once, give policy shop in Git: guards.accept: {record.guards.accept}"
    )


def test_a_kind_is_judged_by_itself_and_all_else_that_went_goes() -> None:
    made = guarded()
    for number in range(100):
        made.cluster.put(manifest("Service", f"s{number:03}", spec={"ports": []}))
    made.run(2)
    lose(made, NAMES)
    made.cluster.remove(manifest("Service", "s000", spec={}))
    record = made.run(3).record
    assert len(held(made)) == 40
    assert "shop/service/s000.yaml" not in made.tree()
    assert "configmap: 1 of 41 objects are left" in record.gaps[0].reason


def test_what_is_below_the_limit_goes_as_ever() -> None:
    made = guarded()
    lose(made, NAMES[:20])
    record = made.run(2).record
    assert (record.outcome, record.guards, len(held(made))) == (Outcome.COMPLETED, None, 20)


def test_replaced_under_other_names_is_no_shrink() -> None:
    """Kustomize gives a ConfigMap another name with each change."""
    made = guarded()
    lose(made, NAMES)
    put(made, [f"next-{name}" for name in NAMES])
    assert made.run(2).record.outcome is Outcome.COMPLETED
    assert held(made) == set()


def test_without_guards_nothing_is_held() -> None:
    made = guarded(None)
    lose(made, NAMES)
    record = made.run(2).record
    assert (record.outcome, record.guards, held(made)) == (Outcome.COMPLETED, None, set())


def test_the_first_run_has_nothing_to_compare_with() -> None:
    made = RunWorld()
    give(made, Guards(max_shrink=0))
    assert made.run().record.outcome is Outcome.COMPLETED


def test_it_stays_run_after_run_compared_with_the_same_good_run() -> None:
    made = guarded()
    lose(made, NAMES)
    first = accept(made.run(2).record)
    for number in (3, 4):
        record = made.run(number).record
        assert record.outcome is Outcome.PARTIALLY_FAILED
        assert accept(record) == first, "what was told yesterday can be accepted today"
        assert record.guards is not None
        assert record.guards.withheld[0].since == RUN_IDS[0]
    assert len(held(made)) == 40


def test_accepted_once_it_goes_and_the_same_word_accepts_nothing_else() -> None:
    made = guarded()
    lose(made, NAMES)
    word = accept(made.run(2).record)
    give(made, replace(HALF, accept=word))
    made.digest = "sha256:" + "3" * 64
    record = made.run(3).record
    assert (record.outcome, held(made)) == (Outcome.COMPLETED, set())
    assert record.guards is not None
    assert record.guards.accepted
    assert record.warnings == (f"guards.accept: {word}: 40 files left the tree, as was accepted",)
    put(made, NAMES)
    made.run(4)
    lose(made, NAMES)
    again = made.run(5).record
    assert again.outcome is Outcome.PARTIALLY_FAILED, "the very same shrink, a second time"
    assert accept(again) != word
    assert len(held(made)) == 40


def test_one_object_more_than_was_accepted_is_another_shrink() -> None:
    made = guarded()
    lose(made, NAMES[:30])
    word = accept(made.run(2).record)
    lose(made, NAMES[30:])
    give(made, replace(HALF, accept=word))
    assert made.run(3).record.outcome is Outcome.PARTIALLY_FAILED
    assert len(held(made)) == 40


def test_a_word_for_another_policy_or_cluster_is_none() -> None:
    words = {
        shrink_digest(cluster, policy, ["run"], paths)
        for cluster in ("prod-eu", "prod-us")
        for policy in ("shop", "blog")
        for paths in (["a"], ["a", "b"])
    }
    assert len(words) == 8
    assert shrink_digest("c", "p", ["y", "x", "x"], ["b", "a"]) == shrink_digest(
        "c", "p", ["x", "y"], ["a", "b"]
    )


def test_what_came_back_ends_it() -> None:
    """A restore, say."""
    made = guarded()
    lose(made, NAMES)
    made.run(2)
    put(made, NAMES)
    record = made.run(3).record
    assert (record.outcome, record.guards, len(held(made))) == (Outcome.COMPLETED, None, 40)


def test_many_small_steps_of_runs_that_are_not_good_add_up() -> None:
    made = guarded()
    made.mover = FakeMover(
        effect=lambda _: MoveResult(state=MoveState.FAILED, message="no space left")
    )
    lose(made, NAMES[:15])
    first = made.run(2).record
    assert (first.outcome, first.guards) == (Outcome.PARTIALLY_FAILED, None)
    lose(made, NAMES[15:30])
    record = made.run(3).record
    assert record.guards is not None
    (withheld,) = record.guards.withheld
    assert (withheld.count, withheld.since) == (15, RUN_IDS[0])
    assert "15 of 45 objects" in record.gaps[0].reason
    assert accept(made.run(4).record) == record.guards.accept
    give(made, replace(HALF, accept=record.guards.accept))
    assert made.run(5).record.guards is not None
    assert held(made) == {name[-2:] for name in NAMES[30:]}
    give(made, HALF)
    lose(made, NAMES[30:32])
    assert made.run(6).record.guards is None, "compared with the run that was accepted"


def test_a_failed_run_in_between_changes_nothing() -> None:
    made = guarded()
    lose(made, NAMES)
    word = accept(made.run(2).record)
    (repository,) = [made.repository("_cluster")]
    kept, repository.id = repository.id, "f" * 64
    assert made.run(3).record.outcome is Outcome.FAILED
    repository.id = kept
    assert accept(made.run(4).record) == word


def test_months_of_suspension_are_compared_with_the_last_good_run() -> None:
    made = guarded()
    lose(made, NAMES)
    put(made, [f"later-{name}" for name in NAMES[:3]])
    record = made.run(9).record
    assert record.guards is not None
    assert record.guards.withheld[0].since == RUN_IDS[0]


# Namespaces


def test_a_namespace_that_is_gone_stays_until_somebody_accepts_it() -> None:
    made = RunWorld()
    give(made, HALF)
    put_shop(made.cluster, "shop-two")
    made.run()
    made.cluster.remove(manifest("Namespace", "shop-two", ""))
    record = made.run(2).record
    parts = {part.name: part for part in record.namespaces}
    assert parts["shop"].outcome is Outcome.COMPLETED
    assert parts["shop-two"].outcome is Outcome.PARTIALLY_FAILED
    assert parts["shop-two"].reasons == (
        "it left the selection without a change of the policy: guards keep its files",
    )
    assert "shop-two/configmap/settings.yaml" in made.tree()
    assert "_cluster/namespace/shop-two.yaml" in made.tree(), "nothing could be put back without"
    give(made, replace(HALF, accept=accept(record)))
    last = made.run(3).record
    assert (last.outcome, last.namespaces[1].outcome) == (Outcome.COMPLETED, Outcome.SKIPPED)
    assert last.namespaces[1].reasons == (
        "it left the selection, and guards.accept let its files go",
    )
    assert not [path for path in made.tree() if "shop-two" in path]
    assert made.run(4).record.outcome is Outcome.COMPLETED


def test_a_namespace_whose_label_was_taken_off_stays() -> None:
    made = RunWorld()
    give(made, HALF)
    made.policy = replace(
        made.policy,
        selector=replace(
            made.policy.selector, namespaces=NamespaceSelector(match_labels={"backup": "gold"})
        ),
    )
    put_shop(made.cluster, "blog")
    for name in ("shop", "blog"):
        label = {"labels": {"backup": "gold"}}
        made.cluster.put(manifest("Namespace", name, "", metadata=label))
    made.run()
    made.cluster.put(manifest("Namespace", "blog", "", metadata={"labels": {}}))
    made.run(2)
    assert "blog/configmap/settings.yaml" in made.tree()


def test_a_selector_narrowed_in_git_is_no_shrink() -> None:
    made = RunWorld()
    give(made, HALF)
    put_shop(made.cluster, "shop-two")
    made.run()
    select(made, "shop")
    record = made.run(2).record
    assert (record.outcome, record.guards) == (Outcome.COMPLETED, None)
    assert not [path for path in made.tree() if "shop-two" in path]


def test_a_namespace_that_is_gone_is_held_whatever_else_the_policy_changed() -> None:
    made = RunWorld()
    give(made, HALF)
    put_shop(made.cluster, "shop-two")
    made.run()
    made.cluster.remove(manifest("Namespace", "shop-two", ""))
    select(made, "shop", "shop-*", "blog")
    assert made.run(2).record.guards is not None
    assert "shop-two/configmap/settings.yaml" in made.tree()


def test_a_changed_schedule_is_no_change_of_what_is_selected() -> None:
    made = RunWorld()
    put_shop(made.cluster, "shop-two")
    made.run()
    made.cluster.remove(manifest("Namespace", "shop-two", ""))
    made.digest = "sha256:" + "9" * 64
    parts = {part.name: part for part in made.run(2).record.namespaces}
    assert parts["shop-two"].outcome is Outcome.PARTIALLY_FAILED


def test_a_grant_that_was_narrowed_is_no_shrink() -> None:
    made = RunWorld()
    give(made, HALF)
    put_shop(made.cluster, "shop-two")
    made.run()
    made.config = replace(made.config, grants=(Grant(path="policies", namespaces=("shop",)),))
    record = made.run(2).record
    assert (record.outcome, record.guards) == (Outcome.COMPLETED, None)


# Objects that are not selected any more


def test_a_kind_excluded_in_git_is_no_shrink() -> None:
    made = guarded()
    select(made, exclude=("configmap",))
    record = made.run(2).record
    assert (record.outcome, record.guards, held(made)) == (Outcome.COMPLETED, None, set())


def test_labels_taken_off_in_the_cluster_are_a_shrink() -> None:
    made = RunWorld()
    give(made, HALF)
    select(made, match_labels={"tier": "gold"})
    for name in NAMES:
        made.cluster.put(manifest("ConfigMap", name, metadata={"labels": {"tier": "gold"}}))
    made.run()
    put(made, NAMES)
    record = made.run(2).record
    assert record.guards is not None
    assert len(held(made)) == 40


def test_a_definition_that_was_deleted_takes_nothing_along() -> None:
    """Its objects are a few in each of many namespaces: only together they are many."""
    made = RunWorld()
    give(made, HALF)
    select(made, "team-*")
    names = [f"team-{number}" for number in range(12)]
    for name in names:
        put_shop(made.cluster, name)
        made.cluster.put(manifest("batch/v1/CronJob", "report", name, spec={}))
    made.run()
    for name in names:
        made.cluster.remove(manifest("batch/v1/CronJob", "report", name))
    record = made.run(2).record
    assert record.guards is not None
    assert {one.kind for one in record.guards.withheld} == {"cronjob.batch"}
    assert sum(one.count for one in record.guards.withheld) == 12
    assert "cronjob.batch of all namespaces: 0 of 12 objects are left" in record.gaps[0].reason
    assert "team-0/cronjob.batch/report.yaml" in made.tree()


# minObjects


def test_a_namespace_below_its_floor_keeps_what_it_had() -> None:
    made = guarded(Guards(min_objects=30))
    lose(made, NAMES[:20])
    record = made.run(2).record
    assert len(held(made)) == 40
    assert record.namespaces[0].reasons[0] == "25 objects, fewer than guards.minObjects: 30"
    give(made, Guards(min_objects=30, accept=accept(record)))
    accepted = made.run(3).record
    assert len(held(made)) == 20
    assert accepted.outcome is Outcome.PARTIALLY_FAILED, "the floor stands until Git lowers it"
    give(made, Guards(min_objects=20))
    assert made.run(4).record.outcome is Outcome.COMPLETED


def test_a_first_run_below_the_floor_is_partial_and_holds_nothing() -> None:
    made = RunWorld()
    give(made, Guards(min_objects=1000))
    record = made.run().record
    assert (record.outcome, record.guards) == (Outcome.PARTIALLY_FAILED, None)
    assert "shop/configmap/settings.yaml" in made.tree()


# Beside gaps


def test_what_a_gap_keeps_is_there_and_no_shrink() -> None:
    made = guarded()
    made.cluster.failed.append(Gap(group="apps", reason="HTTP 503"))
    lose(made, NAMES[:20])
    record = made.run(2).record
    assert record.guards is None
    assert len(held(made)) == 20


@pytest.mark.parametrize("mode", [ClusterScoped.REFERENCED, ClusterScoped.ALL])
def test_nothing_cluster_scoped_goes_while_something_is_held(mode: ClusterScoped) -> None:
    made = RunWorld()
    give(made, HALF)
    select(made, cluster_scoped=mode)
    put(made, NAMES)
    made.cluster.put(manifest("storage.k8s.io/v1/StorageClass", "local", ""))
    made.run()
    path = "_cluster/storageclass.storage.k8s.io/local.yaml"
    assert path in made.tree()
    lose(made, NAMES)
    made.cluster.remove(manifest("storage.k8s.io/v1/StorageClass", "local", ""))
    record = made.run(2).record
    assert path in made.tree()
    give(made, replace(HALF, accept=accept(record)))
    made.run(3)
    assert path not in made.tree()


def test_a_restore_of_such_a_point_says_what_is_older() -> None:
    made = guarded()
    lose(made, NAMES)
    made.run(2)
    plan = made.restore(RUN_IDS[1], allow_partial=True).plan()
    assert any("held by guards" in warning for warning in plan.warnings)
    made.restored(RUN_IDS[1], allow_partial=True)
    names = {raw["metadata"]["name"] for raw in made.cluster.all("ConfigMap")}
    assert set(NAMES) <= names


def test_a_secret_that_is_held_comes_back_from_the_run_that_saw_it() -> None:
    made = RunWorld()
    give(made, Guards(max_shrink=0))
    made.run()
    made.cluster.remove(manifest("Secret", "db"))
    record = made.run(2).record
    assert record.guards is not None
    assert "shop/secret/db.yaml" in made.tree()
    with pytest.raises(PartialFailure, match="its value is not in this recovery point"):
        made.restored(RUN_IDS[1], allow_partial=True)
    made.restored(RUN_IDS[0])
    assert "db" in {raw["metadata"]["name"] for raw in made.cluster.all("Secret")}
