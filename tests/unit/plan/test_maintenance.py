"""What maintenance removes, and everything that holds it; each brake by its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.errors import Bug
from reconciler.model.policy import Retention
from reconciler.plan.keptpoints import Memory, change_digest
from reconciler.plan.maintenance import check_plan
from tests.unit.plan.maintenance_world import DAILY, C, F, P, World, days, line_of, run_id


def four_days() -> tuple[World, list[tuple[str, str]]]:
    """Runs of 4, 3, 2 and 1 days ago; ``keepDaily: 2`` keeps the last two."""
    world = World()
    return world, [world.run(days(age)) for age in (4, 3, 2, 1)]


def test_what_expired_goes_with_its_secrets_and_the_rule_is_told() -> None:
    world, runs = four_days()
    assert world.removed() == {*runs[0], *runs[1]}
    plan = world.plan()
    gone = line_of(plan, runs[0][0])
    assert gone.reasons == (
        f"{run_id('shop', days(4))} (shop) expired: no word of the retention keeps it",
    )
    kept = line_of(plan, runs[3][1])
    assert kept.reasons == (f"{run_id('shop', days(1))} (shop): keepDaily: 2026-11-21, 1 of 2",)
    assert all(line.reasons and all(line.reasons) for p in plan.places for line in p.lines)


def test_after_it_was_done_there_is_nothing_left_to_do() -> None:
    world, runs = four_days()
    world.forget(world.removed())
    assert world.removed() == set()
    assert {one.id for held in world.stored.values() for one in held} == {*runs[2], *runs[3]}


def test_a_snapshot_that_a_kept_record_of_another_policy_names_stays() -> None:
    world, runs = four_days()
    world.retentions["other"] = Retention(keep_yearly=1)
    world.record("other", days(4.1), {"shop": (C, [runs[0][0]])})
    assert world.removed() == {runs[0][1], *runs[1]}
    assert "other-" in line_of(world.plan(), runs[0][0]).reasons[0]


def test_an_unchanged_volume_stays_while_any_of_its_records_does() -> None:
    world = World()
    old = world.volume("shop", days(4))
    for age in (4, 3, 2, 1):
        world.record("shop", days(age), {"shop": (C, [old])})
    assert world.removed() == set()


def test_the_secrets_stay_while_one_namespace_of_their_run_does() -> None:
    world = World()
    held = world.secrets("shop", days(5))
    a, b = world.volume("shop", days(5), "a"), world.volume("shop", days(5), "b")
    world.record("shop", days(5), {"a": (C, [a]), "b": (C, [b])}, secrets=held)
    for age in (2, 1):
        world.record("shop", days(age), {"a": (C, [world.volume("shop", days(age), "a")])})
    assert world.removed() == {a}


def test_i13_the_last_good_point_stays_however_old() -> None:
    world = World(retentions={"shop": Retention(keep_last=1)})
    good = world.run(days(400))
    bad = [world.run(days(age), P) for age in (300, 200, 1)]
    assert world.removed() == {*bad[0], *bad[1]}
    assert line_of(world.plan(), good[0]).keep


def test_i13_a_point_that_lost_its_data_is_not_the_last_good_one() -> None:
    world = World(retentions={"shop": Retention(keep_last=1)})
    good, lost = world.run(days(20)), world.run(days(1))
    world.forget({lost[0]})
    assert world.removed() == set()
    assert line_of(world.plan(), good[0]).keep
    assert line_of(world.plan(), lost[1]).keep


def test_a_point_that_lost_its_secrets_takes_no_good_ones_place() -> None:
    world = World(retentions={"shop": Retention(keep_last=1)})
    good, lost = world.run(days(20)), world.run(days(1))
    world.forget({lost[1]})
    assert line_of(world.plan(), good[0]).keep
    assert world.removed() == set()


def test_a_longer_retention_does_not_count_what_is_gone() -> None:
    world, _ = four_days()
    world.forget(world.removed())
    extra = world.run(days(0.1))
    world.retentions["shop"] = Retention(keep_last=3)
    assert world.removed() == set()
    assert line_of(world.plan(), extra[0]).keep


def test_points_without_a_volume_never_push_out_the_last_that_have_one() -> None:
    world = World()
    runs = [world.run(days(age)) for age in (40, 39, 38)]
    for age in (3, 2, 1):
        world.record("shop", days(age), {"shop": (C, [])}, secrets=world.secrets("shop", days(age)))
    first = world.stored["main", "_cluster"][3].id
    assert world.removed() == {*runs[0], first}


def test_a_failed_part_goes_after_a_week() -> None:
    world = World()
    world.run(days(0.5))
    old, young = world.run(days(8), F), world.run(days(6), F)
    assert world.removed() == {*old}
    assert line_of(world.plan(), young[0]).keep


def test_a_run_dated_far_into_the_future_stays_and_takes_no_place() -> None:
    world = World(retentions={"shop": Retention(keep_last=1)})
    good, ahead = world.run(days(1)), world.run(days(-400))
    assert world.removed() == set()
    assert line_of(world.plan(), good[0]).keep
    assert "future" in line_of(world.plan(), ahead[0]).reasons[0]


def test_a_point_that_is_gone_takes_no_partial_ones_place() -> None:
    world = World(retentions={"shop": Retention(keep_last=1)})
    held, lost = world.run(days(3), P), world.run(days(1), P)
    world.run(days(9))
    world.forget({*lost})
    assert world.removed() == set()
    assert line_of(world.plan(), held[0]).keep


def test_what_its_record_does_not_name_stays_as_long_as_its_run() -> None:
    world = World(retentions={"shop": Retention(keep_daily=2)})
    runs = [world.run(days(age)) for age in (30, 20, 10)]
    more = [world.volume("shop", days(age)) for age in (30, 20)]
    assert world.removed() == {*runs[0], more[0]}
    assert "stays: keepDaily" in line_of(world.plan(), more[1]).reasons[0]


def test_what_a_run_stored_that_failed_as_a_whole_goes_after_a_week() -> None:
    world = World()
    world.run(days(0.5))
    old, young = world.secrets("shop", days(8)), world.secrets("shop", days(6))
    for age in (8, 6):
        world.record("shop", days(age), {})
    assert world.removed() == {old}
    assert "stays for a week" in line_of(world.plan(), young).reasons[0]


def test_a_snapshot_of_the_future_stays_though_its_run_expired() -> None:
    world = World()
    made = world.run(days(9))
    for age in (2, 1):
        world.run(days(age))
    world.stored["main", "shop"][0] = replace(world.stored["main", "shop"][0], time=days(-1))
    assert world.removed() == {made[1]}


# What never got a record


def test_what_never_got_a_record_goes_after_a_week_only() -> None:
    world = World()
    world.run(days(1))
    old = world.volume("shop", days(8)), world.secrets("shop", days(8))
    young = world.volume("shop", days(6))
    assert world.removed() == {*old}
    assert "no record yet" in line_of(world.plan(), young).reasons[0]


def test_a_run_that_went_on_for_days_counts_from_its_newest_snapshot() -> None:
    world = World()
    world.run(days(1))
    first, name = world.volume("shop", days(8)), run_id("shop", days(8))
    world.store("shop", "/data/b", ("policy:shop", f"run:{name}", "claim:b"), days(6))
    assert world.removed() == set()
    assert line_of(world.plan(), first).keep


def test_a_run_that_waits_as_a_bundle_keeps_all_that_it_stored() -> None:
    world = World()
    world.run(days(1))
    ids = [world.volume("shop", days(30)), world.bundle("shop", days(30))]
    assert world.removed() == set()
    # Also where somebody says that it was delivered, and the branch does not have it.
    world.delivered("shop", days(30), days(20))
    assert world.removed() == set()
    assert all("waits as" in line_of(world.plan(), one).reasons[0] for one in ids)


def test_a_delivered_bundle_goes_and_its_marker_after_it() -> None:
    world = World()
    world.run(days(1))
    world.run(days(9))
    bundle, marker = world.bundle("shop", days(9)), world.delivered("shop", days(9), days(8))
    assert world.removed() == {bundle}
    world.forget({bundle})
    assert world.removed() == {marker}


def test_a_delivered_bundle_stays_for_a_week() -> None:
    world = World()
    world.run(days(6))
    world.bundle("shop", days(6))
    assert world.removed() == set()


def test_while_cluster_is_not_listed_nothing_without_a_record_goes() -> None:
    world = World()
    world.record("shop", days(1), {"shop": (C, [world.volume("shop", days(1))])})
    lost = world.volume("shop", days(9))
    assert world.removed() == set()
    assert "_cluster is not listed" in line_of(world.plan(), lost).reasons[0]


def test_while_nobody_remembers_the_branch_nothing_without_a_record_goes() -> None:
    world = World(memories={"shop": Memory()})
    world.run(days(1))
    lost = world.volume("shop", days(9))
    assert world.removed() == set()
    assert "nobody remembers" in line_of(world.plan(), lost).reasons[0]


def test_what_a_rewound_branch_may_have_lost_stays() -> None:
    world = World()
    world.run(days(1))
    before, after = world.volume("shop", days(30)), world.volume("shop", days(10))
    world.rewound["shop"] = days(20)
    assert world.removed() == {after}
    assert "rewound" in line_of(world.plan(), before).reasons[0]


def test_a_policy_without_a_branch_keeps_all_that_its_runs_stored() -> None:
    world = World(retentions={"shop": DAILY, "new": DAILY})
    world.run(days(1))
    world.volume("new", days(30))
    assert world.removed() == set()


# Brakes


def test_brake_a_tip_that_is_no_descendant_of_the_last_one_seen() -> None:
    world, _ = four_days()
    world.memories["shop"] = Memory(tips=("tip-shop", "lost-commit"))
    assert world.removed() == set()
    (why,) = world.plan().brakes
    assert "does not have commit lost-commit" in why
    assert "rewound" in why


def test_brake_a_branch_that_is_gone() -> None:
    world, _ = four_days()
    world.memories["other"] = Memory(tips=("its-tip",))
    assert world.removed() == set()
    (why,) = world.plan().brakes
    assert why == "the branch of policy other is gone; it was at commit its-tip"


def test_brake_a_record_that_can_not_be_read() -> None:
    world, _ = four_days()
    world.record("other", days(1), {})
    world.problems["other"] = ("commit 4711: no record",)
    assert world.removed() == set()
    assert world.plan().brakes == ("policy other: commit 4711: no record",)


def test_brake_a_run_with_two_records_that_differ() -> None:
    world, _ = four_days()
    world.records["shop"].append(replace(world.records["shop"][0], writer="somebody else"))
    assert world.removed() == set()
    assert "two records that differ" in world.plan().brakes[0]


def test_a_run_that_is_twice_on_its_branch_is_one() -> None:
    world, runs = four_days()
    world.records["shop"].append(world.records["shop"][2])
    assert world.removed() == {*runs[0], *runs[1]}


@pytest.mark.parametrize("field", ["policy", "cluster"])
def test_brake_a_record_of_somebody_else(field: str) -> None:
    world, _ = four_days()
    mine = world.records["shop"][-1]
    other = replace(mine, **{field: replace(getattr(mine, field), name="other")})
    world.records["shop"][-1] = other
    assert world.removed() == set()
    assert "its branch has a record of" in world.plan().brakes[0]


def _shortened() -> tuple[World, list[tuple[str, str]]]:
    """Ten daily points under ``keepDaily: 10``, and now it says 2."""
    world = World(retentions={"shop": DAILY})
    ten = Retention(keep_daily=10)
    return world, [world.run(days(age), words=ten) for age in range(10, 0, -1)]


def test_brake_a_changed_retention_that_expires_more_than_a_fifth() -> None:
    world, _ = _shortened()
    assert world.removed() == set()
    (question,) = world.plan().questions
    assert question.message == (
        "the changed retention of policy shop would expire 8 of 10 recovery points, more than 20 %"
    )
    assert world.plan().held == {"shop": question.message}


def test_a_changed_retention_that_was_approved_expires() -> None:
    world, runs = _shortened()
    world.approvals = frozenset({world.plan().questions[0].digest})
    assert world.removed() == {one for ids in runs[:8] for one in ids}


def test_an_approval_is_of_these_words_alone() -> None:
    world, _ = _shortened()
    ten = Retention(keep_daily=10)
    wrong = (
        change_digest("other", "shop", [ten], DAILY),
        change_digest("prod", "other", [ten], DAILY),
        change_digest("prod", "shop", [ten], Retention(keep_daily=3)),
        change_digest("prod", "shop", [Retention(keep_daily=9)], DAILY),
    )
    world.approvals = frozenset(wrong)
    assert world.removed() == set()
    assert change_digest("prod", "shop", [ten], DAILY) == world.plan().questions[0].digest


def test_a_changed_retention_that_expires_a_fifth_needs_nobody() -> None:
    world, runs = _shortened()
    world.retentions["shop"] = Retention(keep_daily=8)
    assert world.removed() == {*runs[0], *runs[1]}


def test_what_was_applied_last_is_what_a_change_is_held_against() -> None:
    world, runs = _shortened()
    world.memories["shop"] = Memory(tips=("tip-shop",), retention=DAILY)
    assert world.removed() == {one for ids in runs[:8] for one in ids}
    world.memories["shop"] = Memory(tips=("tip-shop",), retention=Retention(keep_daily=10))
    assert world.removed() == set()


def test_many_that_expire_by_an_unchanged_retention_need_nobody() -> None:
    world = World()
    runs = [world.run(days(age)) for age in range(30, 0, -1)]
    assert world.removed() == {one for ids in runs[:28] for one in ids}


def test_brake_a_retention_that_nobody_understands() -> None:
    world, _ = four_days()
    first = world.records["shop"][0]
    world.records["shop"][0] = replace(first, retention={"keepForever": 1})
    assert world.removed() == set()
    assert "can't be read" in world.plan().held["shop"]


def test_brake_a_policy_that_vanished_keeps_what_it_has() -> None:
    world, runs = four_days()
    lost = world.volume("shop", days(30))
    world.retentions = {}
    assert world.removed() == set()
    for one in (runs[0][0], lost):
        assert "not in force: it keeps what it has" in line_of(world.plan(), one).reasons[0]


def test_brake_a_policy_that_is_frozen_says_why() -> None:
    world, _ = four_days()
    world.frozen["shop"] = "policy shop is suspended"
    assert world.removed() == set()
    assert world.plan().held == {"shop": "policy shop is suspended"}


def test_one_policys_brake_is_in_no_others_way() -> None:
    world, runs = four_days()
    for age in (4, 3, 2, 1):
        world.run(days(age), policy="gone")
    assert world.removed() == {*runs[0], *runs[1]}


def test_brake_a_repository_that_could_not_be_listed_holds_what_names_it() -> None:
    world, runs = four_days()
    world.unlisted.add(("main", "_cluster"))
    assert world.removed() == set()
    assert "is not listed" in line_of(world.plan(), runs[0][0]).reasons[0]


def test_another_repository_is_not_touched() -> None:
    world, runs = four_days()
    assert world.plan("other").places == ()
    assert world.removed() == {*runs[0], *runs[1]}


# The second look


def _forced(world: World, ids: tuple[str, ...]) -> None:
    plan = world.plan()
    lines = {one: line_of(plan, one) for one in ids}
    places = tuple(
        replace(
            place,
            lines=tuple(
                replace(line, keep=line.snapshot.id not in lines and line.keep)
                for line in place.lines
            ),
        )
        for place in plan.places
    )
    check_plan(replace(plan, places=places), world.facts())


def test_the_second_look_finds_a_kept_point_that_would_lose_a_part() -> None:
    world, runs = four_days()
    with pytest.raises(Bug, match="which stays"):
        _forced(world, runs[2][:1])


def test_the_second_look_finds_the_last_good_point() -> None:
    world, runs = four_days()
    plan = world.plan()
    with pytest.raises(Bug, match="last good one"):
        check_plan(
            replace(
                plan,
                points=(),
                places=tuple(
                    replace(p, lines=tuple(replace(line, keep=False) for line in p.lines))
                    for p in plan.places
                ),
            ),
            world.facts(),
        )
    assert runs


def test_the_second_look_finds_a_brake_that_was_passed_over() -> None:
    world, _ = four_days()
    with pytest.raises(Bug, match="though the branch"):
        check_plan(replace(world.plan(), brakes=("the branch is gone",)), world.facts())
