"""Log lines on a terminal."""

from __future__ import annotations

import json

import pytest

from reconciler.report.loglines import render_line

LINE = {
    "claim": "files", "snapshot": "ab" * 32, "why": "it is so",
    "event": "volume ended", "level": "info", "time": "2026-11-21T04:17:08Z",
}  # fmt: skip


def test_a_line_of_ours_is_made_readable() -> None:
    assert render_line(json.dumps(LINE)) == (
        '04:17:08   volume ended  claim=files  snapshot=ababababab  why="it is so"'
    )


def test_a_warning_is_marked() -> None:
    assert render_line(json.dumps(LINE | {"level": "warning"})).startswith("04:17:08 ! volume")


@pytest.mark.parametrize("line", ["error: no", "", "[1]", '{"a": 1}', "{"])
def test_other_lines_stay(line: str) -> None:
    assert render_line(line) == line
