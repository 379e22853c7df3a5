"""Log lines on a terminal."""

from __future__ import annotations

import json

import pytest

from reconciler.report.loglines import json_line, parse_line, render_line, run_document

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


@pytest.mark.parametrize("line", [json.dumps(LINE), "error: no", "", "[1]", '{"a": 1}', "{"])
def test_every_line_of_a_pod_is_an_object_in_a_stream_of_json(line: str) -> None:
    entry = parse_line(json_line(line))
    assert entry is not None
    assert entry == LINE or (entry["event"], entry["text"]) == ("output", line)


def test_a_run_that_told_no_end_has_one_all_the_same() -> None:
    made = run_document("backstay-shop-1", {}, 1)
    assert (made["formatVersion"], made["exitCode"]) == (1, 1)
    assert made["outcome"] is None
