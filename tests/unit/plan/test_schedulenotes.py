"""What a plan says of a schedule: the compiled cron, and warnings with dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.model.policy import Objectives, Schedule
from reconciler.plan.schedulenotes import describe_schedule, schedule_notes
from tests.unit.plan.schedules_world import SmallCluster, desired, good, policy

NOW = datetime(2026, 11, 21, 18, 0, 30, tzinfo=UTC)
BERLIN = replace(
    policy("shop"),
    schedule=Schedule("17 2 * * *", "Europe/Berlin"),
    objectives=Objectives(rpo=26 * 3600),
)


def test_a_quiet_schedule_has_nothing_to_say() -> None:
    assert list(schedule_notes(policy("shop", "17 4 * * *"), "prod-eu", NOW)) == []


def test_warnings_have_dates() -> None:
    notes = list(schedule_notes(BERLIN, "prod-eu", NOW))
    assert [note.id for note in notes] == [
        "schedule/rpo",
        "schedule/run-lost",
        "schedule/run-doubled",
    ]
    rpo, lost, doubled = map(str, notes)
    assert rpo == (
        "policy shop: objectives.rpo promises 26h, and its schedule has 47 h without a run,"
        " from 2027-03-27T01:17:00Z"
    )
    assert lost == (
        "policy shop: no run at 02:17 on 2027-03-28: clocks go forward in Europe/Berlin,"
        " 47 h without a run"
    )
    assert doubled == (
        "policy shop: two runs at 02:17 on 2027-10-31: clocks go back in Europe/Berlin"
    )
    assert all(note.warning for note in notes)
    assert [bool(note.hint) for note in notes] == [True, True, False]


def test_the_compiled_schedule_is_told_where_it_differs() -> None:
    (note,) = schedule_notes(policy("shop", "H 4 * * *"), "prod-eu", NOW)
    minute = describe_schedule(policy("shop", "H 4 * * *"), "prod-eu", NOW).compiled.cron
    assert str(note) == (
        f"policy shop: schedule H 4 * * * is {minute} (Etc/UTC) on cluster prod-eu"
    )
    assert not note.warning


def test_a_suspended_policy_is_not_warned_of() -> None:
    assert list(schedule_notes(replace(BERLIN, suspend=True), "prod-eu", NOW)) == []


def test_a_schedule_described() -> None:
    shown = describe_schedule(BERLIN, "prod-eu", NOW)
    assert str(shown) == "17 2 * * * (Europe/Berlin)"
    assert shown.next_run == datetime(2026, 11, 22, 1, 17, tzinfo=UTC)
    assert describe_schedule(replace(BERLIN, suspend=True), "prod-eu", NOW).next_run is None
    hashed = describe_schedule(policy("shop", "H 4 * * *"), "prod-eu", NOW)
    assert str(hashed) == f"H 4 * * *: {hashed.compiled.cron} (Etc/UTC)"


def test_the_controller_s_plan_says_it() -> None:
    cluster = SmallCluster()
    wanted = desired(good(BERLIN), good(policy("mail", "H 4 * * *")))
    plan = cluster.plan(wanted)
    told = [note for note in plan.notes if note.startswith("policy ")]
    assert [note.split(":")[0] for note in told] == ["policy mail", *["policy shop"] * 3]
    cluster.apply(plan)
    assert [note for note in cluster.plan(wanted).notes if note.startswith("policy ")] == told[1:]


def test_what_is_said_stays_the_same_all_day() -> None:
    later = NOW.replace(hour=23)
    assert list(schedule_notes(BERLIN, "c", NOW)) == list(schedule_notes(BERLIN, "c", later))
