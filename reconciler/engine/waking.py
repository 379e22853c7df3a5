"""The pause between two cycles, which a hint may shorten.

A hint says "look now" and nothing else: what there is to see, the cycle reads for itself. So a hint
that is lost costs latency, a hint too many costs a cycle, and many at once cost one. A hint that
comes while a cycle is at work causes exactly one more after it, because that cycle may have
looked before what the hint is about.

Hinted cycles have a budget (`Pace`): whoever sends hints without end, a neighbour that makes
namespaces in a loop or a webhook that is replayed, gets a few cycles at once and then a steady few
a minute: the fewer, the longer a cycle takes, so that most of the time is left to others. The
timer's own cycles don't count, and no hint is forgotten while it waits its turn.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Bell(Protocol):
    """What the loop sleeps by; `reconciler.adapters.bell` has the real one."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def ring(self) -> None:
        """Ends the wait that is, or the next one. From any thread, and from a signal handler."""
        ...

    def wait(self, seconds: float) -> None:
        """Returns when it rings, or after so many seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How soon and how often hints are followed. Seconds."""

    quiet: float = 0.5
    """From the first hint to its cycle: what comes in pairs and storms is seen by one look."""
    gap: float = 1.0
    """At least, from the end of a cycle to the next that a hint asked for."""
    burst: int = 5
    """So many hinted cycles may follow each other without more than the gap."""
    refill: float = 4.0
    """After these there is one more each so many seconds: a new application is in the status of its
    policy within five, however many came before it."""
    rest: float = 4.0
    """Where a cycle takes long, one more each so many times as long as the last one took."""
    slowest: float = 15.0
    """But for a long cycle's sake nothing waits longer than this."""


class Waker:
    """The pause; `hint` may be called from any thread, `pause` from the loop's alone."""

    def __init__(
        self, bell: Bell, *, stopped: Callable[[], bool] = lambda: False, pace: Pace | None = None
    ) -> None:
        self._bell = bell
        self._stopped = stopped
        self._pace = pace or Pace()
        self._lock = threading.Lock()
        self._pending: Counter[str] = Counter()
        self._first = 0.0
        """When the first of the pending hints came."""
        self._left = float(self._pace.burst)
        self._counted = bell.monotonic()
        """When ``_left`` was last made up to date."""
        self._refill = self._pace.refill
        self._resumed = self._counted
        """When the last pause ended, and a cycle began."""
        self.woken_by: tuple[str, ...] = ()
        """Why the last pause ended early; empty when its time was over."""

    def hint(self, why: str) -> None:
        """Something may have changed; ``why`` is one of a few constant words."""
        with self._lock:
            if not self._pending:
                self._first = self._bell.monotonic()
            self._pending[why] += 1
            first = self._pending.total() == 1
        if first:
            self._bell.ring()

    def pause(self, seconds: float) -> bool:
        """Until the time is over or a hint's turn has come; True when it is time to stop."""
        begun = self._bell.monotonic()
        took = begun - self._resumed
        self._refill = max(self._pace.refill, min(self._pace.slowest, self._pace.rest * took))
        while not self._stopped():
            now = self._bell.monotonic()
            end, hinted = begun + seconds, self._turn(begun, now)
            if now >= min(end, hinted):
                self._take(paid=hinted < end)
                self._resumed = now
                return False
            self._bell.wait(min(end, hinted) - now)
        return True

    def _turn(self, begun: float, now: float) -> float:
        """When the pending hints may be followed; endless if there are none."""
        with self._lock:
            if not self._pending:
                return float("inf")
            self._left = min(
                float(self._pace.burst), self._left + (now - self._counted) / self._refill
            )
            self._counted = now
            short = max(0.0, 1.0 - self._left) * self._refill
            return max(self._first + self._pace.quiet, begun + self._pace.gap, now + short)

    def _take(self, *, paid: bool) -> None:
        """The cycle that begins now sees all that the hints so far were about."""
        with self._lock:
            self.woken_by = tuple(sorted(self._pending)) if paid else ()
            self._pending.clear()
            if paid:
                self._left -= 1.0
