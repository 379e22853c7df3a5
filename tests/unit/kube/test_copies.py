"""Copies of volumes on the fake cluster: killed at every write, never ready, retained, foreign."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model import kinds, naming
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveState, MoveTask
from reconciler.plan import copyobjects
from tests.fakes import kubelet
from tests.fakes.snapshots import CUT
from tests.unit.kube.copy_world import DONE, GIB, HOME, NAME, TASKS, CopyWorld

SNAPSHOT, CLONE = TASKS["Snapshot"], TASKS["Clone"]
both = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


class Killed(BaseException):
    """As kill -9."""


class Mortal:
    """A writer whose process dies at its ``last`` write, before or after it has an effect."""

    def __init__(self, inner: Any, last: int, *, after: bool) -> None:
        self._inner, self._left, self._after = inner, last, after
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                self.dead = True
                if self._after:
                    method(*args, **kwargs)
            if self.dead:
                raise Killed
            return method(*args, **kwargs)

        return call


def test_a_snapshot_is_read_in_backstays_own_namespace() -> None:
    world = CopyWorld()
    assert world.settle(SNAPSHOT) == replace(DONE, taken=CUT)
    assert world.read == ["shop/data"]
    assert world.keys() == [HOME]
    assert world.storage.left() == []
    assert world.mover.ensure(SNAPSHOT) == replace(DONE, taken=CUT)
    world.mover.cleanup(SNAPSHOT)
    assert world.left() == []


def test_the_result_outlives_the_pod_that_said_it() -> None:
    world = CopyWorld()
    result = world.settle(SNAPSHOT)
    assert world.cluster.all("Pod") == [], "a claim can't go before the last pod that names it"
    assert world.reborn().ensure(SNAPSHOT) == result == replace(DONE, taken=CUT)


def test_what_holds_the_keys_never_is_in_the_tenants_namespace() -> None:
    world = CopyWorld()
    for _ in range(20):
        world.mover.ensure(SNAPSHOT)
        world.turn()
        ours = [raw for raw in world.cluster.all() if naming.COMPONENT in _labels(raw)]
        there = {raw["kind"] for raw in ours if raw["metadata"].get("namespace") == "shop"}
        assert there <= {"VolumeSnapshot"}


def test_a_clone_is_read_beside_its_claim() -> None:
    world = CopyWorld()
    result = world.settle(CLONE)
    assert (result.state, world.read) == (MoveState.COMPLETED, ["shop/data"])
    assert world.keys() == ["shop"]
    assert result.taken == "2026-11-21T04:17:03Z"
    world.mover.cleanup(CLONE)
    assert world.left() == []


def test_the_safe_order_of_removal() -> None:
    world = CopyWorld()
    world.settle(SNAPSHOT)
    assert world.storage.order == [
        f"PersistentVolumeClaim {HOME}",
        f"VolumeSnapshot {HOME}",
        "VolumeSnapshotContent",
        "VolumeSnapshotContent",
        "VolumeSnapshot shop",
    ]


def test_the_second_content_never_destroys_what_it_is_of() -> None:
    world = CopyWorld()
    for _ in range(5):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=False)
    content = world.cluster.get(kinds.SNAPSHOT_CONTENTS, NAME)
    assert content is not None
    assert content["spec"]["deletionPolicy"] == "Retain"
    world.cluster.delete(copyobjects.reference(kinds.SNAPSHOTS, _at(HOME)))
    world.cluster.delete(copyobjects.reference(kinds.SNAPSHOT_CONTENTS, content))
    world.rest()
    assert len(world.storage.handles) == 1


def test_a_class_that_retains_leaves_nothing() -> None:
    world = CopyWorld(policy="Retain")
    assert world.settle(SNAPSHOT).state is MoveState.COMPLETED
    assert world.storage.left() == []


@pytest.mark.parametrize("looks", range(1, 9))
def test_given_up_in_the_middle_it_leaves_nothing(looks: int) -> None:
    world = CopyWorld(policy="Retain")
    for _ in range(looks):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=looks % 2 == 0)
    world.mover.cleanup(SNAPSHOT)
    world.rest()
    assert world.left() == []


def test_the_application_is_not_needed_at_rest_once_the_snapshot_is_ready() -> None:
    world = CopyWorld()
    world.storage.ready = False
    for _ in range(4):
        assert world.mover.ensure(SNAPSHOT).taken == ""
        world.turn(end=False)
    world.storage.ready = True
    world.turn(end=False)
    told = []
    for _ in range(4):
        told.append(world.mover.ensure(SNAPSHOT).taken)
        world.turn(end=False)
    assert told[-1] == CUT
    assert world.reborn().ensure(SNAPSHOT).taken == CUT


def test_a_clone_is_made_when_its_pod_is_placed() -> None:
    world = CopyWorld()
    world.storage.bind = False  # as with WaitForFirstConsumer
    assert world.mover.ensure(CLONE).taken == ""
    assert len(kubelet.jobs(world.cluster)) == 1, "its pod is what the claim waits for"
    assert world.mover.ensure(CLONE).taken == ""
    world.storage.bind = True
    world.turn(end=False)
    assert world.mover.ensure(CLONE).taken == "2026-11-21T04:17:03Z"


def test_never_ready_is_said_with_the_drivers_words_and_leaves_nothing() -> None:
    world = CopyWorld()
    world.storage.ready, world.storage.error = False, "rpc error: quota of snapshots reached"
    for _ in range(3):
        assert world.mover.ensure(SNAPSHOT).message == "", "nobody is alarmed at once"
        world.turn()
    world.seconds += 60
    told = world.mover.ensure(SNAPSHOT)
    assert told.state is MoveState.RUNNING
    assert "quota of snapshots reached" in told.message
    world.seconds += 1800
    result = world.settle(SNAPSHOT)
    assert result.state is MoveState.FAILED
    assert "not done after 1800 s: snapshot shop/" in result.message
    assert "quota of snapshots reached" in result.message
    assert world.storage.left() == []
    assert world.keys() == []
    assert world.mover.ensure(SNAPSHOT) == result
    assert world.reborn().ensure(SNAPSHOT) == result
    assert kubelet.jobs(world.cluster) == [], "nothing runs"
    world.mover.cleanup(SNAPSHOT)
    assert world.left() == []


def test_the_copy_is_as_large_as_the_driver_wants() -> None:
    world = CopyWorld(restore_size="3Gi")
    for _ in range(5):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=False)
    (copy,) = world.cluster.all("PersistentVolumeClaim")
    assert copy["spec"]["resources"]["requests"]["storage"] == str(3 * GIB)


@both
def test_a_mover_whose_copy_is_never_bound_has_failed(task: MoveTask) -> None:
    world = CopyWorld()
    world.storage.bind = False
    for _ in range(6):
        world.mover.ensure(task)
        world.turn(end=False)
    world.seconds += task.start_timeout
    assert world.settle(task).state is MoveState.FAILED
    assert world.storage.left() == []


def test_why_its_claim_is_not_bound_is_said() -> None:
    world = CopyWorld()
    world.storage.bind = False
    for _ in range(6):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=False)
    (copy,) = world.cluster.all("PersistentVolumeClaim")
    (job,) = kubelet.jobs(world.cluster)
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waits["message"] = "pod has unbound immediate PersistentVolumeClaims"
    kubelet.start(world.cluster, job, phase="Pending", conditions=[waits])
    kubelet.warn(world.cluster, copy, "ProvisioningFailed", "snapshot is gone")
    assert world.mover.ensure(SNAPSHOT).message == "", "that takes a moment, always"
    world.seconds += 60
    assert "unbound" in world.mover.ensure(SNAPSHOT).message
    world.seconds += SNAPSHOT.start_timeout
    result = world.mover.ensure(SNAPSHOT)
    for _ in range(9):
        world.turn(end=False)
        result = world.mover.ensure(SNAPSHOT)
    assert "ProvisioningFailed: snapshot is gone" in result.message


@pytest.mark.parametrize("policy", ["Delete", "Retain"])
def test_a_claim_of_backstays_own_namespace(policy: str) -> None:
    world = CopyWorld(policy=policy)
    own = replace(SNAPSHOT, namespace=HOME)
    assert world.settle(own).state is MoveState.COMPLETED
    assert world.read == [f"{HOME}/data"]
    world.mover.cleanup(own)
    assert world.left() == []
    for _ in range(5):
        world.mover.ensure(own)
        world.turn(end=False)
    for left in world.reborn().leftovers("shop"):
        assert world.mover.remove(left)
    world.rest()
    assert world.left() == []


def killed_at(task: MoveTask, last: int, *, after: bool, policy: str) -> CopyWorld | None:
    """A world whose first process died at its ``last`` write; None if it had no so many."""
    world = CopyWorld(policy=policy)
    world.reborn(Mortal(world.cluster, last, after=after))
    try:
        world.settle(task)
        world.mover.cleanup(task)
    except Killed:
        return world
    return None


PARTS = 5
"""A test has some of the deaths: all of them would be too much for one."""


def deaths(
    task: MoveTask, policy: str, part: int, *, after: bool
) -> Iterator[tuple[CopyWorld, int]]:
    """A world for each of a part of the writes, before or after which its process died."""
    for last in itertools.count(part, PARTS):
        world = killed_at(task, last, after=after, policy=policy)
        if world is None:
            assert last > PARTS, "there are so many writes at least"
            return
        yield world, last


@both
@pytest.mark.one_in(4)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("policy", ["Delete", "Retain"])
@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_i11_killed_at_every_write_the_next_process_goes_on(
    task: MoveTask, policy: str, after: bool, part: int
) -> None:
    for world, last in deaths(task, policy, part, after=after):
        if last % 2:
            world.rest()
        world.reborn()
        result = world.settle(task)
        assert result.state is MoveState.COMPLETED, last
        assert set(world.read) == {"shop/data"}
        world.mover.cleanup(task)
        world.rest()
        assert world.left() == [], last


@both
@pytest.mark.one_in(4)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("policy", ["Delete", "Retain"])
@pytest.mark.parametrize("part", range(1, PARTS + 1))
def test_i11_killed_at_every_write_for_good_the_next_run_finds_all(
    task: MoveTask, policy: str, after: bool, part: int
) -> None:
    for world, last in deaths(task, policy, part, after=after):
        if last % 2:
            world.rest()
        other = world.reborn()
        for left in other.leftovers("shop"):
            assert (left.run_id, left.namespace, left.claim) == (task.run_id, "shop", "data")
            assert other.remove(left)
        world.rest()
        assert world.left() == [], last


def test_a_snapshot_whose_job_is_gone_is_a_leftover() -> None:
    world = CopyWorld(policy="Retain")
    for _ in range(5):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=False)
    job = ObjectRef(group="batch", kind="Job", namespace=HOME, name=NAME)
    assert world.cluster.delete(job)
    (left,) = world.reborn().leftovers("shop")
    assert (left.ended, left.claim) == (True, "data")
    assert world.mover.leftovers("web") == ()
    assert not world.mover.remove(replace(left, uid="another"))
    assert world.mover.remove(left)
    world.rest()
    assert world.left() == []


def _at(namespace: str) -> dict[str, Any]:
    return {"metadata": {"name": NAME, "namespace": namespace}}


def _labels(raw: dict[str, Any]) -> dict[str, str]:
    return raw["metadata"].get("labels") or {}


FOREIGN = {
    "snapshot": (kinds.SNAPSHOTS, "shop"),
    "content": (kinds.SNAPSHOT_CONTENTS, ""),
    "handover": (kinds.SNAPSHOTS, HOME),
    "claim": (kinds.CLAIMS, HOME),
}


@pytest.mark.parametrize(("kind", "place"), FOREIGN.values(), ids=FOREIGN)
def test_what_has_our_name_and_is_not_ours_is_kept(kind: Any, place: str) -> None:
    world = CopyWorld()
    metadata: dict[str, Any] = {"name": NAME, "labels": {naming.COMPONENT: "copy"}}
    if place:
        metadata["namespace"] = place
    source = {"persistentVolumeClaimName": "theirs"}
    spec = {"source": source, "volumeSnapshotClassName": "fast", "deletionPolicy": "Retain"}
    spec["volumeSnapshotRef"] = {"name": "theirs", "namespace": "other"}
    theirs = world.cluster.put(
        {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}
    )
    result = world.settle(SNAPSHOT)
    assert result.state is MoveState.FAILED
    assert "is not Backstay's" in result.message
    world.mover.cleanup(SNAPSHOT)
    world.rest()
    kept = world.cluster.get(kind, NAME, namespace=place)
    assert kept is not None
    assert kept["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert kept["spec"] == theirs["spec"]


def test_a_status_that_names_the_content_of_another_tenant_is_not_believed() -> None:
    world = CopyWorld(policy="Retain")
    world.storage.handles["snap-secret"] = "other/secret"
    secret = world.cluster.put(
        {
            "apiVersion": kinds.SNAPSHOT_CONTENTS.api_version,
            "kind": "VolumeSnapshotContent",
            "metadata": {"name": "theirs"},
            "spec": {
                "deletionPolicy": "Retain",
                "driver": "csi.example.org",
                "volumeSnapshotRef": {"name": "theirs", "namespace": "other", "uid": "u"},
            },
            "status": {"snapshotHandle": "snap-secret"},
        }
    )
    world.mover.ensure(SNAPSHOT)
    (mine,) = world.cluster.all("VolumeSnapshot")
    lie = {"boundVolumeSnapshotContentName": "theirs", "readyToUse": True}
    world.cluster.edit(mine, lambda raw: raw.update(status=lie))
    result = world.mover.ensure(SNAPSHOT)
    assert result.state is MoveState.FAILED
    assert "another snapshot's" in result.message
    assert world.read == []
    world.mover.cleanup(SNAPSHOT)
    world.rest()
    kept = world.cluster.get(kinds.SNAPSHOT_CONTENTS, "theirs")
    assert kept == secret
    assert "snap-secret" in world.storage.handles


def test_a_snapshot_of_another_claim_is_not_used() -> None:
    world = CopyWorld()
    world.mover.ensure(SNAPSHOT)
    (mine,) = world.cluster.all("VolumeSnapshot")
    source = {"persistentVolumeClaimName": "theirs"}
    world.cluster.edit(mine, lambda raw: raw["spec"].update(source=source))
    result = world.settle(SNAPSHOT)
    assert result.state is MoveState.FAILED
    assert "is not of claim data" in result.message


def test_one_request_a_look_while_a_mover_of_a_snapshot_works() -> None:
    world = CopyWorld()
    for _ in range(6):
        world.mover.ensure(SNAPSHOT)
        world.turn(end=False)
    (job,) = kubelet.jobs(world.cluster)
    kubelet.start(world.cluster, job)
    world.cluster.requests.clear()
    assert world.mover.ensure(SNAPSHOT).state is MoveState.RUNNING
    assert world.cluster.requests == {"get": 2}
