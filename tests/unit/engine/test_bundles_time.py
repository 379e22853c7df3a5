"""How long a delivery and a last push may take: copies and the bundle need their time as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.engine.bundling import NotPushed
from reconciler.engine.pacing import lease_of
from reconciler.engine.run import execute_run
from reconciler.model.errors import Transient
from tests.fakes.clock import FakeClock
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.reporter import FakeReporter
from tests.unit.engine.run_world import BRANCH, CONFIG, SYSTEM, RunWorld
from tests.unit.engine.test_bundles import away

JOB_AFTER = timedelta(minutes=10)
"""What a Job lives longer than its run's deadline."""
A_TRY = 300
"""Seconds until git is ended when nobody answers."""


def test_a_remote_that_drops_all_packets_leaves_time_for_the_bundle() -> None:
    world = RunWorld()
    world.run()
    ended: list[datetime] = []

    class Silent(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            """Nobody answers."""
            if BRANCH not in tips:
                super().push(tips)
                return
            world.clock.advance(A_TRY)
            ended.append(world.clock.now())
            raise Transient("git push: no answer")

    request = world.request(2)
    late = execute_run(request, world.ports(store=Silent(world.remote)))
    assert isinstance(late.error, NotPushed)
    assert ended[-1] > request.deadline
    assert ended[-1] <= request.deadline + JOB_AFTER - timedelta(minutes=3)


class _Timed(FakeReporter):
    """Notes when it is told something."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.when: dict[str, datetime] = {}

    def warning(self, message: str, **fields: object) -> None:
        """As the port says."""
        self.when[message] = self._clock.now()
        super().warning(message, **fields)


@pytest.mark.parametrize(("life", "most"), [(20, 10), (5, 5)])
def test_a_turn_for_a_delivery_is_waited_for_no_longer_than_the_remote(
    life: int, most: int
) -> None:
    store = replace(CONFIG.manifest_store, pushes_per_minute=6)
    world = RunWorld(config=replace(CONFIG, manifest_store=store))
    world.run()
    away(world, 2)
    world.clock.advance(60)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": SYSTEM}}
    world.cluster.put(pod | {"status": {"phase": "Running"}})
    lease = lease_of(CONFIG.manifest_store.url)
    world.cluster.acquire_lease(SYSTEM, lease, "blog-1.1/other", seconds=366 * 86400)
    began = world.clock.now()
    reporter = _Timed(world.clock)
    request = world.request(3, deadline=began + timedelta(minutes=life))
    late = execute_run(request, world.ports(reporter=reporter))
    assert isinstance(late.error, NotPushed)
    told = reporter.when["bundles not delivered"]
    assert timedelta(minutes=most) <= told - began < timedelta(minutes=most + 1)
