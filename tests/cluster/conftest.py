"""One real Kubernetes for all cluster tests of a session.

It is an instance of this process' own, so that neither a person's cluster nor another test run is
met. It dies with this process even when that is killed; the next `up` clears what is then left.
`BACKSTAY_TEST_KEEP=1` leaves it up, and says how to end it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from tests.rig.cluster import providers
from tests.rig.cluster.processes import Process
from tests.rig.cluster.progress import say

KEEP = "BACKSTAY_TEST_KEEP"


@pytest.fixture(scope="session")
def cluster() -> Iterator[providers.Cluster]:
    """Return the cluster: `.kubeconfig`, `.host_address`, `.load_image(…)`, `.kubectl(…)`."""
    keep = bool(os.environ.get(KEEP))
    name = f"test-{os.getpid()}"
    previous = signal.signal(signal.SIGTERM, _interrupt)
    provider = None
    try:
        owner = None if keep else Process.of(os.getpid())
        provider = providers.open_cluster(name, owner=owner)
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
