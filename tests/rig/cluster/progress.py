"""What the rig says while it works: lines on stderr with the time since it began."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

BEGAN = time.monotonic()


def say(text: str) -> None:
    """One line for the person who waits."""
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what begins, and how long it took if that was worth a line."""
    say(text)
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took > 1:
        say(f"{text}: {took:.0f} s")
