"""A run whose volumes are read from snapshots and clones: planned, killed, never ready, cleaned."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.model.policy import CopyMethod, VolumeRule
from reconciler.model.run import Outcome, VolumeRecord
from tests.fakes.snapshots import CUT
from tests.unit.engine.copy_worlds import CopyWorld
from tests.unit.engine.killing import WRITES, Killed, Life, Point
from tests.unit.engine.run_world import RUN_IDS, SYSTEM, claim, manifest
from tests.unit.engine.test_run_killed import Pods

AT = datetime.fromisoformat(CUT).astimezone(UTC)


def make_world(method: CopyMethod = CopyMethod.SNAPSHOT, *classes: str) -> CopyWorld:
    """One claim ``files`` in namespace shop, and these snapshot classes."""
    world = CopyWorld()
    world.say(method)
    for name in classes or ("fast",):
        world.put_class(name)
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    kinds |= {"VolumeSnapshot", "VolumeSnapshotContent"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


def volumes(world: CopyWorld) -> dict[str, VolumeRecord]:
    """As the newest record has them."""
    (part,) = world.record().namespaces
    return {volume.claim: volume for volume in part.volumes}


def test_the_record_says_method_class_and_the_moment_of_the_snapshot() -> None:
    world = make_world()
    seen: list[tuple[str, str]] = []
    work = world.work

    def watch() -> None:
        work()
        seen.extend(
            (raw["kind"], raw["metadata"]["namespace"])
            for kind in ("Secret", "Job", "PersistentVolumeClaim")
            for raw in world.cluster.all(kind)
            if raw["metadata"]["name"].startswith("backstay-")
        )

    world.clock.on_sleep = watch
    result = world.run()
    assert result.record.outcome is Outcome.COMPLETED
    found = volumes(world)["files"]
    assert (found.copy_method, found.taken, found.copied) == ("Snapshot", AT, AT)
    assert found.why == "copyMethod Snapshot; snapshot class fast of csi.example.org"
    assert {place for _, place in seen} == {SYSTEM}, "nothing with keys is beside the application"
    assert {kind for kind, _ in seen} == {"Secret", "Job", "PersistentVolumeClaim"}
    assert world.left() == []
    assert not [path for path in world.tree() if "backstay-" in path]


def test_a_clone_is_no_claim_of_the_application() -> None:
    world = make_world(CopyMethod.CLONE)
    result = world.run()
    assert result.record.outcome is Outcome.COMPLETED
    assert list(volumes(world)) == ["files"]
    assert world.left() == []
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}


@pytest.mark.parametrize(
    ("method", "classes", "used"),
    [
        (CopyMethod.AUTO, ("fast",), "Snapshot"),
        (CopyMethod.AUTO, (), "Direct"),
        (CopyMethod.SNAPSHOT, ("a", "b"), ""),
        (CopyMethod.AUTO, ("a", "b"), ""),
    ],
)
def test_what_is_left_open_is_decided_in_the_plan(
    method: CopyMethod, classes: tuple[str, ...], used: str
) -> None:
    world = CopyWorld()
    world.say(method)
    for name in classes:
        world.put_class(name)
    outcome = world.run().record.outcome
    found = volumes(world)["files"]
    if used:
        assert (outcome, found.copy_method) == (Outcome.COMPLETED, used)
    else:
        assert (outcome, found.outcome) == (Outcome.PARTIALLY_FAILED, Outcome.FAILED)
        assert "none is its default" in found.reason
    assert world.left() == []


def test_without_a_snapshot_class_it_is_not_copied_otherwise() -> None:
    world = CopyWorld()
    world.say(CopyMethod.DIRECT, VolumeRule(claims=("files",), copy_method=CopyMethod.SNAPSHOT))
    world.cluster.put(claim("more"))
    result = world.run()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    found = volumes(world)
    assert found["more"].outcome is Outcome.COMPLETED
    assert found["files"].snapshot is None
    assert found["files"].reason == "rule 1; csi.example.org has no VolumeSnapshotClass"


def test_a_claim_that_appears_has_a_method_in_the_record() -> None:
    world = make_world(CopyMethod.AUTO)
    appeared = claim("late")
    work = world.work

    def late() -> None:
        work()
        world.cluster.put(appeared)

    world.working = 3
    world.clock.on_sleep = late
    world.run()
    methods = {name: found.copy_method for name, found in volumes(world).items()}
    assert set(methods.values()) == {"Snapshot"}


def test_never_ready_is_a_reason_and_leaves_nothing() -> None:
    world = make_world()
    world.csi.ready, world.csi.error = False, "quota of snapshots reached"
    result = world.run()
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    (reason,) = result.record.namespaces[0].reasons
    assert "quota of snapshots reached" in reason
    assert world.left() == []
    world.csi.ready = True
    assert world.run(2).record.outcome is Outcome.COMPLETED


def find_points(method: CopyMethod) -> list[Point]:
    """Before and after every write of a mover or a copy."""
    life = Life()
    Pods(make_world(method)).live(1, "run-1-a", life)
    found = [
        point
        for point in life.calls
        if (
            point.call.split()[0] in (*WRITES, "patch")
            and "/backstay-" in point.call
            and "Lease/" not in point.call
        )
        or point.call.startswith("patch VolumeSnapshotContent")
    ]
    after = [Point(point.call, point.nth, after=True) for point in found]
    return sorted({*found, *after})


POINTS = {
    f"{method.value} {point}": (method, point)
    for method in (CopyMethod.SNAPSHOT, CopyMethod.CLONE)
    for point in find_points(method)
}


def die(world: CopyWorld, point: Point) -> None:
    life = Life(point)
    with pytest.raises(Killed):
        Pods(world).live(1, "run-1-a", life)
    assert life.dead


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("method", "point"), POINTS.values(), ids=POINTS)
def test_i11_killed_while_it_copies_it_goes_on(method: CopyMethod, point: Point) -> None:
    world = make_world(method)
    die(world, point)
    result = Pods(world).live(1, "run-1-b", Life())
    assert (result.record.name, result.record.outcome) == (RUN_IDS[0], Outcome.COMPLETED)
    assert result.record.warnings == ()
    assert volumes(world)["files"].snapshot is not None
    assert world.left() == []


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("method", "point"), POINTS.values(), ids=POINTS)
def test_i11_killed_for_good_the_next_run_leaves_nothing(method: CopyMethod, point: Point) -> None:
    world = make_world(method)
    die(world, point)
    result = Pods(world).live(2, "run-2-a", Life())
    assert (result.record.name, result.record.outcome) == (RUN_IDS[1], Outcome.COMPLETED)
    assert world.left() == []


def test_what_nobody_made_for_a_run_is_not_touched() -> None:
    world = make_world()
    api = "snapshot.storage.k8s.io/v1/VolumeSnapshot"
    source = {"persistentVolumeClaimName": "files"}
    theirs = manifest(api, "mine", spec={"source": source, "volumeSnapshotClassName": "fast"})
    world.cluster.put(theirs)
    for number in (1, 2):
        assert world.run(number).record.outcome is Outcome.COMPLETED
    world.left()
    names = [raw["metadata"]["name"] for raw in world.cluster.all("VolumeSnapshot")]
    assert names == ["mine"]
    assert len(world.csi.handles) == 1
