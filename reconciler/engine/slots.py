"""How many movers of a run work at a time, over all threads that let some work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reconciler.model.errors import Interrupted

_LOOK = 1.0
"""Seconds, in real time, that a request to stop may wait for."""


class Pool:
    """The slots of a whole run."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self) -> bool:
        """One, if it is free and nobody waits for it: who waits has nothing at work."""
        with self._changed:
            if self._free <= self._waiting:
                return False
            self._free -= 1
            return True

    def wait(self, stopped: Callable[[], bool]) -> None:
        """One, as soon as there is one; raises Interrupted when ``stopped`` turns true."""
        with self._changed:
            self._waiting += 1
            try:
                while self._free <= 0:
                    if stopped():
                        raise Interrupted("stopped while waiting for a mover's turn")
                    self._changed.wait(_LOOK)
                self._free -= 1
            finally:
                self._waiting -= 1

    def give(self) -> None:
        """Back."""
        with self._changed:
            self._free += 1
            self._changed.notify_all()


class Slots:
    """What one thread has of them."""

    def __init__(self, count: int = 0, *, pool: Pool | None = None) -> None:
        self._pool = pool or Pool(count)
        self._held = 0
        self._kept = 0
        self._used = 0

    @contextmanager
    def kept(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """One is kept for the time of the block, used or not; waits for it first."""
        self._pool.wait(stopped)
        self._held += 1
        self._kept = 1
        try:
            yield
        finally:
            self._kept = 0
            self.give_rest()

    def use(self) -> bool:
        """One more mover may begin."""
        if self._used >= self._held:
            if not self._pool.take():
                return False
            self._held += 1
        self._used += 1
        return True

    def ended(self) -> None:
        """One of them has ended."""
        self._used -= 1
        self.give_rest()

    def await_one(self, stopped: Callable[[], bool]) -> None:
        """Until one is there for a thread that has nothing at work; raises Interrupted."""
        self._pool.wait(stopped)
        self._held += 1

    def forget(self) -> None:
        """None is used any more, as far as this thread is concerned."""
        self._used = 0
        self.give_rest()

    def give_rest(self) -> None:
        """Back with what is neither used nor kept."""
        while self._held > max(self._used, self._kept):
            self._held -= 1
            self._pool.give()
