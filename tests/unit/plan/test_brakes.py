"""What must never be read as a deletion (I1), and what is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.plan import Action, Desired, History
from reconciler.model.store import Descends
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

NAMES = tuple(f"policy-{number}" for number in range(10))


def ten(max_delete: int = 20) -> SmallCluster:
    cluster = SmallCluster(config=replace(CONFIG, max_delete=max_delete))
    cluster.apply(cluster.plan(policies(*NAMES)))
    return cluster


def refused(cluster: SmallCluster, wanted: Desired, past: History) -> str:
    plan = cluster.apply(cluster.plan(wanted, past))
    assert cluster.deleted == []
    assert plan.remember == ""
    skipped = [
        c for c in plan.changes if c.object.kind == "CronJob" and c.action.value == "skipped"
    ]
    assert skipped
    assert all(c.hint for c in skipped if c.policy != "broken")
    return "; ".join(plan.brakes)


@pytest.mark.parametrize(
    ("wanted", "past", "why"),
    [
        (desired(), history(REV2), "the revision holds no policy at all"),
        (
            desired(),
            history(REV2, path="policies", path_found=False),
            "the folder policies is not in the revision",
        ),
        (policies(*NAMES[1:]), history(REV2, descends=Descends.NO), "history was rewritten"),
        (policies(*NAMES[1:]), history(REV2, descends=Descends.UNKNOWN), "it is unknown whether"),
        (policies(*NAMES[3:]), history(REV2), "3 of 10 policies would go at once, maxDelete"),
        (
            desired(*(good(policy(name)) for name in NAMES[1:]), broken("broken")),
            history(REV2),
            "the revision has 1 problem",
        ),
    ],
)
def test_i1_absence_is_no_deletion(wanted: Desired, past: History, why: str) -> None:
    assert refused(ten(), wanted, past).startswith(why)


def test_i1_a_lost_memory_brakes() -> None:
    cluster = ten()
    cluster.remembered = ""
    why = refused(cluster, policies(*NAMES[1:]), history(REV2, descends=Descends.UNKNOWN))
    assert why == "no earlier revision is remembered, so the history can't be checked"


def test_i1_a_rewritten_history_is_not_forgotten_by_looking_twice() -> None:
    cluster = ten()
    refused(cluster, policies(*NAMES[1:]), history(REV2, descends=Descends.NO))
    assert cluster.remembered == REV1
    refused(cluster, policies(*NAMES[1:]), history(REV3, descends=Descends.NO))


def test_a_rewritten_history_that_takes_nothing_away_is_accepted() -> None:
    cluster = ten()
    plan = cluster.apply(cluster.plan(policies(*NAMES), history(REV2, descends=Descends.NO)))
    assert plan.empty
    assert cluster.remembered == REV2


def test_the_same_revision_descends_from_itself() -> None:
    cluster = ten()
    cluster.put(
        {**cluster.of("CronJob")["backstay-policy-1"]}
        | {"metadata": {**cluster.of("CronJob")["backstay-policy-1"]["metadata"], "name": "x"}}
    )
    plan = cluster.plan(policies(*NAMES), history(REV1, descends=Descends.UNKNOWN))
    assert [c.object.name for c in plan.pending] == ["x"]


@pytest.mark.parametrize(("max_delete", "most"), [(20, 2), (0, 1), (9, 1), (35, 3), (100, 9)])
def test_max_delete(max_delete: int, most: int) -> None:
    cluster = ten(max_delete)
    plan = cluster.apply(cluster.plan(policies(*NAMES[most:]), history(REV2)))
    assert plan.counts()["deleted"] == most
    assert len(cluster.deleted) == most
    if most < 9:
        again = ten(max_delete)
        assert again.plan(policies(*NAMES[most + 1 :]), history(REV2)).empty


def test_the_only_policy_is_suspended_not_deleted() -> None:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(policies("shop")))
    refused(cluster, desired(), history(REV2))


keeps = st.sets(st.sampled_from(NAMES))


@settings(max_examples=15)
@given(
    kept=keeps,
    ill=keeps,
    descends=st.sampled_from(Descends),
    path_found=st.booleans(),
    steps=st.integers(1, 3),
)
def test_i1_only_cron_jobs_are_ever_deleted_and_only_from_a_whole_honest_revision(
    kept: set[str], ill: set[str], descends: Descends, path_found: bool, steps: int
) -> None:
    cluster = ten()
    wanted = desired(
        *(broken(name) if name in ill else good(policy(name)) for name in sorted(kept))
    )
    for revision in (REV2, REV3, REV1)[:steps]:
        past = history(revision, descends=descends, path_found=path_found)
        plan = cluster.apply(cluster.plan(wanted, past))
        deleted = [c for c in plan.changes if c.action is Action.DELETED]
        assert {c.object.kind for c in deleted} <= {"CronJob"}, actions(plan)
        honest = descends is Descends.YES or revision == REV1
        if not honest or not path_found or kept & ill or not kept:
            assert deleted == []
        assert all(c.policy not in kept for c in deleted)
