"""Reporters: JSON lines in a log, words and a bar on a terminal."""

from __future__ import annotations

import io
import json

from rich.console import Console

from reconciler.adapters.loglines import JsonLines
from reconciler.adapters.terminal import TerminalReporter
from reconciler.report.loglines import render_entry


def test_a_log_gets_one_json_object_per_line() -> None:
    out = io.StringIO()
    JsonLines(stream=out).warning("mover left behind", claim="files", why="")
    entry = json.loads(out.getvalue())
    assert entry.pop("time").endswith("Z")
    assert entry == {"event": "mover left behind", "level": "warning", "claim": "files"}


def test_a_log_gets_progress_once_in_a_while_and_at_the_end() -> None:
    out = io.StringIO()
    reporter = JsonLines(stream=out)
    for done in range(1, 101):
        reporter.progress("volumes", done, 100)
    lines = [json.loads(line)["done"] for line in out.getvalue().splitlines()]
    assert lines == [1, 100]


def test_a_reporter_whose_reader_left_goes_on() -> None:
    out = io.StringIO()
    out.close()
    JsonLines(stream=out).event("still here")


def test_a_terminal_gets_words_and_a_bar_that_goes_away() -> None:
    out = io.StringIO()
    reporter = TerminalReporter(
        render_entry, Console(file=out, force_terminal=True, color_system=None, width=100)
    )
    reporter.progress("volumes", 1, 2)
    reporter.event("volume ended", claim="files", why="[bold] is no markup")
    reporter.progress("volumes", 2, 2)
    text = out.getvalue()
    assert "volume ended  claim=files" in text
    assert "[bold] is no markup" in text
    assert "1/2" in text
    assert text.endswith("\x1b[2K\x1b[?25h\r")  # the bar's line is wiped, the cursor is back
