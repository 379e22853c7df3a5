"""The tables in docs/ are the code's, and lint says so when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks import tables

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", sorted({table.page for table in tables.TABLES}))
def test_a_page_has_its_tables_as_the_code_has_them(page: str) -> None:
    text = (tables.DOCS / page).read_text()
    assert tables.filled(page, text) == text, "run python -m scripts.checks.tables"


@pytest.mark.parametrize("table", tables.TABLES, ids=lambda table: table.marker)
def test_a_stale_table_is_written_anew(table: tables.Table) -> None:
    page = f"before\n<!-- {table.marker} -->\n| old |\n<!-- end -->\nafter\n"
    others = "".join(
        f"<!-- {one.marker} -->\n\n<!-- end -->\n"
        for one in tables.TABLES
        if one.page == table.page and one.marker != table.marker
    )
    made = tables.filled(table.page, page + others)
    assert made.startswith(f"before\n<!-- {table.marker} -->\n{table.render()}\n<!-- end -->\n")
    assert all(line.count(" | ") == len(table.head) - 1 for line in table.render().splitlines()[2:])


def test_a_page_that_lost_its_place_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"docs/captured\.md has no <!-- referenced kinds -->"):
        tables.filled("captured.md", "# nothing\n")


def test_lint_asks() -> None:
    asked = (PROJECT / "scripts/checks/generated.list").read_text().splitlines()
    assert ".venv/bin/python -m scripts.checks.tables" in asked
