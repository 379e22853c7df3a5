"""What the controller's loop sleeps by: rung by other threads, and by a signal's handler."""

from __future__ import annotations

import contextlib
import queue
import time


class SystemBell:
    """A queue that is safe where a lock is not: its ``put`` may interrupt its own ``get``."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back, whatever happens to the clock."""
        return time.monotonic()

    def ring(self) -> None:
        """Ends the wait that is, or the next one."""
        self._rings.put(None)

    def wait(self, seconds: float) -> None:
        """Returns when it rings, or after so many seconds."""
        with contextlib.suppress(queue.Empty):
            self._rings.get(timeout=max(seconds, 0.0))
