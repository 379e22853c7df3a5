"""`maxPolicies` counts what is in force, not one revision: nobody gets past it by several."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.grants import Grant
from reconciler.model.plan import Desired
from tests.unit.plan.schedules_world import CONFIG, SmallCluster, actions, broken, desired, good
from tests.unit.plan.schedules_world import policy as one_policy

A, B = "teams/a", "teams/b"
GRANTS = (Grant(path="admin", admin=True), Grant(path=A, max_policies=2), Grant(path=B))


@pytest.fixture
def cluster() -> SmallCluster:
    """Two policies of a folder that may have two, one of another folder."""
    made = SmallCluster(config=replace(CONFIG, grants=GRANTS))
    made.apply(made.plan(revision("a1", "a2", "b1")))
    assert scheduled(made) == ["a1", "a2", "b1"]
    return made


def revision(*names: str, problem: str = "") -> Desired:
    """Policies of the folders that their names begin with, and a broken document."""
    documents = [good(one_policy(name), f"teams/{name[0]}/{name}.yaml") for name in names]
    return desired(*documents, *([broken(problem, f"teams/a/{problem}.yaml")] if problem else ()))


def scheduled(cluster: SmallCluster) -> list[str]:
    return [name.removeprefix("backstay-") for name in cluster.of("CronJob")]


def test_other_policies_with_each_broken_revision_are_not_taken_anew(cluster: SmallCluster) -> None:
    for names in (("a3", "a4"), ("a5", "a6"), ("a7",)):
        plan = cluster.apply(cluster.plan(revision(*names, "b1", problem="x")))
        assert scheduled(cluster) == ["a1", "a2", "b1"]
        (why,) = {change.reason for change in plan.changes if change.policy == names[0]}
        assert why == (
            f"folder teams/a would have {2 + len(names)} policies in force, with those that are not"
            " deleted now, and its grant is for 2"
        )
        assert not [kind for action, kind in actions(plan) if action == "created"]


def test_other_folders_and_what_is_in_force_go_on(cluster: SmallCluster) -> None:
    changed = good(one_policy("a1", "5 5 * * *"), "teams/a/a1.yaml")
    wanted = desired(
        changed,
        *(good(one_policy(name), f"teams/{name[0]}/{name}.yaml") for name in ("a3", "b1", "b2")),
        broken("x", "teams/b/x.yaml"),
    )
    cluster.apply(cluster.plan(wanted))
    assert scheduled(cluster) == ["a1", "a2", "b1", "b2"]
    assert cluster.of("CronJob")["backstay-a1"]["spec"]["schedule"] == "5 5 * * *"
    assert cluster.plan(wanted).empty


def test_a_good_revision_makes_room_for_what_it_brings(cluster: SmallCluster) -> None:
    cluster.config = replace(cluster.config, max_delete=100)
    cluster.apply(cluster.plan(revision("a3", "a4", "b1", problem="x")))
    cluster.apply(cluster.plan(revision("a3", "a4", "b1")))
    assert scheduled(cluster) == ["a3", "a4", "b1"]


def test_a_renamed_policy_takes_its_own_place(cluster: SmallCluster) -> None:
    heir = good(replace(one_policy("a3"), renamed_from="a2"), "teams/a/a3.yaml")
    others = (good(one_policy(name), f"teams/{name[0]}/{name}.yaml") for name in ("a1", "b1"))
    cluster.apply(cluster.plan(desired(heir, *others)))
    assert scheduled(cluster) == ["a1", "a3", "b1"]


def test_of_a_renamed_policy_that_would_be_one_too_many_the_old_schedule_goes_on(
    cluster: SmallCluster,
) -> None:
    heir = good(replace(one_policy("a3"), renamed_from="a2"), "teams/a/a3.yaml")
    others = (good(one_policy(name), f"teams/{name[0]}/{name}.yaml") for name in ("a1", "b1"))
    cluster.apply(cluster.plan(desired(heir, *others, broken("x", "teams/b/x.yaml"))))
    assert scheduled(cluster) == ["a1", "a2", "b1"]
