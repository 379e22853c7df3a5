"""A pace for pushes: so many in a minute to one repository, whichever runs of this cluster push.

The big forges slow down or refuse who pushes more often. A turn to push is a Lease: held while the
push lasts, and taken for one interval after its end. So an interval lies between the end of a push
and the beginning of the next, and no minute ever holds more pushes than Config allows. Who died in
the middle of a push loses its turn to the next, who waits an interval first.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Self

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.runlease import is_dead
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.plan.doctorleftovers import PUSH_LEASE, holders

Turn = Callable[[], AbstractContextManager[object]]
"""Waits for a turn to push, and gives it to the next in the end."""

_LONGEST_PUSH = 900
"""Seconds: a push and the question for its proof may take 300 each."""
_POLL = 2.0
_SLICE = 1.0
"""Seconds that a request to stop may wait for."""


def lease_of(url: str) -> str:
    """The Lease of a repository's turns."""
    return PUSH_LEASE + hashlib.sha256(url.encode()).hexdigest()[:10]


def interval_of(pushes_per_minute: int) -> int:
    """Whole seconds between two pushes."""
    return math.ceil(60 / pushes_per_minute)


class Pace:
    """The turns of one run; one thread uses it."""

    def __init__(
        self, request: RunRequest, run: RunPorts, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        store = request.config.manifest_store
        self._request = request
        self._run = run
        self._stopped = stopped
        self._lease = lease_of(store.url)
        self._interval = interval_of(store.pushes_per_minute)
        self._turns = 0

    @classmethod
    def of(
        cls, request: RunRequest, run: RunPorts, stopped: Callable[[], bool] = lambda: False
    ) -> Self | None:
        """None where Config wants no pace."""
        return (
            cls(request, run, stopped) if request.config.manifest_store.pushes_per_minute else None
        )

    @contextmanager
    def turn(self, deadline: datetime) -> Iterator[None]:
        """Waits for a turn; raises Transient where none comes before the deadline."""
        self._turns += 1
        # Each turn is another holder's, or a run that pushes twice would have two at once.
        holder = f"{self._request.run_id}.{self._turns}/{self._request.pod}"
        self._wait(holder, deadline)
        try:
            yield
        finally:
            self._end(holder)

    def _wait(self, holder: str, deadline: datetime) -> None:
        told = False
        # So that those who wait do not all ask at the same moment.
        spread = int(hashlib.sha256(holder.encode()).hexdigest()[:4], 16) / 0x10000
        while True:
            held_by = self._take(holder)
            if held_by == holder:
                return
            left = self._left()
            if left > self._interval and is_dead(
                self._run, self._request.namespace, held_by, proven=False
            ):
                if self._take(holder, held_by) == holder:
                    self._wait_after_dead(holder, held_by, deadline)
                    return
                continue
            if not told:
                told = True
                self._run.reporter.event(
                    "waiting for a turn to push", lease=self._lease, holder=held_by
                )
            if self._run.clock.now() >= deadline:
                raise self._too_late(held_by)
            self._sleep(min(max(left, 0.0), _POLL) + spread, deadline)

    def _wait_after_dead(self, holder: str, dead: str, deadline: datetime) -> None:
        """Nobody knows when the push of the dead one ended, so its interval begins now."""
        until = self._run.clock.now() + timedelta(seconds=self._interval)
        self._sleep(self._interval, deadline)
        if self._run.clock.now() < until:
            self._end(holder)
            raise self._too_late(dead)

    def _too_late(self, held_by: str) -> Transient:
        return Transient(
            f"no turn to push came until the deadline: {held_by} had the Lease"
            f" {self._request.namespace}/{self._lease}",
            hint="raise manifestStore.pushesPerMinute, or spread the schedules",
        )

    def _take(self, holder: str, take_from: str = "") -> str:
        return self._run.writer.acquire_lease(
            self._request.namespace,
            self._lease,
            holder,
            seconds=_LONGEST_PUSH,
            take_from=take_from,
        )

    def _left(self) -> float:
        """Seconds until the Lease is free if nobody renews it."""
        lease = self._run.reader.get(kinds.LEASES, self._lease, namespace=self._request.namespace)
        for held in holders([lease] if lease else ()):
            return (held.until - self._run.clock.now()).total_seconds()
        return 0.0

    def _sleep(self, seconds: float, deadline: datetime) -> None:
        end = min(self._run.clock.now() + timedelta(seconds=seconds), deadline)
        while (left := (end - self._run.clock.now()).total_seconds()) > 0:
            if self._stopped():
                raise Interrupted("stopped while waiting for a turn to push")
            self._run.clock.sleep(min(left, _SLICE))

    def _end(self, holder: str) -> None:
        """The interval begins now."""
        try:
            self._run.writer.acquire_lease(
                self._request.namespace, self._lease, holder, seconds=self._interval
            )
        except BackstayError as error:
            # It ends by itself, only later.
            self._run.reporter.warning("turn not given on", lease=self._lease, why=error.message)
