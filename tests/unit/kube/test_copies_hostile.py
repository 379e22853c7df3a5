"""Copies where somebody forges, takes rights away, changes the plan or empties a status."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.copies import CopyMover
from reconciler.model import kinds, naming
from reconciler.model.errors import Refused
from reconciler.model.objects import Resource
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from reconciler.plan.moverjob import MoverSettings, make_job, result_of
from tests.fakes.snapshots import CUT
from tests.unit.kube.copy_world import DONE, HOME, TASKS, CopyWorld

SNAPSHOT, CLONE = TASKS["Snapshot"], TASKS["Clone"]
both = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
OF_COPIES = frozenset({"VolumeSnapshot", "VolumeSnapshotContent", "PersistentVolumeClaim"})


def forged(task: MoveTask, **changed: Any) -> dict[str, Any]:
    """What whoever may make Jobs in a namespace of his own can make there."""
    assert task.copy
    raw = make_job(replace(task, **changed), MoverSettings(), suspend=True)
    raw["metadata"]["uid"] = "forged"
    return raw


@pytest.mark.parametrize("policy", [SNAPSHOT.policy, "theirs"])
@pytest.mark.parametrize(("task", "place"), [(SNAPSHOT, "other"), (CLONE, "other"), (CLONE, HOME)])
def test_a_forged_job_has_nobodys_copy_removed(task: MoveTask, place: str, policy: str) -> None:
    world = CopyWorld()
    for _ in range(3):
        world.mover.ensure(task)
        world.turn(end=False)
    before = world.left()
    assert task.copy
    raw = forged(task, policy=policy, copy=replace(task.copy, home=place))
    raw["metadata"]["namespace"] = place
    world.cluster.put(raw)
    found = [left for left in world.reborn().leftovers(policy) if left.uid == "forged"]
    assert found == []
    for left in world.mover.leftovers("theirs"):
        world.mover.remove(left)
    world.rest()
    assert set(before) <= set(world.left())


def test_a_snapshot_that_names_another_home_is_no_leftover() -> None:
    world = CopyWorld()
    world.mover.ensure(SNAPSHOT)
    for job in world.cluster.all("Job"):
        world.cluster.remove(job)
    (snapshot,) = world.cluster.all("VolumeSnapshot")
    assert len(world.mover.leftovers(SNAPSHOT.policy)) == 1
    lie = {naming.HOME: "other"}
    world.cluster.edit(snapshot, lambda raw: raw["metadata"]["annotations"].update(lie))
    assert world.mover.leftovers(SNAPSHOT.policy) == ()


class Rightless:
    """A reader that may not get what a copy is made of."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def get(self, resource: Resource, name: str, *, namespace: str = "") -> Any:
        if resource.kind in OF_COPIES:
            raise Refused("forbidden")
        return self._inner.get(resource, name, namespace=namespace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@both
def test_without_rights_to_copies_no_job_is_left(task: MoveTask) -> None:
    world = CopyWorld()
    reader: Any = Rightless(world.cluster)
    mover = CopyMover(reader, world.cluster, home=HOME)
    for _ in range(2):
        with pytest.raises(Refused):
            mover.ensure(task)
    assert world.left() == []


@both
def test_keys_go_even_where_the_rights_to_the_copy_were_taken_away(task: MoveTask) -> None:
    for clean in ("cleanup", "remove"):
        world = CopyWorld()
        for _ in range(8):
            world.mover.ensure(task)
            world.turn(end=False)
        assert world.keys()
        (left,) = world.mover.leftovers(task.policy)
        reader: Any = Rightless(world.cluster)
        mover = CopyMover(reader, world.cluster, home=HOME)
        with pytest.raises(Refused):
            mover.cleanup(task) if clean == "cleanup" else mover.remove(left)
        assert world.keys() == []
        assert world.cluster.all("Job"), "it tells the next run what may be there"
        world.reborn().remove(left)
        world.rest()
        assert world.left() == []


def until(world: CopyWorld, task: MoveTask, *, ended: bool) -> None:
    """Until its mover has ended, or never went."""
    for _ in range(40):
        world.mover.ensure(task)
        world.turn(end=ended)
        conditions = [job.get("status", {}).get("conditions") for job in world.cluster.all("Job")]
        if any(conditions):
            return
    raise AssertionError("never ended")


@both
def test_what_ended_well_stays_so_though_the_next_pod_plans_it_otherwise(task: MoveTask) -> None:
    world = CopyWorld()
    until(world, task, ended=True)
    changed = replace(task, run_as_user=4242, image="registry.example.org/backstay:2")
    world.reborn()
    result = world.settle(changed)
    assert result.state is MoveState.COMPLETED
    assert result.snapshot == DONE.snapshot
    assert world.storage.left() == []


def test_why_a_copy_failed_is_said_though_the_next_pod_plans_it_otherwise() -> None:
    world = CopyWorld()
    world.storage.ready = False
    world.storage.error = "no space"
    world.mover.ensure(SNAPSHOT)
    world.turn()
    changed = replace(SNAPSHOT, run_as_user=4242)
    mover = world.reborn()
    mover.ensure(changed)
    world.seconds += 4000
    result = world.settle(changed)
    assert result.state is MoveState.FAILED
    assert "no space" in result.message
    assert world.reborn().ensure(changed).message == result.message


class Racing:
    """A writer before whose next patch somebody changes the Job."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.raced = inner, 0

    def patch(self, *args: Any, **kwargs: Any) -> Any:
        if not self.raced:
            self.raced += 1
            return None
        return self._inner.patch(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_result_that_was_not_kept_is_looked_for_again() -> None:
    world = CopyWorld()
    until(world, SNAPSHOT, ended=True)
    racing = Racing(world.cluster)
    world.reborn(racing)
    first = world.mover.ensure(SNAPSHOT)
    assert (first, racing.raced) == (MoveResult(state=MoveState.RUNNING, taken=CUT), 1)
    assert world.cluster.all("Pod"), "its pod is the only one that knows"
    assert world.settle(SNAPSHOT) == replace(DONE, taken=CUT)
    (job,) = world.cluster.all("Job")
    assert result_of(job) == DONE


@pytest.mark.parametrize("status", [{}, {"boundVolumeSnapshotContentName": "theirs"}])
def test_a_class_that_retains_leaves_nothing_where_the_status_names_no_content(
    status: dict[str, str],
) -> None:
    world = CopyWorld(policy="Retain")
    world.mover.ensure(SNAPSHOT)
    world.storage.work()
    (snapshot,) = world.cluster.all("VolumeSnapshot")
    world.cluster.edit(snapshot, lambda raw: raw.update(status=status))
    (left,) = world.reborn().leftovers(SNAPSHOT.policy)
    assert world.mover.remove(left)
    (content,) = world.cluster.all("VolumeSnapshotContent")
    assert content["spec"]["deletionPolicy"] == "Delete"
    # The cluster knows its own content whatever a status says.
    world.cluster.edit(
        snapshot,
        lambda raw: raw.update(
            status={"boundVolumeSnapshotContentName": content["metadata"]["name"]}
        ),
    )
    world.rest()
    assert world.left() == []
    assert world.cluster.get(kinds.SNAPSHOTS, left.name, namespace="shop") is None
