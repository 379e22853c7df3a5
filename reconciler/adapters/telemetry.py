"""What goes on, told to people and machines on stderr: JSON lines, or text on a terminal.

A message is a constant, everything that varies is a field. Values never hold secrets: what
reaches a reporter has been masked where it was raised. Reporting never fails its caller.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_NO_REASON_TO_FAIL = (OSError, ValueError, TypeError)
"""A stream that is closed or full, text that it can't take, a field that no line can hold."""
_PROGRESS_EVERY = 10.0
"""Seconds between two lines of progress about the same thing in a log."""


def _drop_empty(
    _logger: object, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if value not in (None, "", ())}


class LogReporter:
    """Reporter that writes one line per event to ``stream`` (stderr)."""

    def __init__(self, *, json: bool | None = None, stream: TextIO | None = None) -> None:
        out = stream or sys.stderr
        text = json is False or (json is None and out.isatty())
        renderer: Any = (
            structlog.dev.ConsoleRenderer(colors=out.isatty())
            if text
            else structlog.processors.JSONRenderer()
        )
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(out),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%SZ", utc=True, key="time"),
                _drop_empty,
                renderer,
            ],
        )
        self._last: dict[str, float] = {}

    def event(self, message: str, **fields: object) -> None:
        """Something happened as it should."""
        with contextlib.suppress(*_NO_REASON_TO_FAIL):
            self._log.info(message, **fields)

    def warning(self, message: str, **fields: object) -> None:
        """Somebody should look at this."""
        with contextlib.suppress(*_NO_REASON_TO_FAIL):
            self._log.warning(message, **fields)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far something long is; at most one line per thing and ten seconds."""
        now = time.monotonic()
        if done < total and now - self._last.get(what, -_PROGRESS_EVERY) < _PROGRESS_EVERY:
            return
        self._last[what] = now
        self.event("progress", what=what, done=done, total=total)
