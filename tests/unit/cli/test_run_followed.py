"""``backstay run``: its log is one stream, its end one document."""

from __future__ import annotations

import json

import pytest

from reconciler.cli.run import telling

LINES = (
    '{"event":"run starts","level":"info","time":"2026-11-21T04:17:03Z","run":"shop-1"}',
    '{"event":"run ends","level":"info","run":"shop-1","outcome":"Failed","time":"x"}',
    "error: wrong password",
    json.dumps({
        "event": "run ends", "level": "info", "time": "2026-11-21T04:19:03Z", "run": "shop-1",
        "outcome": "PartiallyFailed", "commit": "3f0a", "objects": 7, "volumes": 2,
        "why": "volume blog/posts: no space",
    }),
    "hint: no",
)  # fmt: skip


def test_as_json_the_log_is_objects_on_stderr_and_the_end_one_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell, end = telling("backstay-shop-1", "json")
    for line in LINES:
        tell(line)
    said = capsys.readouterr()
    assert said.out == ""
    entries = [json.loads(line) for line in said.err.splitlines()]
    assert [entry["event"] for entry in entries] == [
        "run starts", "run ends", "output", "run ends", "output",
    ]  # fmt: skip
    end(3)
    assert json.loads(capsys.readouterr().out) == {
        "formatVersion": 1,
        "type": "runEnd",
        "job": "backstay-shop-1",
        "exitCode": 3,
        "run": "shop-1",
        "outcome": "PartiallyFailed",
        "commit": "3f0a",
        "objects": 7,
        "volumes": 2,
        "why": "volume blog/posts: no space",
    }


def test_as_text_everything_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    tell, end = telling("backstay-shop-1", "text")
    for line in LINES:
        tell(line)
    end(3)
    said = capsys.readouterr()
    assert said.err == ""
    assert "{" not in said.out
    assert "run ends  outcome=PartiallyFailed" in said.out
