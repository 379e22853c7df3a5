"""The cheaper way of listing a kind, by the stated rule."""

from __future__ import annotations

import pytest

from reconciler.plan.listingcost import (
    PAGE,
    REQUEST,
    is_by_name_cheaper,
    is_count_worth_asking,
    is_whole_kind_cheaper,
)


@pytest.mark.parametrize(
    ("selected", "total", "objects", "whole"),
    [
        (3, 5_000, 50_000, False),
        (3, 5_000, 5_000, False),
        (3, 5_000, 20, True),
        (2, 5_000, 1, True),
        (9, 5_000, 60_000, False),
        (9, 5_000, 300, True),
        (400, 5_000, 5_000, True),
        (5_000, 5_000, 50_000, True),
        (5_000, 5_000, 10_000_000, True),
        (2_500, 5_000, None, True),
        (1, 1, 0, True),
        (1, 5_000, None, False),
        (8, 5_000, None, False),
        (9, 5_000, None, True),
    ],
)
def test_the_cheaper_way(selected: int, total: int, objects: int | None, whole: bool) -> None:
    assert is_whole_kind_cheaper(selected, total, objects) is whole


def test_a_number_is_asked_for_where_it_can_change_the_decision() -> None:
    for selected, total in ((1, 5_000), (1, 1), (2_500, 5_000), (5_000, 5_000), (2, 3)):
        assert not is_count_worth_asking(selected, total)
        answers = {is_whole_kind_cheaper(selected, total, n) for n in (None, 1_000, 10**7)}
        assert len(answers) == 1
    for selected, total in ((2, 5_000), (9, 5_000), (2_000, 5_000)):
        assert is_count_worth_asking(selected, total)
        answers = {is_whole_kind_cheaper(selected, total, n) for n in (1, 10**7)}
        assert answers == {True, False}


@pytest.mark.parametrize("objects", [0, 1, 499, 500, 501, 7_777, 100_000])
@pytest.mark.parametrize("selected", [2, 3, 20, 700, 2_000])
def test_it_is_the_rule_as_it_is_written(selected: int, objects: int) -> None:
    total = 5_000
    pages = max(1, -(-objects // PAGE))
    whole = REQUEST * pages + objects
    each = REQUEST * selected + objects * selected / total
    assert is_whole_kind_cheaper(selected, total, objects) is (whole < each)


@pytest.mark.parametrize("total", [0, 1, 2, 60, 500, 501, 5_000])
@pytest.mark.parametrize("names", [1, 3, 100])
def test_a_few_are_asked_for_by_name_where_there_are_many(names: int, total: int) -> None:
    whole = REQUEST * max(1, -(-total // PAGE)) + total
    assert is_by_name_cheaper(names, total) is (REQUEST * names + names < whole)


def test_three_of_many_namespaces_are_asked_for_by_name() -> None:
    assert is_by_name_cheaper(3, 5_000)
    assert not is_by_name_cheaper(3, 60)
    assert not is_by_name_cheaper(400, 5_000)
