"""What a cycle without a change asks of the API server does not grow with the policies."""

from __future__ import annotations

from collections import Counter

from reconciler.policy import Rereader
from tests.unit.engine.controller_world import ControllerWorld, files


def _requests(policies: int) -> Counter[str]:
    world, reader = ControllerWorld(), Rereader()
    world.source.push(files(*(f"policy-{number}" for number in range(policies))))
    for _ in range(2):
        assert world.cycle(parse=reader.parse).exit_code == 0
        world.clock.sleep(60)
    world.cluster.requests.clear()
    world.cluster.writes.clear()
    assert world.cycle(parse=reader.parse).exit_code == 0
    assert len(world.names("CronJob")) == policies
    assert world.cluster.writes == []
    assert reader.read == 0
    return world.cluster.requests


def test_a_cycle_without_a_change_asks_as_often_for_many_policies_as_for_few() -> None:
    few = _requests(2)
    assert few.total() > 0
    assert _requests(30) == few
