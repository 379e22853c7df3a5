"""What goes on, told on stderr: JSON lines, or text for a person without a terminal.

A message is a constant, everything that varies is a field. Values never hold secrets: what
reaches a reporter has been masked where it was raised. Reporting never fails its caller. The
standard library alone does it: a library for logs takes longer to import than a small volume takes
to copy.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TextIO

_PROGRESS_EVERY = 10.0
"""Seconds between two lines of progress about the same thing."""
_NO_REASON_TO_FAIL = (OSError, ValueError, TypeError)
"""A stream that is closed or full, text that it can't take, a field that no line can hold."""


def _as_json(entry: Mapping[str, object]) -> str:
    return json.dumps(entry, default=str)


class JsonLines:
    """Reporter that writes one JSON object per line to ``stream`` (stderr).

    Another ``render`` makes another line of an event with its fields, ``level`` and ``time``.
    """

    def __init__(
        self,
        *,
        stream: TextIO | None = None,
        render: Callable[[Mapping[str, object]], str] = _as_json,
    ) -> None:
        self._out = stream or sys.stderr
        self._render = render
        self._last: dict[str, float] = {}

    def event(self, message: str, **fields: object) -> None:
        """Something happened as it should."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Somebody should look at this."""
        self._write("warning", message, fields)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far something long is; at most one line per thing and ten seconds."""
        now = time.monotonic()
        if done < total and now - self._last.get(what, -_PROGRESS_EVERY) < _PROGRESS_EVERY:
            return
        self._last[what] = now
        self.event("progress", what=what, done=done, total=total)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        kept = {key: value for key, value in fields.items() if value not in (None, "", ())}
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with contextlib.suppress(*_NO_REASON_TO_FAIL):
            line = self._render({**kept, "event": message, "level": level, "time": moment})
            # In one piece: what another thread tells at the same time must not come between.
            self._out.write(f"{line}\n")
            self._out.flush()
