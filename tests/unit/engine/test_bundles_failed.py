"""Bundles and a tip that Failed, which has only its record; and bundles that can't be read now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.capture import message
from reconciler.engine.bundling import waiting_in
from reconciler.engine.delivering import Deliverer
from reconciler.engine.patience import Patience
from reconciler.engine.verifying import BranchWalk, Snapshots
from reconciler.model.errors import Refused, Transient
from reconciler.model.run import Outcome
from reconciler.plan.verify import Verdict
from reconciler.ports import VolumeBackend
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import CLUSTER, RUN_IDS, RunWorld, manifest
from tests.unit.engine.test_bundles import away, unseen, vault
from tests.unit.engine.test_guards import HALF, NAMES, give, held, lose, put

SETTINGS = "shop/configmap/settings.yaml"


def _fail(world: RunWorld, number: int) -> None:
    """A run that fails before it delivers anything."""
    world.storage.failure = Refused("the storage says no")
    try:
        assert world.run(number).record.outcome is Outcome.FAILED
    finally:
        world.storage.failure = None


def _change(world: RunWorld, value: str) -> None:
    world.cluster.put(manifest("ConfigMap", "settings", "shop") | {"data": {"a": value}})


def _deliver(world: RunWorld) -> tuple[str, ...]:
    backend = vault(world)
    return (
        _deliverer(world, backend)
        .deliver(
            waiting_in(backend, CLUSTER, "shop"), check=lambda: None, patience=_no_patience(world)
        )
        .delivered
    )


def _deliverer(world: RunWorld, backend: VolumeBackend) -> Deliverer:
    return Deliverer(
        FakeManifestStore(world.remote), backend, world.log, cluster=CLUSTER,
        uid=world.cluster.identity().uid, policy="shop", now=world.clock.now,
    )  # fmt: skip


def _no_patience(world: RunWorld) -> Patience:
    return Patience(
        what="delivering", clock=world.clock, reporter=world.log, deadline=world.clock.now()
    )


def _told(world: RunWorld) -> list[tuple[int | str, ...]]:
    """Oldest first: the run's number, how it ended, and what its tree has in the settings."""
    found: list[tuple[int | str, ...]] = []
    for commit in reversed(world.commits()):
        trailers = message.parse_trailers(commit.message)
        values = [
            value for value in ("good", "newer", "late")
            if f"a: {value}".encode() in commit.files.get(SETTINGS, b"")
        ]  # fmt: skip
        number = RUN_IDS.index(trailers[message.RUN]) + 1
        found.append((number, trailers[message.OUTCOME], *values))
    return found


def _is_proven(world: RunWorld) -> bool:
    walk = BranchWalk(
        FakeManifestStore(world.remote), CLUSTER, "shop", shallow=False, snapshots=Snapshots()
    )
    return all(one.verdict is Verdict.PROVEN for one in walk.walk().checks)


def test_a_late_tree_is_newer_than_the_one_below_a_failed_tip() -> None:
    world = RunWorld()
    _change(world, "good")
    world.run()
    _change(world, "late")
    away(world, 2)
    _fail(world, 3)
    assert _deliver(world) == (RUN_IDS[1],)
    assert _told(world) == [
        (1, "Completed", "good"),
        (3, "Failed", "good"),
        (2, "Completed", "late"),
        (3, "Failed", "late"),
    ]
    again, _, first, _ = world.commits()
    assert again.files["_run.yaml"] == first.files["_run.yaml"]
    assert _is_proven(world)


def test_a_late_tree_older_than_the_good_one_goes_below_that_and_the_failed_tip() -> None:
    world = RunWorld()
    world.run()
    _change(world, "late")
    away(world, 2)
    _change(world, "newer")
    with unseen(world):
        world.run(3)
    _fail(world, 4)
    assert _deliver(world) == (RUN_IDS[1],)
    assert _told(world)[-3:] == [
        (2, "Completed", "late"),
        (3, "Completed", "newer"),
        (4, "Failed", "newer"),
    ]
    assert _is_proven(world)


def test_a_late_tree_that_began_after_the_failed_tip_is_the_newest() -> None:
    world = RunWorld()
    _change(world, "good")
    world.run()
    _fail(world, 2)
    _change(world, "late")
    away(world, 3)
    assert _deliver(world) == (RUN_IDS[2],)
    assert _told(world) == [
        (1, "Completed", "good"),
        (2, "Failed", "good"),
        (3, "Completed", "late"),
    ]
    assert _is_proven(world)


def test_a_branch_of_failed_runs_only_takes_what_is_late() -> None:
    world = RunWorld()
    _change(world, "late")
    away(world, 1)
    _fail(world, 2)
    assert _deliver(world) == (RUN_IDS[0],)
    assert _told(world)[-2:] == [(1, "Completed", "late"), (2, "Failed", "late")]
    assert _is_proven(world)


def test_a_delivery_below_a_failed_tip_passes_no_guard() -> None:
    world = RunWorld()
    give(world, HALF)
    world.run()
    put(world, NAMES)
    away(world, 2)
    _fail(world, 3)
    lose(world, NAMES)
    made = world.run(4).record
    assert made.outcome is Outcome.PARTIALLY_FAILED
    assert made.guards is not None
    (withheld,) = made.guards.withheld
    assert (withheld.count, withheld.since) == (40, RUN_IDS[1])
    assert len(held(world)) == 40


class _Cut:
    """One file of the repository can't be read at present."""

    def __init__(self, inner: VolumeBackend, snapshot: str) -> None:
        self._inner = inner
        self._snapshot = snapshot

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def read_file(self, snapshot: str, path: str) -> Iterator[bytes]:
        """As the port says."""
        if snapshot == self._snapshot:
            raise Transient("restic was killed by signal 9")
        return self._inner.read_file(snapshot, path)


def test_a_bundle_that_can_not_be_read_now_is_in_nobodys_way_and_asked_again() -> None:
    world = RunWorld()
    world.run()
    for number in (2, 3):
        _change(world, f"late {number}")
        with unseen(world):
            away(world, number)
    backend = vault(world)
    first, second = waiting_in(backend, CLUSTER, "shop")
    assert (first.run_id, second.run_id) == RUN_IDS[1:3]
    deliverer = _deliverer(world, _Cut(backend, first.snapshot))
    done = deliverer.deliver((first, second), check=lambda: None, patience=_no_patience(world))
    assert done.delivered == (RUN_IDS[2],)
    assert done.kept == {RUN_IDS[1]: "it could not be read now: restic was killed by signal 9"}
    assert _deliver(world) == (RUN_IDS[1],)
    assert _told(world)[1:] == [
        (3, "Completed", "late"),
        (2, "Completed", "late"),
        (3, "Completed", "late"),
    ]
    assert b"late 3" in world.tree()[SETTINGS]
    assert _is_proven(world)
