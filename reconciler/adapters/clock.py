"""The real time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """Clock of this machine, in UTC."""

    def now(self) -> datetime:
        """UTC, with time zone."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Blocks this thread."""
        time.sleep(seconds)
