"""Movers as real Jobs: scheduled, run, ended and removed by a real Kubernetes.

The image is a shell that plays a mover: the name of the claim says how it ends.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.adapters.movers import JobMover
from reconciler.model import moverprotocol
from reconciler.model.config import Resources
from reconciler.model.objects import ObjectRef
from reconciler.model.volumes import MoveKind, MoveResult, MoveState, MoveTask
from reconciler.plan.moverjob import MoverSettings, mover_name
from tests.contract.mover_suite import (
    GOOD,
    RESULTS,
    SECRET,
    JobContract,
    MoverContract,
    MoverWorld,
)
from tests.fakes.kubekinds import kind
from tests.rig.cluster import images
from tests.rig.cluster.providers import Cluster

IMAGE = "localhost/backstay-rig/player:1"
WHO = (
    '{"backstayMover":1,"state":"Completed","message":"%s"}'
    ' "$(id -u):$(id -g) caps=$(grep CapEff /proc/self/status | cut -f2)'
    " token=$(ls /var/run/secrets/kubernetes.io 2>/dev/null)"
    " write=$(touch /data/$3/x 2>/dev/null && echo yes) root=$(touch /x 2>/dev/null && echo yes)"
    ' tmp=$(touch /tmp/x && echo yes) $RESTIC_REPOSITORY $RESTIC_PASSWORD"'
)


def _script() -> str:
    cases = [
        f"{claim}) printf '%s' '{moverprotocol.render_result(result)}' > {moverprotocol.PATH};"
        f" exit {result.exit_code};;"
        for claim, result in RESULTS.items()
    ]
    who = WHO.replace("{", "'{", 1).replace('"}', "\"}'", 1)
    cases += [
        "silent) exit 4;;",
        f"who) printf {who} > {moverprotocol.PATH};;",
        "*) trap 'exit 130' TERM; for n in $(seq 600); do sleep 1; done;;",
    ]
    return f"echo plays $3 >&2; case $3 in {' '.join(cases)} esac"


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace of the test's own with claims in it."""

    cluster: Cluster
    client: KubeClient
    mover: JobMover
    namespace: str

    def raw(self, name: str) -> list[dict[str, Any]]:
        """Objects of a kind that are not being removed."""
        pages = self.client.pages(
            kind(name), namespace=self.namespace, label_selector="backstay.dev/component"
        )
        found = [raw for page in pages for raw in page]
        return [raw for raw in found if "deletionTimestamp" not in raw["metadata"]]

    def pods(self, task: MoveTask) -> list[dict[str, Any]]:
        """Pods of one mover, oldest first."""
        mine = [p for p in self.raw("Pod") if p["metadata"]["name"].startswith(mover_name(task))]
        return sorted(mine, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def settle(self, task: MoveTask) -> MoveResult:
        """Looks until the mover has ended."""
        results: list[MoveResult] = []

        def ended() -> bool:
            results.append(self.mover.ensure(task))
            return results[-1].state is not MoveState.RUNNING

        _until(ended)
        return results[-1]

    def settle_late(self, task: MoveTask, told: Callable[[], bool]) -> MoveResult:
        """The same, with the time to start over only after the cluster has told the reason."""
        patient = replace(task, start_timeout=3600)
        assert self.mover.ensure(patient).state is MoveState.RUNNING
        _until(told)
        return self.settle(task)

    def told(self, task: MoveTask, reason: str) -> bool:
        """Whether there is an Event with this reason about this very Job, or a pod of it.

        A Job of the same name may have come to the same end in an earlier test.
        """
        jobs = [raw for raw in self.raw("Job") if raw["metadata"]["name"] == mover_name(task)]
        mine = {raw["metadata"]["uid"] for raw in (*jobs, *self.pods(task))}
        chosen = f"--field-selector=reason={reason}"
        words = ("-n", self.namespace, "get", "events", chosen, "-o", "json")
        events = json.loads(self.cluster.kubectl(*words))["items"]
        return any(event["involvedObject"].get("uid") in mine for event in events)

    def is_unschedulable(self, task: MoveTask) -> bool:
        """Whether the scheduler has given up on a pod of it for now."""
        conditions = [c for p in self.pods(task) for c in p["status"].get("conditions", [])]
        return any(condition.get("reason") == "Unschedulable" for condition in conditions)


@pytest.fixture(scope="module")
def client(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeClient]:
    """Return the adapter on a cluster that has the image."""
    archive: Path = tmp_path_factory.mktemp("player") / "player.tar"
    entrypoint = json.dumps(["/bin/sh", "-c", _script()])
    config = ["--entrypoint", entrypoint, "--user", "65532:65532"]
    images.make(images.Image(IMAGE, archive), images.program(), config)
    cluster.load_image(archive, IMAGE)
    client = KubeClient.connect(cluster.kubeconfig)
    yield client
    client.close()


@pytest.fixture(scope="module")
def namespace(client: KubeClient) -> Iterator[str]:
    """Return a namespace with a claim per way to end; volumes are made once, which is slow."""
    name = f"mover-{uuid.uuid4().hex[:8]}"
    _enforce(client, name, "restricted")
    for claim in (*RESULTS, "silent", "slow", "who"):
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        metadata = {"name": claim, "namespace": name}
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
        client.apply({**body, "spec": spec})
    yield name
    client.delete(ObjectRef(group="", kind="Namespace", name=name))


@pytest.fixture
def place(cluster: Cluster, client: KubeClient, namespace: str) -> Iterator[Place]:
    """Return the namespace under Pod Security `restricted`, without movers before and after."""
    _enforce(client, namespace, "restricted")
    settings = MoverSettings(resources=Resources(requests={"cpu": "10m"}))
    place = Place(cluster, client, JobMover(client, client, settings), namespace)
    yield place
    for left in place.mover.leftovers("shop"):
        place.mover.remove(left)
    _until(lambda: not place.raw("Pod"))


@pytest.fixture
def mover_world(place: Place) -> MoverWorld:
    """Return real Jobs."""

    def traces() -> list[str]:
        # The cluster's own collector takes the pods a moment later.
        _until(lambda: not place.raw("Pod"))
        return [raw["kind"] for kind in ("Job", "Secret", "Pod") for raw in place.raw(kind)]

    return MoverWorld(
        mover=place.mover,
        namespace=place.namespace,
        image=IMAGE,
        settle=place.settle,
        count=lambda task: len(place.pods(task)),
        traces=traces,
    )


def _enforce(client: KubeClient, namespace: str, level: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    metadata = {"name": namespace, "labels": labels}
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _status(place: Place, kind_: str, name: str) -> dict[str, Any]:
    text = place.cluster.kubectl("-n", place.namespace, "get", kind_, name, "-o", "json")
    status: dict[str, Any] = json.loads(text).get("status") or {}
    return status


def _lacks_image(place: Place, task: MoveTask) -> bool:
    containers = [c for p in place.pods(task) for c in p["status"].get("containerStatuses", [])]
    waiting = [str(c["state"].get("waiting", {}).get("reason")) for c in containers]
    return bool({"ErrImagePull", "ImagePullBackOff"} & set(waiting))


def _until(holds: Callable[[], bool], *, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"did not come true in {seconds:.0f} s")
        time.sleep(0.1)


class TestJobs(MoverContract, JobContract):
    """On a real cluster, under Pod Security `restricted`."""


def test_a_mover_may_do_little(place: Place, mover_world: MoverWorld) -> None:
    result = place.settle(mover_world.task("who"))
    assert result.message == (
        "65532:65532 caps=0000000000000000 token= write= root= tmp=yes"
        f" s3:https://s3.example.org/backups/prod/shop {SECRET}"
    )


def test_a_privileged_mover_reads_everything_and_no_more(
    place: Place, mover_world: MoverWorld
) -> None:
    _enforce(place.client, place.namespace, "privileged")
    result = place.settle(replace(mover_world.task("who"), privileged=True))
    # 2: CAP_DAC_READ_SEARCH
    assert result.message.startswith("0:0 caps=0000000000000004 token= write= root= tmp=yes")


def test_a_restore_may_write(place: Place, mover_world: MoverWorld) -> None:
    _enforce(place.client, place.namespace, "privileged")
    task = replace(mover_world.task("who"), kind=MoveKind.RESTORE, snapshot="a", privileged=True)
    assert " write=yes root= " in place.settle(task).message


def test_the_node_is_taken_by_name(place: Place, mover_world: MoverWorld) -> None:
    (node,) = (raw for page in place.client.pages(kind("Node")) for raw in page)
    task = replace(mover_world.task("good"), node=node["metadata"]["name"])
    place.cluster.kubectl("cordon", task.node)
    try:
        assert place.settle(task) == GOOD  # the claim's user stays on a cordoned node, too
    finally:
        place.cluster.kubectl("uncordon", task.node)
    elsewhere = replace(mover_world.task("partial"), node="nowhere", start_timeout=3)
    failed = place.settle_late(elsewhere, lambda: place.is_unschedulable(elsewhere))
    assert failed.state is MoveState.FAILED
    assert "no pod at work for 3 s: Unschedulable: 0/1 nodes are available" in failed.message


def test_a_missing_image_is_told(place: Place, mover_world: MoverWorld) -> None:
    image = "localhost/nobody/nothing:1"
    task = replace(mover_world.task("good"), image=image, start_timeout=5)
    failed = place.settle_late(task, lambda: _lacks_image(place, task))
    assert failed.state is MoveState.FAILED
    assert "no pod at work for 5 s: " in failed.message
    assert image in failed.message
    assert "can this node pull the image" in failed.message
    _until(lambda: not place.pods(task))
    assert place.mover.ensure(task) == failed, "the ended Job says so for good"


def test_a_missing_claim_is_told_at_once(place: Place, mover_world: MoverWorld) -> None:
    failed = place.settle(mover_world.task("nobody"))
    assert 'persistentvolumeclaim "nobody" not found' in failed.message


def test_a_volume_that_cant_be_mounted_is_told(place: Place, mover_world: MoverWorld) -> None:
    metadata = {"name": f"{place.namespace}-gone"}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Mi"},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "gone",
        "local": {"path": "/var/nowhere"},
        "nodeAffinity": {
            "required": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}
                ]
            }
        },
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}
    place.client.apply(volume)
    claim = {"name": "gone", "namespace": place.namespace}
    asked = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "gone",
        "volumeName": metadata["name"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": asked}
    place.client.apply(body)
    try:
        task = replace(mover_world.task("gone"), start_timeout=4)
        failed = place.settle_late(task, lambda: place.told(task, "FailedMount"))
    finally:
        where = ObjectRef(group="", kind="PersistentVolume", name=metadata["name"])
        place.client.delete(where)
    assert "no pod at work for 4 s: FailedMount: " in failed.message
    assert "/var/nowhere" in failed.message


def test_a_full_quota_is_told(place: Place, mover_world: MoverWorld) -> None:
    quota = {"name": "few", "namespace": place.namespace}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": quota}
    place.client.apply({**body, "spec": {"hard": {"pods": "0"}}})
    task = replace(mover_world.task("good"), start_timeout=3)
    try:
        _until(lambda: bool(_status(place, "resourcequota", "few").get("hard")))
        failed = place.settle_late(task, lambda: place.told(task, "FailedCreate"))
    finally:
        where = ObjectRef(group="", kind="ResourceQuota", namespace=place.namespace, name="few")
        place.client.delete(where)
    assert "no pod at work for 3 s: FailedCreate: " in failed.message
    assert "exceeded quota: few" in failed.message
    assert place.pods(task) == []


@pytest.mark.parametrize(
    ("kind_", "spec", "words"),
    [
        ("ResourceQuota", {"hard": {"limits.cpu": "1"}}, "must specify limits.cpu"),
        (
            "LimitRange",
            {"limits": [{"type": "Container", "min": {"cpu": "100m"}, "defaultRequest": {}}]},
            "minimum cpu usage per Container is 100m",
        ),
    ],
)
def test_a_pod_that_the_namespace_never_takes_is_told_at_once(
    place: Place, mover_world: MoverWorld, kind_: str, spec: dict[str, Any], words: str
) -> None:
    metadata = {"name": "strict", "namespace": place.namespace}
    place.client.apply({"apiVersion": "v1", "kind": kind_, "metadata": metadata, "spec": spec})
    try:
        if kind_ == "ResourceQuota":
            _until(lambda: bool(_status(place, kind_, "strict").get("hard")))
        failed = place.settle(mover_world.task("good"))
    finally:
        where = ObjectRef(group="", kind=kind_, namespace=place.namespace, name="strict")
        place.client.delete(where)
    assert failed.state is MoveState.FAILED
    assert words in failed.message


def test_pod_security_is_told_at_once(place: Place, mover_world: MoverWorld) -> None:
    task = replace(mover_world.task("good"), privileged=True, timeout=600)
    failed = place.settle(task)
    assert failed.state is MoveState.FAILED
    assert "violates PodSecurity" in failed.message
    place.mover.cleanup(task)
    assert mover_world.traces() == []


def test_a_lost_pod_is_started_again(place: Place, mover_world: MoverWorld) -> None:
    task = mover_world.task("slow")
    place.mover.ensure(task)
    place.mover.ensure(task)
    _until(lambda: [p["status"].get("phase") for p in place.pods(task)] == ["Running"])
    (lost,) = place.pods(task)
    name = lost["metadata"]["name"]
    logs = place.client.logs  # a container runs a moment before its first word is there
    _until(lambda: logs(place.namespace, name, container="mover") == "plays slow\n")
    place.client.delete(ObjectRef(group="", kind="Pod", namespace=place.namespace, name=name))
    _until(lambda: any(p["metadata"]["uid"] != lost["metadata"]["uid"] for p in place.pods(task)))
    assert place.mover.ensure(task).state is MoveState.RUNNING
    (left,) = place.mover.leftovers("shop")
    assert (left.claim, left.ended) == ("slow", False)
    assert place.mover.remove(left)
    assert mover_world.traces() == []


def test_keys_go_with_the_job_whoever_removes_it(place: Place, mover_world: MoverWorld) -> None:
    task = mover_world.task("slow")
    place.mover.ensure(task)
    assert len(place.raw("Secret")) == 1
    name = mover_name(task)
    place.cluster.kubectl("-n", place.namespace, "delete", "job", name, "--timeout=300s")
    _until(lambda: not place.raw("Secret"))


def test_time_is_limited(place: Place, mover_world: MoverWorld) -> None:
    failed = place.settle(replace(mover_world.task("slow"), timeout=4))
    assert failed.state is MoveState.FAILED
    assert "not done after 4 s" in failed.message
