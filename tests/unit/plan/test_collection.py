"""Old ConfigMaps go 48 hours after nobody names them, and not before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model.plan import Action, Change, Desired
from tests.unit.plan.schedules_world import (
    NOW,
    REV1,
    REV2,
    SmallCluster,
    broken,
    desired,
    good,
    history,
    job_using,
    policy,
)

OLD = desired(good(policy("shop", "1 1 * * *")))
NEW = desired(good(policy("shop", "2 2 * * *")))
HOUR = timedelta(hours=1)


@pytest.fixture
def cluster() -> SmallCluster:
    found = SmallCluster()
    found.apply(found.plan(OLD))
    return found


@pytest.fixture
def old(cluster: SmallCluster) -> str:
    return next(iter(cluster.of("ConfigMap")))


def about(cluster: SmallCluster, name: str, wanted: Desired = NEW, hours: int = 0) -> Change:
    """What the plan says of a ConfigMap some hours from now; applied."""
    plan = cluster.apply(cluster.plan(wanted, now=NOW + hours * HOUR))
    return next(c for c in plan.changes if c.object.name == name)


def test_an_unused_config_map_is_kept_48_hours(cluster: SmallCluster, old: str) -> None:
    first = about(cluster, old)
    assert first.action is Action.CONFIGURED
    assert first.reason == "unused from now on, kept until 2026-11-23T04:17:03Z"
    assert about(cluster, old, hours=47).action is Action.UNCHANGED
    assert about(cluster, old, hours=48).action is Action.DELETED
    assert old not in cluster.of("ConfigMap")


def test_a_job_that_names_it_keeps_it(cluster: SmallCluster, old: str) -> None:
    cluster.put(job_using(old))
    assert about(cluster, old).reason == "Job manual-1 uses it"
    assert about(cluster, old, hours=100).action is Action.UNCHANGED
    del cluster.objects["Job", "manual-1"]
    assert about(cluster, old, hours=101).action is Action.CONFIGURED
    cluster.put(job_using(old, "manual-2"))
    assert about(cluster, old, hours=102).reason == "Job manual-2 uses it again"
    del cluster.objects["Job", "manual-2"]
    assert about(cluster, old, hours=150).action is Action.CONFIGURED
    assert about(cluster, old, hours=197).action is Action.UNCHANGED


def test_going_back_to_an_old_version_takes_its_config_map_again(
    cluster: SmallCluster, old: str
) -> None:
    about(cluster, old)
    plan = cluster.apply(cluster.plan(OLD, history(REV1), now=NOW + HOUR))
    change = next(c for c in plan.changes if c.object.name == old)
    assert change.action is Action.CONFIGURED
    assert cluster.plan(OLD, history(REV1), now=NOW + HOUR).empty
    assert old in cluster.of("ConfigMap")
    assert about(cluster, old, wanted=OLD, hours=100).action is Action.UNCHANGED


def test_a_deleted_policys_config_map_goes_as_late(cluster: SmallCluster, old: str) -> None:
    others = desired(good(policy("mail")))
    cluster.apply(cluster.plan(desired(good(policy("mail")), good(policy("shop", "1 1 * * *")))))
    assert about(cluster, old, wanted=others).action is Action.CONFIGURED
    assert about(cluster, old, wanted=others, hours=49).action is Action.DELETED


def test_nothing_is_collected_while_a_revision_has_problems(
    cluster: SmallCluster, old: str
) -> None:
    about(cluster, old)
    ill = desired(good(policy("shop", "2 2 * * *")), broken("mail"))
    change = about(cluster, old, wanted=ill, hours=49)
    assert (change.action, old in cluster.of("ConfigMap")) == (Action.SKIPPED, True)


def test_config_maps_of_others_are_not_even_mentioned(cluster: SmallCluster) -> None:
    cluster.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}})
    labels = {"backstay.dev/component": "state"}
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "backstay-state", "labels": labels},
        }
    )
    plan = cluster.plan(OLD, history(REV2), now=NOW + 100 * HOUR)
    assert {c.policy for c in plan.changes} == {"shop"}


def test_a_mark_that_is_no_time_counts_as_none(cluster: SmallCluster, old: str) -> None:
    about(cluster, old)
    annotations = cluster.of("ConfigMap")[old]["metadata"]["annotations"]
    annotations["backstay.dev/unused-since"] = "yesterday"
    assert about(cluster, old, hours=100).action is Action.CONFIGURED
