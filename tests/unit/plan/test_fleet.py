"""A policy for other clusters has no schedule here; one that leaves goes as if it were deleted."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.plan import Action, Desired
from reconciler.model.policy import Document
from tests.unit.plan.schedules_world import SmallCluster, actions, broken, desired, good, policy

WHY = "it is for clusters named dev, and this one is prod-eu"


def elsewhere(document: Document) -> Document:
    return replace(document, elsewhere=WHY)


def wanted(*documents: Document) -> Desired:
    """These, and so many others that one may go."""
    others = (good(policy(name)) for name in ("a", "b", "c", "d", "e"))
    return desired(*documents, *others)


def test_a_policy_for_another_cluster_is_not_planned() -> None:
    found = SmallCluster().plan(wanted(elsewhere(good(policy("shop")))))
    assert not [change for change in found.changes if change.policy == "shop"]
    assert f"policy shop is not for this cluster: {WHY}" in found.notes


def test_many_policies_for_other_clusters_are_one_note() -> None:
    others = [elsewhere(good(policy(f"p{number:02}"))) for number in range(10)]
    found = SmallCluster().plan(wanted(*others))
    note = "10 policies are not for this cluster: p00, p01, p02, p03, p04, p05, p06, p07 and 2 more"
    assert note in found.notes
    assert not [note for note in SmallCluster().plan(wanted()).notes if "cluster" in note]


def test_a_policy_that_chooses_other_clusters_now_loses_its_schedule() -> None:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(wanted(good(policy("shop")))))
    plan = cluster.apply(cluster.plan(wanted(elsewhere(good(policy("shop"))))))
    (change,) = [change for change in plan.pending if change.action is Action.DELETED]
    assert change.object.name == "backstay-shop"
    assert change.reason == (
        f"policy shop does not choose this cluster any more: {WHY};"
        " runs, recovery points and manifests stay"
    )
    assert cluster.plan(wanted(elsewhere(good(policy("shop"))))).empty


def test_the_brakes_hold_when_all_policies_leave() -> None:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(desired(good(policy("shop")))))
    plan = cluster.plan(desired(elsewhere(good(policy("shop")))))
    assert plan.empty
    assert plan.brakes == ("the revision holds no policy at all",)


def test_a_broken_policy_for_another_cluster_says_nothing_here() -> None:
    found = SmallCluster().plan(wanted(elsewhere(broken("shop"))))
    assert not [change for change in found.changes if change.policy == "shop"]
    assert found.problems


def test_a_broken_policy_stays_at_its_last_good_version_wherever_it_is_for_now() -> None:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(wanted(good(policy("shop")))))
    plan = cluster.plan(wanted(elsewhere(broken("shop"))))
    assert plan.empty
    assert ("skipped", "CronJob/backstay-shop") in actions(plan)
