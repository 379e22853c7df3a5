"""Runs keep a pace between their pushes: a turn is a Lease that outlives its push for a while."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.engine.bundling import NotPushed
from reconciler.engine.pacing import Pace, interval_of, lease_of
from reconciler.model import kinds
from reconciler.model.errors import Interrupted, Transient
from reconciler.model.run import Outcome
from reconciler.plan.doctorleftovers import Scene, find_leftovers
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.run_world import CONFIG, SYSTEM, RunWorld

PER_MINUTE = 6
INTERVAL = timedelta(seconds=10)
LEASE = lease_of(CONFIG.manifest_store.url)


class Clocked(FakeManifestStore):
    """Notes when each push begins, and takes a while for it."""

    def __init__(self, remote: FakeRemote, world: RunWorld, begun: list[datetime]) -> None:
        super().__init__(remote)
        self._world = world
        self._begun = begun

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        self._begun.append(self._world.clock.now())
        self._world.clock.advance(3)
        super().push(tips)


def _paced(per_minute: int = PER_MINUTE) -> tuple[RunWorld, list[datetime]]:
    store = replace(CONFIG.manifest_store, pushes_per_minute=per_minute)
    world = RunWorld(config=replace(CONFIG, manifest_store=store))
    begun: list[datetime] = []
    world.make_store = lambda: Clocked(world.remote, world, begun)
    return world, begun


def _pod(world: RunWorld, name: str, phase: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SYSTEM}}
    world.cluster.put(pod | {"status": {"phase": phase}})


def _take(world: RunWorld, days: int) -> None:
    other = "blog-1.1/other"
    assert world.cluster.acquire_lease(SYSTEM, LEASE, other, seconds=days * 86400) == other


@pytest.mark.parametrize(
    ("per_minute", "seconds"), [(1, 60), (6, 10), (7, 9), (30, 2), (45, 2), (60, 1)]
)
def test_no_minute_holds_more_than_config_allows(per_minute: int, seconds: int) -> None:
    assert interval_of(per_minute) == seconds
    assert 60 / seconds <= per_minute


def test_runs_push_one_after_the_other_and_an_interval_apart() -> None:
    world, begun = _paced()
    for number in (1, 2, 3):
        assert world.run(number).record.outcome is Outcome.COMPLETED
    # The first one also writes the marker and the repositories.
    assert len(begun) > 3
    # Each push takes three seconds, and the interval begins at its end.
    assert all(
        later - earlier >= INTERVAL + timedelta(seconds=3)
        for earlier, later in itertools.pairwise(begun)
    )


def test_without_a_pace_there_is_no_lease_and_no_wait() -> None:
    world, begun = _paced(0)
    world.run()
    assert len(begun) == 2
    assert LEASE not in {raw["metadata"]["name"] for raw in world.cluster.all("Lease")}


def test_a_rejected_push_costs_a_turn_as_well() -> None:
    world, begun = _paced()
    world.run()
    begun.clear()
    tip = world.remote.heads["clusters/prod-eu/shop"]
    store = FakeManifestStore(world.remote)
    other = store.commit("clusters/prod-eu/shop", tip, [], "Read me\n", when=world.clock.now())
    world.remote.commits[other] = store._own[other]
    world.remote.before_push.append(("clusters/prod-eu/shop", other))
    world.run(2)
    assert len(begun) == 2
    assert begun[1] - begun[0] >= INTERVAL


def test_a_turn_that_another_run_has_is_waited_for() -> None:
    world, _ = _paced()
    _pod(world, "other", "Running")
    world.cluster.acquire_lease(SYSTEM, LEASE, "blog-1.1/other", seconds=120)
    free = world.clock.now() + timedelta(seconds=120)
    with Pace(world.request(), world.ports()).turn(free + timedelta(hours=1)):
        assert free <= world.clock.now() < free + timedelta(seconds=5)
    assert "waiting for a turn to push" in {line[1] for line in world.log.lines}


def test_who_died_in_its_push_loses_its_turn_after_an_interval() -> None:
    world, begun = _paced()
    world.run()
    _pod(world, "other", "Failed")
    world.clock.advance(60)
    _take(world, days=365)
    before = world.clock.now()
    world.run(2)
    assert begun[-1] - before >= INTERVAL
    assert begun[-1] - before < timedelta(minutes=5)


def test_no_turn_until_the_deadline_is_an_end_and_no_push() -> None:
    world, begun = _paced()
    world.run()
    begun.clear()
    _pod(world, "other", "Running")
    world.clock.advance(60)
    _take(world, days=365)
    result = world.run(2)
    assert isinstance(result.error, NotPushed), "its commit waits as a bundle"
    assert "no turn to push came" in result.error.message
    assert begun == []


def test_a_dead_holder_just_before_the_deadline_is_no_reason_to_push_at_once() -> None:
    world, _ = _paced()
    _pod(world, "other", "Failed")
    _take(world, days=365)
    pace = Pace(world.request(), world.ports())
    with (
        pytest.raises(Transient, match="no turn"),
        pace.turn(world.clock.now() + timedelta(seconds=4)),
    ):
        pytest.fail("it had no turn")


def test_a_run_that_is_to_end_does_not_wait_for_its_turn() -> None:
    world, _ = _paced()
    _pod(world, "other", "Running")
    _take(world, days=365)
    pace = Pace(world.request(), world.ports(), lambda: True)
    with (
        pytest.raises(Interrupted),
        pace.turn(world.clock.now() + timedelta(hours=1)),
    ):
        pytest.fail("it had no turn")


def test_doctor_takes_a_turn_that_is_over_for_no_leftover() -> None:
    world, _ = _paced()
    world.run()
    world.clock.advance(3600)
    leases = [raw for raw in world.cluster.all("Lease") if raw["metadata"]["name"] == LEASE]
    assert leases[0]["spec"]["holderIdentity"]
    assert world.cluster.get(kinds.LEASES, LEASE, namespace=SYSTEM) is not None
    now = world.clock.now()
    scene = Scene(namespace=SYSTEM, now=now, alive=frozenset(), leases=leases)
    assert list(find_leftovers(scene)) == []
