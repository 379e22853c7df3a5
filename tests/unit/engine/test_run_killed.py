"""I11: a run killed at any call that it makes, and what comes after it.

Every call of a whole run to the world outside is a place to die: before it, and, where it changes
something, right after it. Each is tried once with the same run started again in another pod, and
once with nothing but the next run; movers go on meanwhile, or end, as they would in a cluster.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reconciler.adapters.kubelease import held_by
from reconciler.capture import message, record
from reconciler.engine.run import RunResult, execute_run
from reconciler.model.errors import WrongPassword
from reconciler.model.run import FailureRecord, Outcome, RunRecord
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.killing import WRITES, Killed, Life, Point
from tests.unit.engine.run_world import (
    HOME,
    RUN_IDS,
    SYSTEM,
    claim,
    deployment,
    manifest,
    put_shop,
)

LOCKED_OUT = WrongPassword("wrong password for restic repository main")
SPACES = ("shop", "shop-two")
VOLUMES = {("shop", "files"), ("shop", "more"), ("shop-two", "files")}


def make_world() -> JobWorld:
    """Two namespaces, three volumes, Secrets in both; a run's pod is there from the beginning."""
    world = JobWorld()
    put_shop(world.cluster, "shop-two")
    world.cluster.put(claim("more"))
    world.cluster.put(deployment("more", "more"))
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


@dataclass(frozen=True, slots=True)
class Pods:
    """Pods of runs, as the Job controller and the kubelet keep them."""

    world: JobWorld

    def live(self, number: int, pod: str, life: Life) -> RunResult:
        """One process of a run, from its pod's start to its end, however that comes."""
        started = manifest("Pod", pod, SYSTEM, status={"phase": "Running"})
        self.world.cluster.put(started)
        phase = "Failed"
        request = replace(self.world.request(number), pod=pod)
        try:
            result = execute_run(request, life.ports(self.world))
            phase = "Succeeded"
        finally:
            self.world.cluster.put({**started, "status": {"phase": phase}})
        return result


def after_one(world: JobWorld) -> JobWorld:
    """The same after its first run."""
    world.run()
    world.working = 2
    return world


def make_locked_out() -> JobWorld:
    """A world after its first run, whose repositories don't open any more."""
    world = after_one(make_world())
    world.storage.failure = LOCKED_OUT
    return world


def find_points(make: Callable[[], JobWorld] = make_world, number: int = 1) -> list[Point]:
    """Every place to die of one whole run that nobody disturbs."""
    life = Life()
    Pods(make()).live(number, f"run-{number}-a", life)
    after = [replace(point, after=True) for point in life.calls if point.call.split()[0] in WRITES]
    return sorted({*life.calls, *after})


def undisturbed() -> dict[str, bytes]:
    """The tree without its record, as a run makes it that nobody kills."""
    world = make_world()
    world.run()
    return {path: data for path, data in world.tree().items() if path != "_run.yaml"}


POINTS = find_points()
CHANGES = [point for point in POINTS if point.call.split()[0] in (*WRITES, "sleep", "finish")]
"""Between two of them the world outside is the same: what is left behind is, too."""
TREE = undisturbed()


LATER = [
    point
    for point in find_points(lambda: after_one(make_world()), 2)
    if point.call.split()[0] in (*WRITES, "sleep", "finish")
]
LOCKED = find_points(make_locked_out, 2)


def die(world: JobWorld, point: Point, number: int = 1) -> None:
    life = Life(point)
    with pytest.raises(Killed):
        Pods(world).live(number, f"run-{number}-a", life)
    assert life.dead


def records(world: JobWorld) -> list[RunRecord]:
    """Every record on the branch, newest first."""
    return [_parsed(commit.files["_run.yaml"]) for commit in world.commits()]


_parsed = functools.cache(record.parse_record)


def tagged(world: JobWorld, namespace: str, run_id: str) -> list[Any]:
    """restic's snapshots of a run."""
    found = world.repository(namespace).snapshots
    return [snapshot for snapshot in found if f"run:{run_id}" in snapshot.tags]


