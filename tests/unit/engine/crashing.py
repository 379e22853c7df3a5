"""A run whose pod dies while its movers are at work."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.naming import lease_name
from reconciler.model.volumes import Leftover, MoveTask
from tests.fakes.cluster import FakeCluster
from tests.unit.engine.run_world import (
    RUN_IDS,
    Crash,
    RunWorld,
)

LEASE = lease_name("shop")


class CrashingMover:
    """The process dies at the ``after``-th look."""

    def __init__(self, inner: Any, after: int) -> None:
        self._inner = inner
        self._left = after

    def ensure(self, task: MoveTask) -> Any:
        """As the port says, for a while."""
        self._left -= 1
        if self._left < 0:
            raise Crash
        return self._inner.ensure(task)

    def cleanup(self, task: MoveTask) -> None:
        """Passed on."""
        self._inner.cleanup(task)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """Passed on."""
        found: tuple[Leftover, ...] = self._inner.leftovers(policy)
        return found


class DyingWriter(FakeCluster):
    """Writes of a process that will be killed: nothing is released behind it."""

    def __init__(self, inner: FakeCluster) -> None:
        self.__dict__ = inner.__dict__

    def release_lease(self, namespace: str, name: str, holder: str) -> None:
        """Never said."""


def kill(world: RunWorld, number: int = 1, **changed: Any) -> None:
    """One run whose process ends at the place that ``changed`` has prepared."""
    with pytest.raises(Crash):
        world.run(number, writer=DyingWriter(world.cluster), **changed)
    assert holder(world).startswith(RUN_IDS[number - 1])


def holder(world: RunWorld) -> str:
    """Who holds the policy's Lease."""
    (lease,) = (one for one in world.cluster.all("Lease") if one["metadata"]["name"] == LEASE)
    return str(lease["spec"].get("holderIdentity") or "")
