"""A cluster under a new name: a slip in Config stops everything, `renamedFrom` says it is meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.config import ClusterConfig, Config
from reconciler.model.errors import ClusterRenamed
from reconciler.plan.clustername import check_job, check_schedules
from tests.unit.plan.schedules_world import CONFIG, SmallCluster, actions, policies


def called(name: str, renamed_from: str = "") -> Config:
    return replace(CONFIG, cluster=ClusterConfig(name, renamed_from=renamed_from))


def job(cluster: str) -> dict[str, Any]:
    annotations = {naming.CLUSTER: cluster} if cluster else {}
    return {"metadata": {"name": "backstay-shop-1", "annotations": annotations}}


@pytest.fixture
def cluster() -> SmallCluster:
    """Two policies in force, of the cluster prod-eu."""
    made = SmallCluster()
    made.apply(made.plan(policies("mail", "shop")))
    return made


def test_a_schedule_and_its_jobs_say_which_cluster_they_are_for(cluster: SmallCluster) -> None:
    found = cluster.of("CronJob")["backstay-shop"]
    template = found["spec"]["jobTemplate"]
    for raw in (found, template):
        assert raw["metadata"]["annotations"]["backstay.dev/cluster"] == "prod-eu"


@pytest.mark.parametrize("former", ["", "prod-us", "eu"])
def test_another_name_in_config_plans_nothing_at_all(cluster: SmallCluster, former: str) -> None:
    cluster.config = called("eu-1", former)
    with pytest.raises(ClusterRenamed) as caught:
        cluster.plan(policies("mail", "new"))
    assert caught.value.exit_code == 4
    assert caught.value.message == (
        "Config calls this cluster eu-1, and 2 of its 2 schedules were made for prod-eu: nothing is"
        " created, configured or deleted, and runs write nothing"
    )
    assert "put the old name back into Config" in caught.value.hint
    assert "write cluster.renamedFrom: prod-eu" in caught.value.hint


def test_a_name_put_back_is_as_if_nothing_had_been(cluster: SmallCluster) -> None:
    cluster.config = called("eu-1")
    with pytest.raises(ClusterRenamed):
        cluster.plan(policies("mail", "shop"))
    cluster.config = CONFIG
    assert cluster.plan(policies("mail", "shop")).empty


def test_renamed_on_purpose_its_schedules_are_made_again_and_the_plan_says_what_begins_anew(
    cluster: SmallCluster,
) -> None:
    cluster.config = called("eu-1", "prod-eu")
    plan = cluster.plan(policies("mail", "shop"))
    assert actions(plan) == [
        ("unchanged", "ConfigMap/backstay-mail-" + plan.changes[0].object.name[-10:]),
        ("configured", "CronJob/backstay-mail"),
        ("unchanged", "ConfigMap/backstay-shop-" + plan.changes[2].object.name[-10:]),
        ("configured", "CronJob/backstay-shop"),
    ]
    told = plan.notes[0]
    assert told.startswith("cluster prod-eu is called eu-1 now: ")
    assert "a new repository starts from zero" in told
    assert "backstay log POLICY --cluster prod-eu" in told
    cluster.apply(plan)
    again = cluster.plan(policies("mail", "shop"))
    assert again.empty
    assert not any("is called" in note for note in again.notes)
    cluster.config = called("eu-1")
    assert cluster.plan(policies("mail", "shop")).empty, "the line can go"


def test_a_cycle_that_was_cut_short_between_two_names_goes_on(cluster: SmallCluster) -> None:
    cluster.config = called("eu-1", "prod-eu")
    plan = cluster.plan(policies("mail", "shop"))
    cluster.apply(replace(plan, changes=plan.changes[:2]))
    again = cluster.plan(policies("mail", "shop"))
    assert [one.object.name for one in again.pending] == ["backstay-shop"]
    cluster.config = called("eu-1")
    with pytest.raises(ClusterRenamed, match="1 of its 2 schedules"):
        cluster.plan(policies("mail", "shop"))


def test_schedules_of_before_names_were_written_are_of_any_name(cluster: SmallCluster) -> None:
    for raw in cluster.of("CronJob").values():
        del raw["metadata"]["annotations"]["backstay.dev/cluster"]
    cluster.config = called("eu-1")
    assert cluster.plan(policies("mail", "shop")).pending
    assert check_schedules([], ClusterConfig("eu-1")) == ""


@pytest.mark.parametrize(
    ("made", "now", "former", "hint"),
    [
        ("prod-eu", "eu-1", "", "write cluster.renamedFrom: prod-eu"),
        ("prod-eu", "eu-1", "prod-us", "write cluster.renamedFrom: prod-eu"),
        ("prod-eu", "eu-1", "prod-eu", "the controller makes the schedule again"),
    ],
)
def test_a_job_of_another_name(made: str, now: str, former: str, hint: str) -> None:
    with pytest.raises(ClusterRenamed) as caught:
        check_job(job(made), ClusterConfig(now, renamed_from=former))
    assert caught.value.exit_code == 4
    assert caught.value.message == (
        "this run's Job was made for cluster prod-eu, and Config calls it eu-1: nothing was written"
    )
    assert hint in caught.value.hint


def test_a_job_of_this_name_or_of_none() -> None:
    check_job(job("eu-1"), ClusterConfig("eu-1"))
    check_job(job(""), ClusterConfig("eu-1"))
