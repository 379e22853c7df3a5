"""Ports whose every call is seen, so that a test can strike, or hand over, before and after each.

A process that is killed does nothing more: no ``finally`` of it reaches the world. `Life` plays
that: from its death on each call raises `Killed`, which no ``except Exception`` takes for a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[str], object]
"""Gets ``before apply``, ``after apply`` and so on."""


class Killed(BaseException):
    """The process is dead."""


class Watched:
    """Passes every call on, and tells ``step`` of it; pages are read whole."""

    def __init__(self, inner: Any, step: Step) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self._step(f"before {name}")
            result = call(*args, **kwargs)
            if isinstance(result, Iterator):
                result = iter(list(result))
            self._step(f"after {name}")
            return result

        return watched


class Life:
    """Counts the moments of one process, and ends it at the one with this number (0 is first)."""

    def __init__(self, ends_at: int = -1) -> None:
        self.ends_at = ends_at
        self.moments: list[str] = []
        self.dead = False

    def __call__(self, moment: str) -> None:
        """A step."""
        if not self.dead:
            self.moments.append(moment)
            self.dead = len(self.moments) - 1 == self.ends_at
        if self.dead:
            raise Killed(moment)
