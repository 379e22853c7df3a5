"""A policy under a new name: said, only likely, or another folder's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.grants import Grant
from reconciler.model.plan import Action, Plan
from reconciler.model.policy import BackupPolicy, NamespaceSelector, Selector
from tests.unit.plan.schedules_world import (
    CONFIG,
    NAMESPACE,
    REV2,
    REV3,
    SmallCluster,
    actions,
    desired,
    good,
    history,
    policies,
    policy,
)


def renamed(old: str, new: str, *, said: bool = True) -> BackupPolicy:
    """A policy that selects what the old one did."""
    selector = policy(old).selector
    return replace(policy(new), selector=selector, renamed_from=old if said else None)


def shops() -> SmallCluster:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(policies("shop", "web")))
    return cluster


def of_cron_jobs(plan: Plan) -> list[tuple[str, str]]:
    return [(a, name) for a, name in actions(plan) if name.startswith("CronJob/")]


def test_a_renamed_policy_takes_its_schedule_along() -> None:
    cluster = shops()
    plan = cluster.apply(
        cluster.plan(desired(good(renamed("shop", "a")), good(renamed("web", "b"))))
    )
    assert of_cron_jobs(plan) == [
        ("created", "CronJob/backstay-a"),
        ("created", "CronJob/backstay-b"),
        ("deleted", "CronJob/backstay-shop"),
        ("deleted", "CronJob/backstay-web"),
    ]
    assert plan.brakes == ()
    again = cluster.plan(desired(good(renamed("shop", "a")), good(renamed("web", "b"))))
    assert again.empty


def test_without_the_word_the_plan_asks_for_as_long_as_it_takes() -> None:
    cluster = shops()
    wanted = desired(good(renamed("shop", "a", said=False)), good(policy("web")))
    for revision in (REV2, REV3):
        plan = cluster.apply(cluster.plan(wanted, history(revision)))
        assert of_cron_jobs(plan) == [
            ("skipped", "CronJob/backstay-a"),
            ("unchanged", "CronJob/backstay-web"),
            ("skipped", "CronJob/backstay-shop"),
        ]
        assert plan.brakes == (
            "policy a looks like shop under a new name: add `renamedFrom: shop` to it",
        )
        assert plan.empty
        assert plan.remember == ""
    word = f"Backstay-Approve: {plan.approval}"
    plan = cluster.apply(cluster.plan(wanted, history(REV2, message=word)))
    assert set(cluster.of("CronJob")) == {"backstay-a", "backstay-web"}


def test_a_policy_that_was_there_before_is_no_new_name() -> None:
    cluster = SmallCluster()
    both = desired(good(policy("shop")), good(renamed("shop", "twin", said=False)))
    cluster.apply(cluster.plan(both))
    plan = cluster.plan(desired(good(renamed("shop", "twin", said=False))))
    assert ("deleted", "CronJob/backstay-shop") in actions(plan)


@pytest.mark.parametrize(("folder", "said"), [("teams/a", True), ("teams/b", False)])
def test_another_folders_policy_is_not_taken_over(folder: str, said: bool) -> None:
    grants = (Grant(path="teams/a"), Grant(path="teams/b"), Grant(path="admin", admin=True))
    cluster = SmallCluster(config=replace(CONFIG, grants=grants))
    others = [good(policy(name), f"teams/a/{name}.yaml") for name in ("x", "y")]
    cluster.apply(cluster.plan(desired(good(policy("shop"), "teams/a/shop.yaml"), *others)))
    heir = good(renamed("shop", "new"), f"{folder}/new.yaml")
    plan = cluster.plan(desired(heir, *others))
    assert ("policy new is not of the folder that shop was of" in plan.notes) is not said
    reason = next(c.reason for c in plan.changes if c.object.name == "backstay-shop")
    assert ("policy shop is new now" in reason) is said


@pytest.mark.parametrize("kind", ["CronJob", "ConfigMap"])
def test_the_old_schedule_goes_on_where_the_new_one_cannot_be_made(kind: str) -> None:
    cluster = shops()
    wanted = desired(good(renamed("shop", "new")), good(policy("web")))
    name = next(
        change.object.name
        for change in cluster.plan(wanted).changes
        if change.object.kind == kind and change.policy == "new"
    )
    theirs = cluster.of(kind)[name.replace("new", "shop")] if kind == "CronJob" else {}
    foreign = {**theirs, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}}
    cluster.put({"apiVersion": "batch/v1" if kind == "CronJob" else "v1", "spec": {}} | foreign)
    plan = cluster.apply(cluster.plan(wanted))
    (old,) = (change for change in plan.changes if change.object.name == "backstay-shop")
    assert old.action is Action.SKIPPED
    assert old.reason.startswith("policy shop is new now, whose schedule is not as it should be")
    assert plan.brakes == ()
    assert "backstay-shop" in cluster.of("CronJob")
    del cluster.objects[kind, name]
    cluster.apply(cluster.plan(wanted, history(REV2)))
    assert set(cluster.of("CronJob")) == {"backstay-new", "backstay-web"}


@pytest.mark.parametrize(("folder", "likely"), [("teams/a", True), ("teams/b", False)])
def test_another_folders_policy_is_not_the_same_one_for_what_it_selects(
    folder: str, likely: bool
) -> None:
    """Equal labels are nothing special: each grant gives other namespaces of them."""
    gold = Selector(namespaces=NamespaceSelector(match_labels={"backup": "gold"}))
    # Two grants that give the same are two folders all the same.
    grants = (Grant(path="teams/a"), Grant(path="teams/b"), Grant(path="admin", admin=True))
    cluster = SmallCluster(config=replace(CONFIG, grants=grants))
    other = good(policy("x"), "teams/a/x.yaml")
    old = replace(policy("old"), selector=gold)
    cluster.apply(cluster.plan(desired(good(old, "teams/a/old.yaml"), other)))
    new = good(replace(policy("new"), selector=gold), f"{folder}/new.yaml")
    plan = cluster.apply(cluster.plan(desired(new, other)))
    assert bool(plan.brakes) is likely
    names = {"backstay-old" if likely else "backstay-new", "backstay-x"}
    assert set(cluster.of("CronJob")) == names


@pytest.mark.parametrize("ran", [False, True])
def test_a_name_between_two_others_that_never_ran_is_told(ran: bool) -> None:
    cluster = shops()
    cluster.apply(cluster.plan(desired(good(renamed("shop", "middle")), good(policy("web")))))
    if ran:
        cluster.of("CronJob")["backstay-middle"]["status"] = {
            "lastScheduleTime": "2026-11-21T02:17:00Z"
        }
    last = replace(renamed("shop", "last"), renamed_from="middle")
    plan = cluster.plan(desired(good(last), good(policy("web"))))
    assert ("deleted", "CronJob/backstay-middle") in actions(plan)
    told = [note for note in plan.notes if "has not run by its schedule" in note]
    assert [("write renamedFrom: shop in policy last" in note) for note in told] == [True] * (
        not ran
    )
