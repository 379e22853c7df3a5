"""A cluster for as long as this process needs it.

It dies with this process even when that is killed; the next `up` clears what is then left.
`BACKSTAY_TEST_KEEP=1` leaves it up, and says how to end it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tests.rig.cluster import providers
from tests.rig.cluster.processes import Process
from tests.rig.cluster.progress import say

KEEP = "BACKSTAY_TEST_KEEP"


@contextmanager
def opened(purpose: str = "", *, nodes: int = 1) -> Iterator[providers.Cluster]:
    """A cluster named after this process and the purpose; the given one, if there is one."""
    keep = bool(os.environ.get(KEEP))
    name = f"test-{os.getpid()}{purpose and '-'}{purpose}"
    previous = signal.signal(signal.SIGTERM, _interrupt)
    provider = None
    try:
        owner = None if keep else Process.of(os.getpid())
        provider = providers.open_cluster(name, nodes=nodes, owner=owner)
        yield providers.Cluster(provider)
    finally:
        signal.signal(signal.SIGTERM, previous)
        if keep:
            say(f"kept: scripts/cluster down --name {name}")
        elif provider is not None:
            provider.close()
        elif not os.environ.get(providers.GIVEN):
            providers.discard(name)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Let SIGTERM end the session as Ctrl-C does, fixtures included."""
    raise KeyboardInterrupt
