"""Movers as Jobs on the fake cluster: killed anywhere, refused, without a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.adapters.movers import JobMover
from reconciler.model import moverprotocol
from reconciler.model.errors import Interrupted, Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveResult, MoveState
from reconciler.plan.moverjob import mover_name
from tests.fakes import kubelet
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.kube.test_moverprotocol import RESULT, task

TASK = task()
NAME = mover_name(TASK)


@pytest.fixture
def cluster() -> FakeCluster:
    """Return a cluster with the namespace of the task."""
    cluster = FakeCluster()
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    cluster.writes.clear()
    return cluster


def begin(cluster: FakeCluster) -> tuple[JobMover, dict[str, Any]]:
    """A mover that has begun, and its Job."""
    mover = JobMover(cluster, cluster)
    assert mover.ensure(TASK).state is MoveState.RUNNING
    (job,) = kubelet.jobs(cluster)
    return mover, job


def test_keys_come_after_the_job_and_before_it_goes(cluster: FakeCluster) -> None:
    begin(cluster)
    done = [(verb, ref.kind) for verb, ref in cluster.writes]
    assert done == [("create", "Job"), ("create", "Secret"), ("update", "Job")]
    (secret,), (job,) = cluster.all("Secret"), cluster.all("Job")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_killed_after_any_step_it_goes_on(cluster: FakeCluster, step: int) -> None:
    dying = FaultyWriter(cluster, "apply", error=Interrupted("kill -9"), after=step)
    with pytest.raises(Interrupted):
        JobMover(cluster, dying).ensure(TASK)
    # Nothing is left that runs, and no keys that no Job takes along.
    assert kubelet.jobs(cluster) == []
    assert all(raw["metadata"]["ownerReferences"] for raw in cluster.all("Secret"))
    begin(cluster)
    assert len(cluster.all("Job")) == len(cluster.all("Secret")) == 1


def test_a_running_copy_costs_one_request_a_look(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    kubelet.start(cluster, job)
    cluster.requests.clear()
    cluster.writes.clear()
    assert mover.ensure(TASK).state is MoveState.RUNNING
    assert (cluster.requests, cluster.writes) == ({"get": 1}, [])


def test_somebody_elses_job_is_refused_and_kept(cluster: FakeCluster) -> None:
    theirs = {"name": NAME, "namespace": "shop"}
    cluster.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": theirs, "spec": {}})
    mover = JobMover(cluster, cluster)
    with pytest.raises(Refused, match="not the mover"):
        mover.ensure(TASK)
    mover.cleanup(TASK)
    assert len(cluster.all("Job")) == 1


def test_somebody_elses_secret_is_kept(cluster: FakeCluster) -> None:
    metadata = {"name": NAME, "namespace": "shop"}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {}})
    JobMover(cluster, cluster).cleanup(TASK)
    assert len(cluster.all("Secret")) == 1


def test_a_job_that_is_being_removed_is_waited_for(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    cluster.edit(job, lambda raw: raw["metadata"].update(finalizers=["x"]))
    mover.cleanup(TASK)
    cluster.writes.clear()
    assert mover.ensure(TASK).state is MoveState.RUNNING
    assert cluster.writes == []


def test_a_suspended_job_of_another_version_is_made_anew(cluster: FakeCluster) -> None:
    old = replace(TASK, image="backstay:0")
    dying = FaultyWriter(cluster, "apply", error=Interrupted("kill -9"), after=2)
    with pytest.raises(Interrupted):
        JobMover(cluster, dying).ensure(old)
    mover = JobMover(cluster, cluster)
    mover.ensure(TASK)
    mover.ensure(TASK)
    (job,) = kubelet.jobs(cluster)
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == TASK.image


def test_a_pod_that_misses_its_keys_gets_them_again(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    cluster.delete(ObjectRef(group="", kind="Secret", namespace="shop", name=NAME))
    waiting = {"reason": "CreateContainerConfigError", "message": f'secret "{NAME}" not found'}
    statuses = [{"name": "mover", "state": {"waiting": waiting}}]
    kubelet.start(cluster, job, phase="Pending", containerStatuses=statuses)
    assert mover.ensure(TASK).state is MoveState.RUNNING
    assert len(cluster.all("Secret")) == 1


def test_the_newest_word_counts(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    first = kubelet.start(cluster, job)
    told = moverprotocol.render_result(MoveResult(state=MoveState.FAILED, exit_code=1))
    statuses = [{"name": "mover", "state": {"terminated": {"exitCode": 1, "message": told}}}]
    cluster.edit(first, lambda raw: raw.update(status={"containerStatuses": statuses}))
    cluster.edit(
        first, lambda raw: raw["metadata"].update(creationTimestamp="2026-11-20T00:00:00Z")
    )
    second = kubelet.start(cluster, job)
    said = moverprotocol.render_result(RESULT)
    statuses = [{"name": "mover", "state": {"terminated": {"exitCode": 3, "message": said}}}]
    cluster.edit(second, lambda raw: raw.update(status={"containerStatuses": statuses}))
    kubelet.close(cluster, job, complete=False, reason="PodFailurePolicy")
    assert mover.ensure(TASK) == RESULT


def test_what_the_pod_of_a_removed_job_said_is_not_the_new_ones_word(cluster: FakeCluster) -> None:
    _, first = begin(cluster)
    kubelet.end(cluster, first, message=moverprotocol.render_result(RESULT))
    (left,) = cluster.all("Pod")
    cluster.remove(first)
    cluster.put(left)  # what collects it takes its time
    mover, job = begin(cluster)
    assert mover.ensure(TASK).state is MoveState.RUNNING
    kubelet.end(cluster, job, exit_code=137, reason="OOMKilled")
    result = mover.ensure(TASK)
    assert (result.state, result.snapshot) == (MoveState.FAILED, "")
    assert "OOMKilled" in result.message


Scene = Callable[[FakeCluster, dict[str, Any]], object]


def ended(**terminated: Any) -> Scene:
    """A pod that ended like this, and its Job."""
    return lambda cluster, job: kubelet.end(cluster, job, **terminated)


def _late_without_image(cluster: FakeCluster, job: dict[str, Any]) -> None:
    pod = kubelet.start(cluster, job, phase="Pending")
    kubelet.warn(cluster, pod, "Failed", 'Failed to pull image "backstay:1": ErrImagePull')
    cluster.remove(pod)
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")


def _told_to_end(cluster: FakeCluster, job: dict[str, Any]) -> None:
    said = MoveResult(state=MoveState.FAILED, exit_code=130, message="ended by SIGTERM")
    kubelet.end(cluster, job, message=moverprotocol.render_result(said), exit_code=130)
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")


def _evicted(cluster: FakeCluster, job: dict[str, Any]) -> None:
    told = "The node was low on resource: memory."
    kubelet.start(cluster, job, phase="Failed", reason="Evicted", message=told)
    kubelet.close(cluster, job, complete=False, reason="BackoffLimitExceeded")


def _word_lost(cluster: FakeCluster, job: dict[str, Any]) -> None:
    kubelet.close(cluster, job, complete=True)


def _no_reason(cluster: FakeCluster, job: dict[str, Any]) -> None:
    text = "Job has reached the specified backoff limit"
    kubelet.close(cluster, job, complete=False, reason="BackoffLimitExceeded", text=text)


@pytest.mark.parametrize(
    ("scene", "code", "words"),
    [
        (ended(exit_code=137, reason="OOMKilled"), 137, ["exit code 137", "more memory"]),
        (ended(exit_code=128, reason="StartError", message="no such file"), 128, ["no such file"]),
        (ended(exit_code=1, message="Traceback: boom"), 1, ["boom"]),
        (_late_without_image, 1, ["not done after 21600 s", "backstay:1", "can this node pull"]),
        (_told_to_end, 130, ["not done after 21600 s", "ended by SIGTERM"]),
        (_evicted, 1, ["Evicted", "low on resource"]),
        (_word_lost, 1, ["its result are gone"]),
        (_no_reason, 1, ["BackoffLimitExceeded", "backoff limit"]),
    ],
)
def test_without_a_word_it_has_failed(
    cluster: FakeCluster, scene: Scene, code: int, words: list[str]
) -> None:
    mover, job = begin(cluster)
    scene(cluster, job)
    result = mover.ensure(TASK)
    assert (result.state, result.exit_code) == (MoveState.FAILED, code)
    assert result.message.startswith("mover of shop/data: ")
    for word in words:
        assert word in result.message
    assert mover.ensure(TASK) == result


def test_why_it_waited_outlives_its_pod(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    pod = kubelet.start(
        cluster, job, phase="Pending", conditions=[{**unscheduled, "message": "Insufficient cpu"}]
    )
    assert mover.ensure(TASK).state is MoveState.RUNNING
    cluster.remove(pod)
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")
    assert "Unschedulable: Insufficient cpu (the node has no room" in mover.ensure(TASK).message


def test_a_pod_that_can_never_be_made_ends_it_now(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    told = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0'
    kubelet.warn(cluster, job, "FailedCreate", told)
    result = mover.ensure(TASK)
    assert result.state is MoveState.FAILED
    assert "Pod Security level does not allow" in result.message


def test_a_full_quota_may_pass(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    kubelet.warn(cluster, job, "FailedCreate", 'pods "x" is forbidden: exceeded quota: pods')
    assert mover.ensure(TASK).state is MoveState.RUNNING
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")
    assert "ResourceQuota leaves no room" in mover.ensure(TASK).message


def test_events_that_cant_be_read_do_not_matter(cluster: FakeCluster) -> None:
    _, job = begin(cluster)
    reader = FaultyReader(
        cluster, lambda found, _: found.kind == "Event", error=Refused("list event: not allowed")
    )
    mover = JobMover(reader, cluster)
    assert mover.ensure(TASK).state is MoveState.RUNNING
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")
    assert "not done after" in mover.ensure(TASK).message
    assert reader.struck == 2


def test_events_of_others_explain_nothing(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    other = cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "other", "namespace": "shop"},
            "spec": {},
        }
    )
    kubelet.warn(cluster, other, "BackOff", "their own trouble")
    kubelet.close(cluster, job, complete=False, reason="DeadlineExceeded")
    assert "their own trouble" not in mover.ensure(TASK).message


def test_leftovers_are_those_of_one_policy(cluster: FakeCluster) -> None:
    mover, job = begin(cluster)
    JobMover(cluster, cluster).ensure(replace(TASK, policy="other", run_id="other-1"))
    (left,) = mover.leftovers("shop")
    assert (left.name, left.run_id, left.claim, left.ended) == (NAME, TASK.run_id, "data", False)
    kubelet.end(cluster, job, exit_code=4)
    assert mover.leftovers("shop")[0].ended
    assert mover.remove(left)
    assert not mover.remove(left)
    assert [raw["metadata"]["name"] for raw in cluster.all("Secret")] != [NAME]
    assert mover.leftovers("shop") == ()


def test_a_leftovers_keys_go_with_it(cluster: FakeCluster) -> None:
    mover, _ = begin(cluster)
    (left,) = mover.leftovers("shop")
    cluster.edit(cluster.all("Job")[0], lambda raw: raw["metadata"].update(finalizers=["x/y"]))
    assert mover.remove(left)
    assert cluster.all("Job"), "somebody's finalizer keeps it"
    assert cluster.all("Secret") == []


def test_a_job_that_only_looks_like_a_mover_is_no_leftover(cluster: FakeCluster) -> None:
    _, job = begin(cluster)
    metadata = {key: job["metadata"][key] for key in ("labels", "annotations", "namespace")}
    copied = {**job, "metadata": {**metadata, "name": "a-copy"}, "status": {}}
    cluster.put(copied)
    bare = {**copied, "metadata": {**metadata, "name": "bare", "annotations": {}}}
    cluster.put(bare)
    assert [left.name for left in JobMover(cluster, cluster).leftovers("shop")] == [NAME]
