"""docs/lessons.md: each thing that others learned is a test here, by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/lessons.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and " | shown by |" not in line]


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there: set[str] = set()
    for path in TESTS.rglob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    assert sorted(named - there) == []


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_one(row: str) -> None:
    assert row.count(" | ") == 2
    assert "`test_" in row.rpartition(" | ")[2]
