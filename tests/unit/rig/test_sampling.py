"""Which tests a sample leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.sampling import choose

A, B = Path("a.py"), Path("b.py")


def test_one_of_each_n_is_tried_in_each_file() -> None:
    assert list(choose([(A, 3)] * 7)) == [True, False, False, True, False, False, True]
    assert list(choose([(A, 3), (B, 3), (A, 3), (B, 3)])) == [True, True, False, False]


def test_what_is_not_marked_is_always_tried() -> None:
    assert list(choose([(A, 1), (A, 2), (A, 1), (A, 2), (A, 1)])) == [True, True, True, False, True]


@pytest.mark.one_in(1_000)
@pytest.mark.parametrize("number", range(3))
def test_only_a_sample_leaves_out(request: pytest.FixtureRequest, number: int) -> None:
    if request.config.getoption("--sample"):
        assert number == 0
