"""A clock that moves when somebody sleeps; several threads may share it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Clock whose ``sleep`` takes no time. A deadline is reached by sleeping towards it."""

    def __init__(self, moment: datetime = datetime(2026, 11, 21, 4, 17, 5, tzinfo=UTC)) -> None:
        self._moment = moment
        self._lock = threading.Lock()
        self.slept = 0.0
        self.on_sleep: Callable[[], object] = lambda: None
        """What happens in the world while somebody sleeps."""

    def now(self) -> datetime:
        """As the port says."""
        with self._lock:
            return self._moment

    def sleep(self, seconds: float) -> None:
        """Moves it."""
        self.slept += seconds
        self.advance(seconds)
        self.on_sleep()

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        with self._lock:
            self._moment += timedelta(seconds=seconds)
