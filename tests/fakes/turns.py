"""Two processes that take turns: one is held at any of its calls while the other goes on.

Threads, of which only one runs at a time; who runs when is the test's word alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_PATIENCE = 60.0
"""Seconds after which a test that waits for itself has failed."""


class Process:
    """``work`` gets a step to call at each moment; it runs when it is told to, and as far."""

    def __init__(self, work: Callable[[Callable[[str], None]], object]) -> None:
        self.moments: list[str] = []
        self.result: object = None
        self.error: BaseException | None = None
        self.over = False
        self._work = work
        self._stop_at = -1
        self._go = threading.Event()
        self._held = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def run_to(self, moment: int) -> None:
        """Until the moment of this number (0 is the first), or to the end if there are fewer."""
        self._stop_at = moment
        self._held.clear()
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.set()
        if not self._held.wait(_PATIENCE):
            raise TimeoutError("the process neither came to its moment nor ended")
        if self.error is not None:
            raise self.error

    def finish(self) -> object:
        """To its end; returns what ``work`` did."""
        if not self.over:
            self.run_to(-1)
        return self.result

    def _step(self, moment: str) -> None:
        self.moments.append(moment)
        if len(self.moments) - 1 == self._stop_at:
            self._go.clear()
            self._held.set()
            if not self._go.wait(_PATIENCE):
                raise TimeoutError("nobody let the process go on")

    def _run(self) -> None:
        try:
            self.result = self._work(self._step)
        except BaseException as error:  # noqa: BLE001 - raised again where the process is waited for
            self.error = error
        finally:
            self.over = True
            self._held.set()