def assert_whole(world: JobWorld, made: RunRecord) -> None:
    """One snapshot per volume and one of the Secrets, each named by the record; no doubts."""
    assert made.outcome is Outcome.COMPLETED
    assert made.gaps == ()
    found = {(part.name, v.claim): v.snapshot for part in made.namespaces for v in part.volumes}
    assert set(found) == VOLUMES
    for namespace in SPACES:
        named = {snapshot for (part, _), snapshot in found.items() if part == namespace}
        assert {one.id for one in tagged(world, namespace, made.name)} == named
        assert len(tagged(world, namespace, made.name)) == len(named)
    (secrets,) = tagged(world, "_cluster", made.name)
    assert made.secrets is not None
    assert (made.secrets.snapshot, made.secrets.count) == (secrets.id, 2)


def assert_clean(world: JobWorld) -> None:
    """No mover, no key, no Lease that anybody holds; the lists tell of what there is."""
    assert world.traces() == []
    held = [held_by(lease, world.clock.now()) for lease in world.cluster.all("Lease")]
    assert not any(held)
    home = world.tree(HOME)
    entries = record.parse_repositories(home["_repositories.yaml"])
    assert sorted(entry.namespace for entry in entries) == ["_cluster", *SPACES]
    for entry in entries:
        assert entry.id == world.repository(entry.namespace).id
    tree = {path: data for path, data in world.tree().items() if path != "_run.yaml"}
    assert tree == TREE
    for commit in world.commits():
        said = message.parse_trailers(commit.message)
        made = _parsed(commit.files["_run.yaml"])
        assert said[message.RUN] == made.name


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_i11_killed_and_started_again(point: Point) -> None:
    world = make_world()
    die(world, point)
    if POINTS.index(point) % 2:
        world.clock.advance(20)
        world.work()
    result = Pods(world).live(1, "run-1-b", Life())
    assert result.record.name == RUN_IDS[0]
    assert result.error is None
    assert [made.name for made in records(world)] == [RUN_IDS[0]]
    assert_whole(world, records(world)[0])
    assert records(world)[0].warnings == ()
    assert_clean(world)
    Pods(world).live(2, "run-2-a", Life())
    assert [made.name for made in records(world)] == [RUN_IDS[1], RUN_IDS[0]]
    assert_whole(world, records(world)[0])
    assert records(world)[0].warnings == ()
    assert_clean(world)


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", CHANGES, ids=str)
def test_i11_killed_for_good(point: Point) -> None:
    world = make_world()
    die(world, point)
    if POINTS.index(point) % 2:
        world.work()
    before = [made.name for made in records(world)]
    held = any(RUN_IDS[0] in str(lease.get("spec")) for lease in world.cluster.all("Lease"))
    Pods(world).live(2, "run-2-a", Life())
    assert [made.name for made in records(world)] == [RUN_IDS[1], *before]
    for made in records(world):
        assert_whole(world, made)
    assert_clean(world)
    told = [text for text in records(world)[0].warnings if RUN_IDS[0] in text]
    assert len(told) == (held and not before), "who left no record is named, once"
    Pods(world).live(3, "run-3-a", Life())
    assert records(world)[0].warnings == ()


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", LATER, ids=str)
def test_i11_a_later_run_is_killed_and_started_again(point: Point) -> None:
    world = after_one(make_world())
    world.cluster.put(manifest("ConfigMap", "new"))
    world.cluster.remove(manifest("ConfigMap", "settings", "shop-two"))
    die(world, point, 2)
    Pods(world).live(2, "run-2-b", Life())
    assert [made.name for made in records(world)] == [RUN_IDS[1], RUN_IDS[0]]
    assert_whole(world, records(world)[0])
    counts = records(world)[0].objects
    assert (counts.created, counts.changed, counts.deleted) == (1, 0, 1)
    changed = {"_run.yaml", "shop/configmap/new.yaml", "shop-two/configmap/settings.yaml"}
    assert world.changed_paths() == changed
    assert world.traces() == []


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", LOCKED, ids=str)
def test_i11_a_failing_run_is_killed_and_started_again(point: Point) -> None:
    world = make_locked_out()
    die(world, point, 2)
    result = Pods(world).live(2, "run-2-b", Life())
    assert [made.name for made in records(world)] == [RUN_IDS[1], RUN_IDS[0]]
    assert result.record.failure == FailureRecord(reason="WrongPassword", exit_code=12)
    assert result.record.outcome is Outcome.FAILED
    assert_clean(world)
    world.storage.failure = None
    Pods(world).live(3, "run-3-a", Life())
    assert_whole(world, records(world)[0])
    assert_clean(world)
