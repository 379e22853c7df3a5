"""What goes on, told to a person at a terminal: lines, and a bar for what takes long.

Everything goes to stderr, so that data on stdout stays data. Imported only where stderr is a
terminal: rich takes its time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn


class TerminalReporter:
    """Reporter for a person. The bar is gone once what it shows is done.

    ``render`` makes a line of an event with its fields, ``level`` and ``time``.
    """

    def __init__(
        self, render: Callable[[Mapping[str, object]], str], console: Console | None = None
    ) -> None:
        self._render = render
        self._console = console or Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def event(self, message: str, **fields: object) -> None:
        """Something happened as it should."""
        self._line(message, "info", fields)

    def warning(self, message: str, **fields: object) -> None:
        """Somebody should look at this."""
        self._line(message, "warning", fields)

    def progress(self, what: str, done: int, total: int) -> None:
        """Moves the bar of ``what``; the bar comes with the first call and goes with the last."""
        with contextlib.suppress(OSError, ValueError):
            if self._progress is None:
                columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
                self._progress = Progress(*columns, console=self._console, transient=True)
                self._progress.start()
            if what not in self._tasks:
                self._tasks[what] = self._progress.add_task(what, total=total)
            self._progress.update(self._tasks[what], completed=done, total=total, refresh=True)
            if done >= total:
                self._progress.remove_task(self._tasks.pop(what))
            if not self._tasks:
                self._progress.stop()
                self._progress = None

    def _line(self, message: str, level: str, fields: dict[str, object]) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        shown = {key: value for key, value in fields.items() if value not in (None, "", ())}
        entry = {"event": message, "level": level, "time": now, **shown}
        with contextlib.suppress(OSError, ValueError):
            self._console.print(self._render(entry), markup=False, soft_wrap=True)
