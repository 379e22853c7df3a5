"""A mover whose pod never starts: ended after its time to start, or at once; always with why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.movers import JobMover
from reconciler.model.errors import Refused, Transient
from reconciler.model.volumes import MoveResult, MoveState
from tests.fakes import kubelet
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyWriter
from tests.unit.kube.test_moverprotocol import task

TASK = task()
LIMIT = TASK.start_timeout


class Scene:
    """A mover that has begun on a fake cluster, and time that passes when it is told to."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        for name in ("shop",):
            self.put("Namespace", name)
        self.put("PersistentVolumeClaim", TASK.claim, namespace="shop")
        self.seconds = 0.0
        self.mover = self.make_mover()
        assert self.look().state is MoveState.RUNNING
        (self.job,) = kubelet.jobs(self.cluster)

    def put(self, kind: str, name: str, **metadata: str) -> dict[str, Any]:
        """An object of somebody else."""
        metadata = {"name": name, **metadata}
        return self.cluster.put({"apiVersion": "v1", "kind": kind, "metadata": metadata})

    def make_mover(self, writer: Any = None) -> JobMover:
        """Another process' mover."""
        return JobMover(self.cluster, writer or self.cluster, seconds=lambda: self.seconds)

    def look(self, after: float = 0) -> MoveResult:
        """The next look, so many seconds later."""
        self.seconds += after
        return self.mover.ensure(TASK)

    def deadline(self) -> int:
        """What the Job says now."""
        (job,) = self.cluster.all("Job")
        return int(job["spec"]["activeDeadlineSeconds"])

    def pending(self, *, waiting: dict[str, str] | None = None, message: str = "") -> Any:
        """A pod that waits: of a container, or for a node."""
        status: dict[str, Any] = {"phase": "Pending"}
        if waiting:
            status["containerStatuses"] = [{"name": "mover", "state": {"waiting": waiting}}]
        if message:
            unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            status["conditions"] = [{**unscheduled, "message": message}]
        return kubelet.start(self.cluster, self.job, **status)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def _no_image(scene: Scene) -> None:
    scene.pending(waiting={"reason": "ErrImagePull", "message": 'pull "backstay:1": not found'})


def _no_node(scene: Scene) -> None:
    scene.pending(message="0/1 nodes are available: 1 Insufficient cpu")


def _no_mount(scene: Scene) -> None:
    pod = scene.pending(waiting={"reason": "ContainerCreating"})
    kubelet.warn(scene.cluster, pod, "FailedMount", "MountVolume.SetUp failed: no such device")


def _no_attach(scene: Scene) -> None:
    pod = scene.pending(waiting={"reason": "ContainerCreating"})
    kubelet.warn(scene.cluster, pod, "FailedAttachVolume", "Multi-Attach error for volume pvc-1")


def _no_quota(scene: Scene) -> None:
    kubelet.warn(
        scene.cluster, scene.job, "FailedCreate", 'pods "x" is forbidden: exceeded quota: few'
    )


def _nothing(scene: Scene) -> None:
    """Nobody makes a pod, and nobody says why."""


def _node_gone(scene: Scene) -> None:
    ready = {"type": "Ready", "status": "False"}
    pod = kubelet.start(scene.cluster, scene.job, phase="Running", conditions=[ready])
    kubelet.warn(scene.cluster, pod, "NodeNotReady", "Node is not ready")


def _no_next_pod(scene: Scene) -> None:
    kubelet.start(scene.cluster, scene.job, phase="Failed", reason="Evicted", message="memory")
    kubelet.warn(
        scene.cluster, scene.job, "FailedCreate", 'pods "y" is forbidden: exceeded quota: few'
    )


SLOW: dict[str, tuple[Callable[[Scene], object], str]] = {
    "image": (_no_image, 'ErrImagePull: pull "backstay:1": not found (can this node pull'),
    "node": (_no_node, "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu (the node has"),
    "mount": (_no_mount, "FailedMount: MountVolume.SetUp failed: no such device (look at the vol"),
    "attach": (_no_attach, "FailedAttachVolume: Multi-Attach error for volume pvc-1 (look at the"),
    "quota": (_no_quota, 'FailedCreate: pods "x" is forbidden: exceeded quota: few (the names'),
    "nothing": (_nothing, "nobody says why"),
    "node gone": (_node_gone, "NodeNotReady: Node is not ready (is the node up?"),
    "no next pod": (_no_next_pod, 'FailedCreate: pods "y" is forbidden: exceeded quota: few'),
}


@pytest.mark.parametrize("name", SLOW)
def test_one_that_does_not_start_in_time_is_ended_with_the_reason(scene: Scene, name: str) -> None:
    happen, words = SLOW[name]
    happen(scene)
    assert scene.look().state is MoveState.RUNNING
    assert scene.look(after=LIMIT - 1).state is MoveState.RUNNING
    assert scene.deadline() == TASK.timeout
    failed = scene.look(after=1)
    assert (failed.state, failed.exit_code) == (MoveState.FAILED, 1)
    assert failed.message.startswith(f"mover of shop/data: no pod at work for {LIMIT} s: {words}")
    assert scene.deadline() == 1, "its Job is ended"
    assert scene.look() == failed


