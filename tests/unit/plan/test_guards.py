"""Which places are held, at which numbers, and how a plan says what guards a policy has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.policy import Guards
from reconciler.plan.guards import FEW, Place, Shrink, judge, too_few, words

MAP, APP = "configmap", "deployment.apps"


def told(
    guards: Guards,
    before: dict[Place, int],
    now: dict[Place, int],
    *,
    lost: tuple[str, ...] = (),
) -> dict[Place, str]:
    gone = {place: max(0, count - now.get(place, 0)) for place, count in before.items()}
    return judge(guards, Shrink(before=before, now=now, gone=gone), lost)


@pytest.mark.parametrize(
    ("percent", "before", "now", "held"),
    [
        (50, 40, 20, False), (50, 40, 19, True), (50, 3, 2, False), (50, 3, 1, True),
        (50, 1, 0, False), (50, 2, 0, True), (0, 1, 0, True), (0, 40, 39, True), (0, 40, 40, False),
        (1, 40, 39, False), (1, 40, 38, True), (100, 40, 0, False), (None, 40, 0, False),
    ],
)  # fmt: skip
def test_the_limit(percent: int | None, before: int, now: int, held: bool) -> None:
    found = told(Guards(max_shrink=percent), {("shop", MAP): before}, {("shop", MAP): now})
    assert bool(found) is held


def test_a_kind_counts_from_ten_on() -> None:
    for count, held in ((FEW - 1, False), (FEW, True)):
        before = {("shop", MAP): count, ("shop", APP): 100}
        found = told(Guards(max_shrink=50), before, {("shop", APP): 100})
        assert bool(found) is held


def test_a_kind_that_is_gone_from_everywhere_is_held_everywhere() -> None:
    before = {(f"n{number}", kind): size for number in range(FEW) for kind, size in
              ((MAP, 1), (APP, 9))}  # fmt: skip
    now = {place: count for place, count in before.items() if place[1] == APP}
    found = told(Guards(max_shrink=50), before, now)
    assert set(found) == {(f"n{number}", MAP) for number in range(FEW)}
    assert set(found.values()) == {
        "configmap of all namespaces: 0 of 10 objects are left, maxShrink is 50%"
    }


def test_what_is_cluster_scoped_is_a_part_of_its_own() -> None:
    before = {("", "clusterrole"): 20, ("shop", MAP): 5}
    found = told(Guards(max_shrink=50, min_objects=3), before, {("shop", MAP): 5})
    assert found == {
        ("", "clusterrole"): "what is cluster-scoped: 0 of 20 objects are left, maxShrink is 50%"
    }


@pytest.mark.parametrize(
    ("guards", "held"),
    [
        (Guards(max_shrink=99), True),
        (Guards(max_shrink=100), False),
        (Guards(max_shrink=100, min_objects=1), True),
        (Guards(min_objects=1), True),
    ],
)
def test_a_namespace_that_left_is_held_unless_everything_may_go(guards: Guards, held: bool) -> None:
    found = told(guards, {("shop", MAP): 1}, {}, lost=("shop",))
    assert bool(found) is held


def test_the_floor_is_of_selected_namespaces() -> None:
    guards = Guards(min_objects=3)
    now = {("shop", MAP): 2, ("shop", APP): 1, ("blog", MAP): 2}
    assert too_few(guards, now, ["shop", "blog", "new"]) == {
        "blog": "2 objects, fewer than guards.minObjects: 3",
        "new": "0 objects, fewer than guards.minObjects: 3",
    }
    assert too_few(Guards(max_shrink=1), now, ["blog"]) == {}


@given(
    st.integers(0, 100),
    st.dictionaries(
        st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from([MAP, APP])),
        st.tuples(st.integers(0, 30), st.integers(0, 30)),
    ),
)
def test_only_what_went_is_held_and_nothing_where_nothing_shrank(
    percent: int, counts: dict[Place, tuple[int, int]]
) -> None:
    before = {place: one for place, (one, _) in counts.items()}
    now = {place: one for place, (_, one) in counts.items()}
    found = told(Guards(max_shrink=percent), before, now)
    assert all(before[place] > now[place] for place in found)
    strict = told(Guards(max_shrink=0), before, now)
    assert set(found) <= set(strict), "a stricter limit holds at least as much"


def test_the_words() -> None:
    assert words(None).startswith("no guards: ")
    assert words(Guards()).startswith("no guards: ")
    assert words(Guards(max_shrink=50, min_objects=3, accept="7f")) == (
        "guards: maxShrink 50%, minObjects 3, accepts 7f once"
    )
