"""The plan of schedules: what is made, changed, kept and left alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.plan import Action, Change, Plan
from reconciler.model.policy import Document, Retention
from reconciler.plan.schedules import RETENTION_NOTE
from tests.unit.plan.schedules_world import (
    CONFIG,
    REV1,
    REV2,
    REV3,
    SmallCluster,
    actions,
    broken,
    desired,
    good,
    history,
    policies,
    policy,
)


@pytest.fixture
def cluster() -> SmallCluster:
    return SmallCluster()


def with_policies(*names: str) -> SmallCluster:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(policies(*names)))
    return cluster


def change_of(plan: Plan, kind: str, policy_name: str) -> Change:
    found = [c for c in plan.changes if (c.object.kind, c.policy) == (kind, policy_name)]
    assert len(found) == 1, actions(plan)
    return found[0]


def test_a_new_policy_makes_a_config_map_and_then_a_cron_job(cluster: SmallCluster) -> None:
    plan = cluster.plan(policies("shop"))
    (first, config_map), (second, cron_job) = actions(plan)
    assert (first, second, cron_job) == ("created", "created", "CronJob/backstay-shop")
    assert config_map.startswith("ConfigMap/backstay-shop-")
    assert plan.remember == REV1
    assert plan.notes == (RETENTION_NOTE,)


def test_a_changed_policy_gets_a_new_config_map_and_keeps_the_old_one() -> None:
    cluster = with_policies("shop")
    before = next(iter(cluster.of("ConfigMap")))
    plan = cluster.apply(cluster.plan(desired(good(policy("shop", "5 5 * * *")))))
    assert [action for action, _ in actions(plan)] == ["created", "configured", "configured"]
    cron_job = change_of(plan, "CronJob", "shop")
    assert cron_job.reason == f"policy shop changed in {REV2}"
    assert cron_job.fields == ("schedule.cron: 17 2 * * * → 5 5 * * *",)
    assert before in cluster.of("ConfigMap")
    assert len(cluster.of("ConfigMap")) == 2


def test_a_change_of_a_policy_names_its_fields_both_ways() -> None:
    cluster = with_policies("shop")
    kept = replace(policy("shop"), retention=Retention(keep_last=3))
    plan = cluster.plan(desired(good(kept)))
    assert change_of(plan, "CronJob", "shop").fields == (
        "retention.keepDaily: 7 → (nothing)",
        "retention.keepLast: (nothing) → 3",
    )


def test_a_commit_that_leaves_a_policy_alone_changes_nothing_of_it() -> None:
    cluster = with_policies("shop")
    plan = cluster.plan(policies("shop"), history(REV2))
    assert plan.empty
    assert plan.remember == REV2


def test_a_policy_that_moved_in_git_is_configured_with_its_new_source() -> None:
    cluster = with_policies("shop")
    plan = cluster.apply(cluster.plan(desired(good(policy("shop"), "policies/eu/shop.yaml"))))
    assert change_of(plan, "CronJob", "shop").reason == "policy shop moved in Git"
    annotations = cluster.of("CronJob")["backstay-shop"]["metadata"]["annotations"]
    assert annotations["backstay.dev/source"] == "policies/eu/shop.yaml#0"
    assert annotations["backstay.dev/revision"] == REV1


def test_suspend(cluster: SmallCluster) -> None:
    cluster = with_policies("shop")
    plan = cluster.apply(cluster.plan(desired(good(policy("shop", suspend=True)))))
    assert change_of(plan, "CronJob", "shop").fields == ("suspend: false → true",)
    assert cluster.of("CronJob")["backstay-shop"]["spec"]["suspend"] is True


def test_a_new_image_configures_every_schedule() -> None:
    cluster = with_policies("shop", "mail")
    cluster.config = replace(CONFIG, image="backstay:2")
    plan = cluster.plan(policies("shop", "mail"))
    reasons = {c.reason for c in plan.pending}
    assert reasons == {"Config or the version of Backstay changed"}
    assert len(plan.pending) == 2


def test_drift_is_configured() -> None:
    cluster = with_policies("shop")
    del cluster.of("CronJob")["backstay-shop"]["spec"]["suspend"]
    change = change_of(cluster.plan(policies("shop")), "CronJob", "shop")
    assert change.action is Action.CONFIGURED
    assert change.reason == "it was changed in the cluster"
    assert change.fields == ("spec.suspend: (nothing) → false",)


def test_a_field_that_somebody_took_over_is_reported_and_not_forced() -> None:
    cluster = with_policies("shop")
    raw = cluster.of("CronJob")["backstay-shop"]
    raw["spec"]["schedule"] = "0 0 * * *"
    raw["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:schedule": {}}}}
    ]
    plan = cluster.plan(policies("shop"))
    change = change_of(plan, "CronJob", "shop")
    assert change.action is Action.SKIPPED
    assert "spec.schedule by kubectl-edit" in change.reason
    assert change.hint.endswith("delete cronjob backstay-shop --cascade=orphan")
    assert plan.empty


def test_a_field_that_was_set_back_by_hand_stays_theirs_and_made_again_it_is_ours() -> None:
    cluster = with_policies("shop")
    raw = cluster.of("CronJob")["backstay-shop"]
    raw["metadata"]["managedFields"] = [
        {"manager": "kubectl-edit", "fieldsV1": {"f:spec": {"f:schedule": {}}}}
    ]
    same = change_of(cluster.plan(policies("shop")), "CronJob", "shop")
    assert same.action is Action.UNCHANGED
    newer = desired(good(policy("shop", "5 5 * * *")))
    assert change_of(cluster.plan(newer), "CronJob", "shop").action is Action.SKIPPED
    del cluster.objects["CronJob", "backstay-shop"]
    assert change_of(cluster.plan(newer), "CronJob", "shop").action is Action.CREATED


@pytest.mark.parametrize("kind", ["CronJob", "ConfigMap"])
def test_objects_of_others_are_never_touched(cluster: SmallCluster, kind: str) -> None:
    names = {c.object.kind: c.object.name for c in cluster.plan(policies("shop")).changes}
    cluster.put({"apiVersion": "v1", "kind": kind, "metadata": {"name": names[kind]}, "spec": {}})
    cluster.of(kind)[names[kind]]["spec"] = {"jobTemplate": {"spec": {}}}
    plan = cluster.plan(policies("shop"))
    assert actions(plan) == [("skipped", f"{kind}/{names[kind]}")]
    assert "not Backstay's" in plan.changes[0].reason


def test_a_config_map_that_was_tampered_with_is_not_trusted() -> None:
    cluster = with_policies("shop")
    next(iter(cluster.of("ConfigMap").values()))["data"]["policy.json"] = "{}"
    change = change_of(cluster.plan(policies("shop")), "ConfigMap", "shop")
    assert change.action is Action.SKIPPED
    assert "delete it" in change.hint


def test_a_config_map_that_somebody_deleted_is_made_again_and_told() -> None:
    cluster = with_policies("shop")
    (name,) = cluster.of("ConfigMap")
    del cluster.objects["ConfigMap", name]
    plan = cluster.apply(cluster.plan(policies("shop")))
    change = change_of(plan, "ConfigMap", "shop")
    assert change.action is Action.CREATED
    assert change.reason == "it is gone, and its schedule names it: without it runs only fail"
    assert change_of(plan, "CronJob", "shop").action is Action.UNCHANGED
    assert set(cluster.of("ConfigMap")) == {name}


def test_a_broken_document_keeps_its_last_good_version() -> None:
    cluster = with_policies("shop", "mail")
    wanted = desired(broken("shop"), good(policy("mail", "1 1 * * *")))
    plan = cluster.apply(cluster.plan(wanted))
    change = change_of(plan, "CronJob", "shop")
    assert change.action is Action.SKIPPED
    assert change.reason.startswith(
        "policies/shop.yaml:3:5: unknown field 'scheduel'; its last good version, of " + REV1
    )
    assert cluster.of("CronJob")["backstay-shop"]["spec"]["schedule"] == "17 2 * * *"
    assert cluster.of("CronJob")["backstay-mail"]["spec"]["schedule"] == "1 1 * * *"


def test_a_broken_documents_schedule_is_even_repaired() -> None:
    cluster = with_policies("shop")
    cluster.of("CronJob")["backstay-shop"]["spec"]["schedule"] = "0 0 * * *"
    plan = cluster.apply(cluster.plan(desired(broken("shop"))))
    assert change_of(plan, "CronJob", "shop").action is Action.CONFIGURED
    assert cluster.of("CronJob")["backstay-shop"]["spec"]["schedule"] == "17 2 * * *"


@pytest.mark.parametrize(
    ("name", "kind"), [("", ""), ("shpo", "BackupPolicy"), ("shop", "BackupPolcy")]
)
def test_a_broken_document_is_known_by_its_place_where_its_name_is_not(
    name: str, kind: str
) -> None:
    cluster = with_policies("shop")
    plan = cluster.plan(desired(broken(name, "policies/shop.yaml", kind=kind)))
    assert {c.policy for c in plan.changes} == {"shop"}
    assert [c.action for c in plan.changes] == [Action.UNCHANGED, Action.SKIPPED]
    assert plan.empty


def test_a_policy_held_by_its_repository_stays() -> None:
    cluster = with_policies("shop")
    why = "Repository main has a problem (admin/repositories.yaml:4:3)"
    repository = broken("main", "admin/repositories.yaml", kind="Repository")
    plan = cluster.plan(desired(broken("shop", held=why), repository))
    assert change_of(plan, "CronJob", "shop").reason.startswith(why)
    assert plan.empty


def test_a_broken_document_that_never_was_good(cluster: SmallCluster) -> None:
    plan = cluster.plan(desired(broken("shop")))
    assert actions(plan) == [("skipped", "CronJob/backstay-shop")]
    assert "no earlier version is in force" in plan.changes[0].reason


def test_a_broken_document_beside_a_good_one_of_its_old_name() -> None:
    cluster = with_policies("shop")
    moved = good(policy("shop"), "policies/moved.yaml")
    plan = cluster.plan(desired(broken("other", "policies/shop.yaml"), moved))
    assert {c.policy for c in plan.changes} == {"shop", "other"}
    assert change_of(plan, "CronJob", "other").action is Action.SKIPPED


def test_a_last_good_version_that_cannot_be_read_is_left_alone() -> None:
    cluster = with_policies("shop")
    for key in [key for key in cluster.objects if key[0] == "ConfigMap"]:
        del cluster.objects[key]
    plan = cluster.plan(desired(broken("shop")))
    assert actions(plan) == [("skipped", "CronJob/backstay-shop")]
    assert "its schedule stays as it is" in plan.changes[0].reason


def test_a_deleted_policy_loses_its_cron_job_and_nothing_else() -> None:
    cluster = with_policies("shop", "mail")
    config_maps = set(cluster.of("ConfigMap"))
    plan = cluster.apply(cluster.plan(policies("mail")))
    assert cluster.deleted == ["backstay-system/cronjob.batch/backstay-shop"]
    assert set(cluster.of("ConfigMap")) == config_maps
    assert "recovery points and manifests stay" in change_of(plan, "CronJob", "shop").reason


documents = st.lists(
    st.tuples(
        st.sampled_from(["shop", "mail", "wiki", "git"]),
        st.sampled_from(["17 2 * * *", "*/5 * * * *", None]),
        st.booleans(),
    ),
    unique_by=lambda one: one[0],
)


def revision_of(chosen: list[tuple[str, str | None, bool]]) -> list[Document]:
    return [
        broken(name) if cron is None else good(policy(name, cron, suspend=suspend))
        for name, cron, suspend in chosen
    ]


@settings(max_examples=10)
@given(revisions=st.lists(documents, min_size=1, max_size=4))
def test_i6_same_inputs_same_plan_and_after_apply_it_is_empty(
    revisions: list[list[tuple[str, str | None, bool]]],
) -> None:
    cluster = SmallCluster()
    names = itertools.cycle([REV1, REV2, REV3])
    for chosen, revision in zip(revisions, names, strict=False):
        wanted = desired(*revision_of(chosen))
        plan = cluster.plan(wanted, history(revision))
        assert plan == cluster.plan(wanted, history(revision))
        cluster.apply(plan)
        again = cluster.plan(wanted, history(revision))
        assert again.empty, actions(again)
        assert again.remember == "" or plan.brakes == ()


@settings(max_examples=10)
@given(revisions=st.lists(documents, min_size=1, max_size=4))
def test_i8_every_change_has_its_reason(
    revisions: list[list[tuple[str, str | None, bool]]],
) -> None:
    cluster = SmallCluster()
    for chosen in revisions:
        plan = cluster.apply(cluster.plan(desired(*revision_of(chosen))))
        assert all(change.reason and change.object.name for change in plan.changes)
        assert {c.policy for c in plan.changes} >= {name for name, _, _ in chosen}


def test_i9_many_broken_documents_cost_time_that_grows_with_their_number() -> None:
    cluster = with_policies("shop")
    wanted = desired(*(broken(f"p{number}", "policies/all.yaml") for number in range(3000)))
    plan = cluster.plan(wanted)  # minutes, if each looked through all the problems
    assert plan.counts()["skipped"] == 3001
    assert plan.empty