_FORBIDDEN = 'pods "x" is forbidden: '
AT_ONCE = {
    f"{_FORBIDDEN}violates PodSecurity: runAsUser=0": "Pod Security level does not allow",
    f"{_FORBIDDEN}maximum memory usage per Container is 1Mi, but request is 128Mi": "LimitRange",
    f"{_FORBIDDEN}[minimum cpu usage per Pod is 1, but request is 10m]": "LimitRange refuses",
    f"{_FORBIDDEN}failed quota: q: must specify limits.cpu for: mover": "wants more said",
    'admission webhook "a.example.org" denied the request: no': "let the namespace's admission",
    "ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no": "policy or webhook allow",
}


@pytest.mark.parametrize("refusal", AT_ONCE)
def test_a_pod_that_is_refused_for_good_ends_it_at_once(scene: Scene, refusal: str) -> None:
    kubelet.warn(scene.cluster, scene.job, "FailedCreate", refusal)
    failed = scene.look()
    assert failed.state is MoveState.FAILED
    assert failed.message.startswith(f"mover of shop/data: {refusal} (")
    assert AT_ONCE[refusal] in failed.message
    assert scene.deadline() == 1
    assert scene.look() == failed


@pytest.mark.parametrize("reason", ["InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_nobody_will_pull_ends_it_at_once(scene: Scene, reason: str) -> None:
    scene.pending(waiting={"reason": reason, "message": "backstay:1"})
    failed = scene.look()
    assert failed.message.startswith(f"mover of shop/data: {reason}: backstay:1 (")
    assert scene.look() == failed


def test_a_claim_that_is_gone_ends_it_at_once_if_it_really_is(scene: Scene) -> None:
    scene.pending(message=f'persistentvolumeclaim "{TASK.claim}" not found')
    assert scene.look().state is MoveState.RUNNING, "the scheduler's view lags behind"
    (claim,) = scene.cluster.all("PersistentVolumeClaim")
    scene.cluster.remove(claim)
    failed = scene.look()
    assert failed.state is MoveState.FAILED
    assert 'persistentvolumeclaim "data" not found (is the claim there' in failed.message


def test_a_claim_that_is_going_ends_it_at_once(scene: Scene) -> None:
    scene.pending(message=f'persistentvolumeclaim "{TASK.claim}" is being deleted')
    assert scene.look().state is MoveState.FAILED


def test_only_the_newest_refusal_counts(scene: Scene) -> None:
    kubelet.warn(scene.cluster, scene.job, "FailedCreate", "violates PodSecurity")
    kubelet.warn(scene.cluster, scene.job, "FailedCreate", "exceeded quota: pods")
    assert scene.look().state is MoveState.RUNNING


def test_time_counts_only_while_no_pod_works(scene: Scene) -> None:
    pod = scene.pending(message="Insufficient cpu")
    assert scene.look().state is MoveState.RUNNING
    assert scene.look(after=LIMIT - 1).state is MoveState.RUNNING
    scene.cluster.edit(pod, lambda raw: raw.update(status={"phase": "Running"}))
    assert scene.look(after=2).state is MoveState.RUNNING
    scene.cluster.remove(pod)
    scene.pending(message="Insufficient cpu")
    assert scene.look(after=LIMIT).state is MoveState.RUNNING, "counted from when it was lost"
    assert scene.look(after=LIMIT).state is MoveState.FAILED


def test_a_node_that_comes_back_in_time_loses_nothing(scene: Scene) -> None:
    _node_gone(scene)
    scene.look()
    assert scene.look(after=LIMIT - 1).state is MoveState.RUNNING
    scene.cluster.edit(scene.job, lambda raw: raw.update(status={"active": 1, "ready": 1}))
    assert scene.look(after=LIMIT).state is MoveState.RUNNING
    assert scene.deadline() == TASK.timeout


def test_a_successor_hears_the_same(scene: Scene) -> None:
    _no_node(scene)
    scene.look()
    failed = scene.look(after=LIMIT)
    scene.cluster.remove(scene.cluster.all("Pod")[0])
    kubelet.close(scene.cluster, scene.job, complete=False, reason="DeadlineExceeded")
    assert scene.make_mover().ensure(TASK) == failed


def test_killed_before_the_job_is_told_the_successor_tells_it(scene: Scene) -> None:
    kubelet.warn(scene.cluster, scene.job, "FailedCreate", "violates PodSecurity")
    dying = FaultyWriter(scene.cluster, "apply", error=Transient("gone"))
    with pytest.raises(Transient):
        scene.make_mover(dying).ensure(TASK)
    assert scene.make_mover().ensure(TASK).state is MoveState.FAILED
    assert scene.deadline() == 1


def test_a_job_that_may_not_be_ended_has_failed_all_the_same(scene: Scene) -> None:
    kubelet.warn(scene.cluster, scene.job, "FailedCreate", "violates PodSecurity")
    refused = FaultyWriter(scene.cluster, "apply", error=Refused("not allowed"))
    assert scene.make_mover(refused).ensure(TASK).state is MoveState.FAILED


def test_a_shorter_time_is_the_tasks_own(scene: Scene) -> None:
    _no_node(scene)
    hasty = replace(TASK, start_timeout=5)
    assert scene.mover.ensure(hasty).state is MoveState.RUNNING
    scene.seconds += 5
    assert "no pod at work for 5 s" in scene.mover.ensure(hasty).message
