"""A pod's JSON log lines as a person reads them on a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_OWN = {"event", "level", "time", "run"}


def render_line(line: str) -> str:
    """``04:17:08  volume ended  claim=files outcome=Completed``; other lines stay as they are."""
    try:
        entry: Any = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    return render_entry(entry)


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
