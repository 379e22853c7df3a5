"""Which recovery point `--at` means, and the order of `log`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model.errors import Refused, UsageError
from reconciler.model.run import Outcome
from reconciler.plan.recoverypoints import (
    RecoveryPoint,
    choose_point,
    find_point,
    order_points,
    tell_late,
    tell_newer,
)


def point(
    day: int, hour: int, outcome: Outcome = Outcome.COMPLETED, commit: str = ""
) -> RecoveryPoint:
    started = datetime(2026, 11, day, hour, 17, 3, tzinfo=UTC)
    return RecoveryPoint(
        run_id=f"shop-202611{day}-{hour:02}1703-7c1e9",
        commit=commit or f"{day:02}{hour:02}" + "ab" * 18,
        started=started,
        outcome=outcome,
    )


LATE = point(21, 4, Outcome.FAILED)
PARTIAL = point(20, 16, Outcome.PARTIALLY_FAILED)
GOOD = point(20, 4)
OLD = point(19, 4)
POINTS = (LATE, PARTIAL, GOOD, OLD)


def choose(at: str, *, allow_partial: bool = False) -> RecoveryPoint:
    return choose_point(POINTS, at, policy="shop", allow_partial=allow_partial, copied=at_once)


def at_once(point: RecoveryPoint) -> datetime:
    return point.started


def test_points_are_ordered_by_start_whatever_the_commits_order_is() -> None:
    assert order_points([GOOD, LATE, OLD, PARTIAL]) == POINTS


def test_of_a_run_with_two_commits_the_first_given_counts() -> None:
    twin = point(20, 4, commit="cd" * 20)
    assert order_points([twin, GOOD]) == (twin,)


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("latest", GOOD),
        ("2026-11-20", GOOD),
        ("2026-11-19", OLD),
        ("2026-11-20T04:17:03Z", GOOD),
        ("2026-11-20T04:17:02Z", OLD),
        ("2026-11-20T05:17:03+01:00", GOOD),
        ("2026-11-20 04:17Z", OLD),
        (GOOD.run_id, GOOD),
        (OLD.commit, OLD),
        (OLD.commit[:7], OLD),
    ],
)
def test_forms_of_at(at: str, found: RecoveryPoint) -> None:
    assert choose(at) == found


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("latest", PARTIAL),
        ("2026-11-20", PARTIAL),
        ("2026-11-20T10:00:00Z", GOOD),
        (PARTIAL.run_id, PARTIAL),
        (PARTIAL.commit, PARTIAL),
    ],
)
def test_partial_points_are_taken_where_that_is_allowed(at: str, found: RecoveryPoint) -> None:
    assert choose(at, allow_partial=True) == found


@pytest.mark.parametrize("at", [PARTIAL.run_id, PARTIAL.commit])
def test_a_partial_point_that_is_named_is_refused_with_a_way_out(at: str) -> None:
    with pytest.raises(Refused, match="PartiallyFailed") as caught:
        choose(at)
    assert "--allow-partial" in caught.value.hint
    assert GOOD.run_id in caught.value.hint


@pytest.mark.parametrize("at", [LATE.run_id, LATE.commit, LATE.commit[:8]])
@pytest.mark.parametrize("allow", [True, False])
def test_a_failed_run_is_never_a_recovery_point(at: str, allow: bool) -> None:
    with pytest.raises(Refused, match="stored nothing"):
        choose(at, allow_partial=allow)


@pytest.mark.parametrize(
    "at", ["yesterday", "2026-13-01", "2026-11-20T25:00:00Z", "abc", "2026-02-30", ""]
)
def test_what_is_no_form_of_at_is_wrong_usage(at: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(at)
    assert "latest" in caught.value.hint


def test_a_time_without_its_zone_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="no time zone") as caught:
        choose("2026-11-20T04:17:03")
    assert "2026-11-20T04:17:03Z" in caught.value.hint


def test_a_date_without_dashes_passes_for_a_commit_and_the_hint_says_how() -> None:
    with pytest.raises(Refused, match="no recovery point 20261119") as caught:
        choose("20261119")
    assert "a date is written 2026-11-21" in caught.value.hint


def test_before_the_first_point_there_is_none() -> None:
    with pytest.raises(Refused, match="no recovery point at or before 2026-11-18") as caught:
        choose("2026-11-18")
    assert caught.value.hint == f"the newest complete one is --at {GOOD.run_id}"
    with pytest.raises(Refused, match="has no recovery point"):
        choose_point((), "latest", policy="shop", allow_partial=False, copied=at_once)


def test_where_none_is_complete_the_partial_one_is_offered() -> None:
    with pytest.raises(Refused, match="is Failed") as caught:
        choose_point((LATE, PARTIAL), "latest", policy="shop", allow_partial=False, copied=at_once)
    assert PARTIAL.run_id in caught.value.hint
    with pytest.raises(Refused) as caught:
        choose_point((LATE,), "latest", policy="shop", allow_partial=True, copied=at_once)
    assert "backstay log shop" in caught.value.hint


def test_where_none_was_complete_by_then_the_newest_complete_one_is_named() -> None:
    early = point(18, 4, Outcome.PARTIALLY_FAILED)
    told = "no complete recovery point at or before 2026-11-18; the last run"
    with pytest.raises(Refused, match=told) as caught:
        choose_point(
            (*POINTS, early), "2026-11-18", policy="shop", allow_partial=False, copied=at_once
        )
    assert f"--allow-partial would take {early.run_id}" in caught.value.hint
    assert f"the newest complete one is --at {GOOD.run_id}" in caught.value.hint


def test_unknown_and_ambiguous_names_are_refused() -> None:
    with pytest.raises(Refused, match="no recovery point"):
        choose("shop-20260101-000000-aaaaa")
    with pytest.raises(Refused, match="no recovery point"):
        choose("deadbeef")
    twins = (point(20, 4, commit="ab" * 20), point(19, 4, commit="abababab" + "c" * 32))
    with pytest.raises(Refused, match="ambiguous") as caught:
        choose_point(twins, "abababab", policy="shop", allow_partial=False, copied=at_once)
    assert caught.value.hint


def test_show_finds_any_run_and_nothing_else() -> None:
    assert find_point(POINTS, LATE.run_id, policy="shop") == LATE
    with pytest.raises(UsageError, match="neither a run nor a commit"):
        find_point(POINTS, "latest", policy="shop")


@pytest.mark.parametrize("at", ["latest", "2026-11-20", "2026-11-21T02:00:00Z"])
def test_partial_points_that_are_passed_over_are_told(at: str) -> None:
    assert tell_newer(POINTS, GOOD, at, at_once) == (
        f"1 newer recovery point is PartiallyFailed ({PARTIAL.run_id}); --allow-partial takes it"
    )
    newest = point(20, 17, Outcome.PARTIALLY_FAILED)
    assert tell_newer((newest, *POINTS), GOOD, at, at_once) == (
        f"2 newer recovery points are PartiallyFailed (newest: {newest.run_id});"
        " --allow-partial takes that one"
    )


@pytest.mark.parametrize("at", ["2026-11-20T05:00:00Z", GOOD.run_id, GOOD.commit])
def test_what_is_newer_than_was_asked_for_is_not_told(at: str) -> None:
    assert tell_newer(POINTS, GOOD, at, at_once) == ""
    assert tell_newer(POINTS, PARTIAL, "latest", at_once) == ""


def took(**minutes: int) -> Callable[[RecoveryPoint], datetime]:
    """Runs copy for so many minutes: `LATE`, `PARTIAL`, `GOOD`, `OLD`, in small letters."""
    names = {"late": LATE, "partial": PARTIAL, "good": GOOD, "old": OLD}
    last = {names[name].run_id: timedelta(minutes=given) for name, given in minutes.items()}
    return lambda point: point.started + last.get(point.run_id, timedelta())


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-11-20T04:17:03Z", OLD),
        ("2026-11-20T04:27:02Z", OLD),
        ("2026-11-20T04:27:03Z", GOOD),
        ("2026-11-20", GOOD),
        ("latest", GOOD),
        (GOOD.run_id, GOOD),
        (GOOD.commit, GOOD),
    ],
)
def test_a_time_means_the_newest_run_of_which_all_was_copied_by_then(
    at: str, found: RecoveryPoint
) -> None:
    chosen = choose_point(POINTS, at, policy="shop", allow_partial=False, copied=took(good=10))
    assert chosen == found


def test_a_date_leaves_out_what_was_copied_past_midnight() -> None:
    day = 24 * 60
    copied = took(good=day)
    assert (
        choose_point(POINTS, "2026-11-20", policy="shop", allow_partial=False, copied=copied) == OLD
    )
    told = tell_late(POINTS, OLD, "2026-11-20", copied)
    assert told == (
        f"run {GOOD.run_id} began before 2026-11-20 ended and copied until 2026-11-21T04:17:03Z:"
        f" it may hold what came later; --at {GOOD.run_id} takes it"
    )


def test_the_run_that_was_still_copying_is_told() -> None:
    at = "2026-11-20T04:20:00Z"
    assert tell_late(POINTS, OLD, at, took(good=10)) == (
        f"run {GOOD.run_id} began before {at} and copied until 2026-11-20T04:27:03Z:"
        f" it may hold what came later; --at {GOOD.run_id} takes it"
    )
    assert tell_late(POINTS, GOOD, at, took(good=1)) == ""
    for name in ("latest", GOOD.run_id, GOOD.commit):
        assert tell_late(POINTS, OLD, name, took(good=10)) == ""


def test_a_run_that_waited_long_hides_no_newer_one_and_is_no_answer() -> None:
    copied = took(old=3 * 24 * 60)
    at = "2026-11-20T10:00:00Z"
    assert choose_point(POINTS, at, policy="shop", allow_partial=False, copied=copied) == GOOD
    with pytest.raises(Refused, match="no recovery point at or before 2026-11-19"):
        choose_point(POINTS, "2026-11-19", policy="shop", allow_partial=False, copied=copied)


def test_a_partial_run_that_was_still_copying_is_not_offered() -> None:
    copied = took(partial=60)
    at = "2026-11-20T16:30:00Z"
    assert tell_newer(POINTS, GOOD, at, copied) == ""
    assert choose_point(POINTS, at, policy="shop", allow_partial=True, copied=copied) == GOOD
    alone = (LATE, PARTIAL)
    with pytest.raises(Refused) as caught:
        choose_point(alone, at, policy="shop", allow_partial=False, copied=copied)
    assert PARTIAL.run_id not in caught.value.hint


def test_few_records_are_read() -> None:
    asked: list[RecoveryPoint] = []

    def copied(point: RecoveryPoint) -> datetime:
        asked.append(point)
        return point.started

    choose_point(POINTS, "2026-11-20", policy="shop", allow_partial=False, copied=copied)
    assert asked == [GOOD]
    choose_point(POINTS, "latest", policy="shop", allow_partial=False, copied=copied)
    assert asked == [GOOD]


def test_a_run_of_another_policy_is_told_as_such_with_this_policys_log() -> None:
    with pytest.raises(Refused) as caught:
        choose_point((), GOOD.run_id, policy="blog", allow_partial=False, copied=at_once)
    assert caught.value.message == f"{GOOD.run_id} is a run of policy shop, not of blog"
    assert caught.value.hint == "list the runs with: backstay log blog"


@pytest.mark.parametrize("at", ["abc", "0420ab"])
def test_a_short_commit_learns_how_long_one_must_be(at: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose(at)
    assert "7 digits" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        find_point(POINTS, at, policy="shop")
    assert "7 digits" in caught.value.hint
