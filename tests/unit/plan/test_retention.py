"""Which recovery points stay: restic's words are held against restic in tests/contract."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.inventory import PointDigest
from reconciler.model.policy import Retention
from reconciler.model.run import Outcome
from reconciler.plan import retention
from reconciler.plan.retention import Point, decide, expired
from tests.conftest import Golden

# On a busy machine a list of points may take long to draw, which is no bug.
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow])
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
C, P, F = Outcome.COMPLETED, Outcome.PARTIALLY_FAILED, Outcome.FAILED
_NAMES = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
_WORDS = {
    **{f"keep_{name}": st.integers(1, 12) for name in _NAMES},
    **{
        f"keep_within{name}": st.sampled_from(["6h", "3d", "1m", "1y", "1y5m7d2h"])
        for name in ("", *(f"_{name}" for name in _NAMES[1:]))
    },
}
retentions = st.fixed_dictionaries({}, optional=_WORDS).filter(bool)
_outcomes = st.sampled_from([C, C, C, P, P, F, Outcome.SKIPPED, Outcome.FAILED_VALIDATION])
point_lists = st.lists(
    st.tuples(st.integers(-48, 24 * 900), _outcomes), max_size=40, unique_by=lambda pair: pair[0]
).map(lambda pairs: [_point(timedelta(hours=hours), outcome) for hours, outcome in pairs])


def _point(ago: timedelta, outcome: Outcome = C) -> Point:
    started = NOW - ago
    return Point(f"shop-{started:%Y%m%d-%H%M%S}", started, outcome)


def _kept(points: Iterable[Point], words: dict[str, Any]) -> set[Point]:
    return {v.point for v in decide(points, Retention(**words), NOW) if v.keep}


def _daily(outcomes: str) -> list[Point]:
    """One a day, the newest first: ``cpf`` is Completed, PartiallyFailed, Failed."""
    letters = {"c": C, "p": P, "f": F}
    return [_point(timedelta(days=n), letters[letter]) for n, letter in enumerate(outcomes)]


@PATIENT
@given(points=point_lists, words=retentions, seed=st.integers())
def test_the_order_of_points_does_not_matter(
    points: list[Point], words: dict[str, Any], seed: int
) -> None:
    mixed = list(points)
    random.Random(seed).shuffle(mixed)  # noqa: S311
    assert decide(mixed, Retention(**words), NOW) == decide(points, Retention(**words), NOW)


@PATIENT
@given(points=point_lists, words=retentions)
def test_deciding_again_about_what_stayed_changes_nothing(
    points: list[Point], words: dict[str, Any]
) -> None:
    kept = _kept(points, words)
    assert _kept(kept, words) == kept


@PATIENT
@given(points=point_lists, words=retentions, data=st.data())
def test_a_word_more_or_a_larger_one_keeps_all_that_was_kept(
    points: list[Point], words: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(_WORDS)))
    value = words.get(name)
    more: object = "2y" if "within" in name else (int(value or 0) + data.draw(st.integers(1, 9)))
    assert _kept(points, words) <= _kept(points, {**words, name: more})


@PATIENT
@given(points=point_lists, words=retentions)
def test_i13_the_last_complete_point_always_stays(
    points: list[Point], words: dict[str, Any]
) -> None:
    good = [point for point in points if point.outcome is C]
    restorable = [point for point in points if point.outcome in (C, P)]
    kept = _kept(points, words)
    assert not good or max(good, key=lambda point: point.started) in kept
    assert not restorable or max(restorable, key=lambda point: point.started) in kept


@PATIENT
@given(points=point_lists, words=retentions)
def test_i8_each_point_has_its_verdict_and_reasons(
    points: list[Point], words: dict[str, Any]
) -> None:
    found = decide(points, Retention(**words), NOW)
    assert sorted(v.point.run for v in found) == sorted(point.run for point in points)
    assert all(verdict.reasons for verdict in found)


@PATIENT
@given(points=point_lists, words=retentions)
def test_points_that_are_not_complete_take_no_place_from_those_that_are(
    points: list[Point], words: dict[str, Any]
) -> None:
    good = [point for point in points if point.outcome is C]
    kept = _kept(points, words)
    assert {point for point in kept if point.outcome is C} == _kept(good, words)
    assert not any(point.outcome not in (C, P) for point in kept)


def test_a_partial_point_stands_in_for_a_day_without_a_complete_one() -> None:
    points = _daily("cpccpc")
    assert _kept(points, {"keep_daily": 2}) == {points[0], points[1], points[2]}


def test_partial_points_alone_are_kept_no_longer_than_complete_ones() -> None:
    points = _daily("p" * 30)
    assert _kept(points, {"keep_daily": 7}) == set(points[:7])


def test_the_newest_partial_point_stays_until_a_complete_one_is_newer() -> None:
    later, earlier = _point(timedelta(hours=1), P), _point(timedelta(hours=3))
    assert _kept([later, earlier], {"keep_daily": 7}) == {later, earlier}
    after = _point(timedelta(0))
    assert _kept([after, later, earlier], {"keep_daily": 7}) == {after, earlier}


def test_without_a_word_everything_stays() -> None:
    assert _kept(_daily("cpf"), {}) == set(_daily("cpf"))


def test_of_two_points_with_one_run_the_first_counts() -> None:
    point = _point(timedelta(0))
    twice = [point, Point(point.run, NOW - timedelta(days=3), P)]
    assert [verdict.point for verdict in decide(twice, Retention(keep_last=1), NOW)] == [point]


def test_times_in_another_zone_are_of_their_day_in_utc() -> None:
    late = datetime.fromisoformat("2026-11-21T00:30:00+02:00")
    points = [Point("a", late), Point("b", datetime(2026, 11, 20, 1, tzinfo=UTC))]
    assert [p.run for p in expired(points, Retention(keep_daily=1), NOW)] == ["b"]


@pytest.mark.parametrize("span", ["", "30", "1w", "d", "1d1y", "-1d"])
def test_a_span_that_is_none_is_refused(span: str) -> None:
    with pytest.raises(ValueError, match="is not a span"):
        retention.span_hours(span)


def test_spans_of_more_years_than_there_are_keep_everything() -> None:
    points = _daily("c" * 5)
    for span in ("3000y", "999999d", "999999y999999m999999d999999h"):
        assert _kept(points, {"keep_within": span}) == set(points)


def test_points_of_one_namespace() -> None:
    digests = [
        PointDigest(policy="shop", run="r2", started=NOW, outcome=P, namespaces={"a": C, "b": P}),
        PointDigest(policy="shop", run="r1", started=NOW, outcome=C, namespaces={"a": C}),
    ]
    assert retention.points_in(digests, "b") == (Point("r2", NOW, P),)
    assert len(retention.points_in(digests, "a")) == 2


CASES: dict[str, tuple[list[Point], Retention]] = {
    "usual": (
        _daily("c" * 400),
        Retention(keep_last=3, keep_daily=7, keep_weekly=5, keep_monthly=12),
    ),
    "young": (_daily("c" * 5), Retention(keep_daily=7, keep_weekly=4)),
    "troubled": (_daily("fppcfpcccpfcc"), Retention(keep_last=2, keep_daily=4)),
    "within": (
        [_point(timedelta(hours=7 * n), P if n % 3 == 1 else C) for n in range(60)],
        Retention(keep_within="2d", keep_within_daily="1m", keep_within_weekly="1y5m7d2h"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_each_point(name: str, golden: Golden) -> None:
    points, words = CASES[name]
    lines = [f"{key}: {value}" for key, value in words.words().items()]
    for verdict in decide(points, words, NOW):
        told = "keep  " if verdict.keep else "expire"
        reasons = "; ".join(verdict.reasons)
        lines.append(
            f"{verdict.point.started:%F %H:%M} {verdict.point.outcome:15} {told} {reasons}"
        )
    golden(f"plan/retention-{name}.txt", "\n".join(lines) + "\n")
