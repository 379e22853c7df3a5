"""A pod's JSON log lines: as a person reads them, and what they say of a run's end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_OWN = {"event", "level", "time", "run"}
RUN_ENDS = "run ends"
"""The event of a run's last line."""


def render_line(line: str) -> str:
    """``04:17:08  volume ended  claim=files outcome=Completed``; other lines stay as they are."""
    entry = parse_line(line)
    return line if entry is None else render_entry(entry)


def parse_line(line: str) -> dict[str, Any] | None:
    """The event in a pod's line; None where it is another line, such as an error's text."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None


def json_line(line: str) -> str:
    """A pod's line as one JSON object, whatever it is."""
    return line if parse_line(line) else json.dumps({"event": "output", "text": line})


def run_document(job: str, end: Mapping[str, object], exit_code: int) -> dict[str, Any]:
    """What came of a run that was followed; null is what its pods' last `RUN_ENDS` did not say."""
    fields = ("run", "outcome", "commit", "objects", "volumes", "why")
    return {
        "formatVersion": 1,
        "type": "runEnd",
        "job": job,
        "exitCode": exit_code,
        **{name: end.get(name) for name in fields},
    }


def render_entry(entry: Mapping[str, object]) -> str:
    """One event with its fields; ``event``, ``level`` and ``time`` stand in front."""
    clock = str(entry.get("time", ""))[11:19]
    mark = "! " if entry.get("level") in ("warning", "error") else "  "
    fields = "  ".join(f"{key}={_value(value)}" for key, value in entry.items() if key not in _OWN)
    return f"{clock} {mark}{entry['event']}  {fields}".rstrip()


def _value(value: object) -> str:
    text = str(value)
    if len(text) == 64 and all(character in "0123456789abcdef" for character in text):
        return text[:10]  # a restic id: the record has it whole
    return json.dumps(text, ensure_ascii=False) if " " in text else text
