"""Waiting for a world that is away: bounded by a deadline, with growing pauses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from reconciler import ports
from reconciler.model.errors import Transient

T = TypeVar("T")
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


def insist(
    call: Callable[[], T],
    *,
    what: str,
    clock: ports.Clock,
    reporter: ports.Reporter,
    deadline: datetime,
) -> T:
    """Repeats ``call`` while it raises Transient; raises the last one when the deadline passed."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return call()
        except Transient as error:
            if clock.now() >= deadline:
                raise
            reporter.warning("trying again", what=what, why=error.message, seconds=pause)
            clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
