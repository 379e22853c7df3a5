"""Which requests are broken, and how."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.rig.cluster.errors import RigError


@dataclass(frozen=True, slots=True)
class Answer:
    """The server is not asked; this is the answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """The server's answer breaks off after so many bytes of its body."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Reset:
    """The server is not asked; the connection is cut."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The server is asked so many seconds later."""

    seconds: float


@dataclass(slots=True, eq=False)
class Held:
    """The request waits until it is released; then the server is asked."""

    _caught: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float = 600) -> None:
        """Until a request is held."""
        if not self._caught.wait(seconds):
            raise RigError(f"after {seconds:.0f} s no request is held")

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    def catch(self) -> None:
        """Called by the proxy for each request that is held."""
        self._caught.set()

    @property
    def released(self) -> bool:
        """Whether it may go on."""
        return self._released.is_set()


@dataclass(slots=True, eq=False)
class Seen:
    """A request that came by: its target is path and query as sent. Status 0: no answer yet."""

    method: str
    target: str
    agent: str
    status: int = 0


@dataclass(slots=True, eq=False)
class Rule:
    """Does something to those that fit, from the nth on, so many times; 0 times is always."""

    method: re.Pattern[str]
    target: re.Pattern[str]
    does: object
    nth: int = 1
    times: int = 1
    agent: str = ""
    _fitting: int = 0
    hits: int = 0
    """How many requests it was done to so far."""

    def takes(self, seen: Seen) -> bool:
        """Whether it is for this request; counts it."""
        fits = self.method.fullmatch(seen.method) and self.target.search(seen.target)
        if not fits or self.agent not in seen.agent:
            return False
        self._fitting += 1
        last = self.nth + self.times - 1 if self.times else self._fitting
        if not self.nth <= self._fitting <= last:
            return False
        self.hits += 1
        return True
