"""Waiting for a world that is away: bounded by a deadline, with growing pauses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from reconciler import ports
from reconciler.model.errors import Interrupted, Transient

T = TypeVar("T")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SLICE = 1.0
"""Seconds that a request to stop may wait for."""


class Patience:
    """The pauses of one piece of work, until its deadline or until it is to stop."""

    def __init__(
        self,
        *,
        what: str,
        clock: ports.Clock,
        reporter: ports.Reporter,
        deadline: datetime,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._what = what
        self._clock = clock
        self._reporter = reporter
        self._deadline = deadline
        self._stopped = stopped
        self._pause = _FIRST_PAUSE

    def wait(self, error: Transient) -> None:
        """Waits a while after ``error``; raises it past the deadline, Interrupted when stopped."""
        remaining = (self._deadline - self._clock.now()).total_seconds()
        if remaining <= 0:
            raise error
        left = min(self._pause, remaining)  # the last try is at the deadline, not long after it
        self._reporter.warning("trying again", what=self._what, why=error.message, seconds=left)
        while left > 0:
            if self._stopped():
                raise Interrupted(f"stopped while waiting: {self._what}: {error.message}")
            self._clock.sleep(min(left, _SLICE))
            left -= _SLICE
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def insist(call: Callable[[], T], patience: Patience) -> T:
    """Repeats ``call`` while it raises Transient; raises the last one when the deadline passed."""
    while True:
        try:
            return call()
        except Transient as error:
            patience.wait(error)
