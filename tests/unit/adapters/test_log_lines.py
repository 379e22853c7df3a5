"""What a reporter writes, and that it never fails its caller."""

from __future__ import annotations

import io
import json

from reconciler.adapters.loglines import JsonLines


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_line_of_json_per_event() -> None:
    stream = io.StringIO()
    log = JsonLines(stream=stream)
    log.event("volume ended", claim="files", size=0, why="", snapshot=None)
    log.warning("odd", path=io.StringIO)
    one, two = lines(stream)
    assert (one["event"], one["level"], one["claim"], one["size"]) == (
        "volume ended",
        "info",
        "files",
        0,
    )
    assert "why" not in one
    assert "snapshot" not in one
    assert str(one["time"]).endswith("Z")
    assert two["level"] == "warning"


class Pieces(io.StringIO):
    """Remembers what it was given at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return super().write(text)


def test_a_line_is_written_in_one_piece() -> None:
    stream = Pieces()
    log = JsonLines(stream=stream)
    log.event("one")
    log.warning("two")
    assert [json.loads(piece)["event"] for piece in stream.pieces] == ["one", "two"]
    assert [piece[-1] for piece in stream.pieces] == ["\n", "\n"]


def test_progress_is_told_at_most_now_and_then_and_at_its_end() -> None:
    stream = io.StringIO()
    log = JsonLines(stream=stream)
    for done in range(1, 101):
        log.progress("volumes", done, 100)
    log.progress("other", 1, 2)
    assert [(line["what"], line["done"]) for line in lines(stream)] == [
        ("volumes", 1),
        ("volumes", 100),
        ("other", 1),
    ]


def test_a_stream_that_is_closed_does_not_fail_the_caller() -> None:
    stream = io.StringIO()
    log = JsonLines(stream=stream)
    stream.close()
    log.event("gone")
    log.warning("gone", name="\udce4")
    log.progress("gone", 1, 1)


def test_a_field_that_no_line_can_hold_does_not_fail_the_caller() -> None:
    stream = io.StringIO()
    log = JsonLines(stream=stream)
    log.event("x", level="z", name="n", odd={1, 2}, object=object())
    log.event("x", event="y")
    log.event("x", bad={b"bytes": object()})
    log.event("last")
    assert lines(stream)[0]["name"] == "n"
    assert lines(stream)[-1]["event"] == "last"
