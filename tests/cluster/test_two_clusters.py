"""Two clusters with the same two repositories, and a cluster of two nodes.

The second one has two nodes and an application with one volume on each. It uses the servers of
`stage`: one policy repository, one manifest repository, one storage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from reconciler.model import naming
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveKind
from tests.rig.cluster import providers, session
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.images import BUSYBOX
from tests.rig.stage import Stage, breaking, faults
from tests.rig.stage.runs import BRANCH, Run, run_again
from tests.rig.stage.stage import CAPTURES

NAME = "second"
OWN = f"clusters/{NAME}/shop"
FAR = "node-2"
PLACES = {"near": "node-1", "far": FAR}
"""Claim and Deployment of this name → its node."""


def application() -> str:
    """A namespace with a pod and a volume on each node."""
    made: list[object] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}]
    for name, node in PLACES.items():
        metadata = {"name": name, "namespace": "shop"}
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Mi"}},
        }
        container = {
            "name": "main",
            "image": BUSYBOX,
            "command": ["sh", "-c", f"echo {name} > /data/name; exec sleep 2147483647"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        pod = {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
        }
        spec = {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        }
        made += [
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata}
            | {"spec": claim},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata} | {"spec": spec},
        ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": made})


@pytest.fixture(scope="module")
def second(stage: Stage, first: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Install Backstay as cluster `second`, beside the stage's."""
    with session.opened(NAME, nodes=2) as cluster:
        provider = cluster.provider
        if not isinstance(provider, providers.Built):
            raise RigError("a second cluster can't be had where one is given")
        provider.reach(stage.cluster.host_address)
        made = Stage(cluster, tmp_path_factory.mktemp(NAME), name=NAME)
        made.share_servers(stage)
        made.load_image()
        made.kubectl("apply", "-f", "-", stdin=application())
        made.install()
        for name in PLACES:
            done = ("rollout", "status", f"deploy/{name}", "--timeout=300s")
            made.kubectl("-n", "shop", *done)
        there = "the CronJob is there"
        made.wait(there, lambda: made.exists("cronjob", "backstay-shop"), seconds=600)
        yield made


def branches(stage: Stage) -> dict[str, str]:
    """Branch → commit of the manifest repository."""
    shape = "--format=%(refname:lstrip=2) %(objectname)"
    listed = stage.git("for-each-ref", shape, "refs/heads", cwd=stage.sshd.path(CAPTURES))
    return dict(line.split() for line in listed.splitlines())


def urls_of(run: Run) -> set[str]:
    """The restic repositories that a run copied volumes to."""
    return {v.repository.url for v in run.volumes().values() if v.repository}


def nodes_of_mover(stage: Stage, run_id: str, claim: str) -> list[str]:
    """The nodes of its pods, oldest first; from events, because the pods are gone by now."""
    job = naming.mover_name(run_id, "shop", claim, MoveKind.BACKUP.value)
    placed = [
        event
        for event in stage.objects("-n", "shop", "events")
        if event.get("reason") == "Scheduled" and event["involvedObject"]["name"].startswith(job)
    ]
    placed.sort(key=lambda event: str(event.get("eventTime") or event["firstTimestamp"]))
    return [str(event["message"]).rsplit(" ", 1)[-1] for event in placed]


def test_each_cluster_writes_its_own_branches(stage: Stage, second: Stage, first: Run) -> None:
    before = branches(stage)
    assert {branch for branch in before if NAME in branch} == set()
    ours, theirs = faults.start_run(stage), faults.start_run(second)  # at the same time
    assert (ours.finish().code, theirs.finish().code) == (0, 0)
    second.cheapen_keys("shop", "_cluster")
    after = branches(stage)
    assert set(after) - set(before) == {OWN, f"clusters/{NAME}/_cluster"}
    changed = {branch for branch in before if after[branch] != before[branch]}
    assert changed == {BRANCH}
    mine, yours = Run(stage), Run(second)
    assert (mine.record.cluster.name, yours.record.cluster.name) == ("demo", NAME)
    assert mine.record.cluster.uid != yours.record.cluster.uid
    assert (mine.record.name, yours.record.name) == (ours.run_id, theirs.run_id)
    # The revision is where a policy last changed for a cluster: one may have known it for longer.
    assert mine.record.policy.digest == yours.record.policy.digest
    assert set(yours.volumes()) == set(PLACES)
    assert not set(mine.volumes()) & set(PLACES)
    assert urls_of(mine) == {f"{stage.repository_prefix}demo/shop"}
    assert urls_of(yours) == {f"{stage.repository_prefix}{NAME}/shop"}
    # The other's recovery points are there to be read, by its name, and by nobody else's.
    assert theirs.run_id not in stage.backstay("log", "shop").stdout
    assert theirs.run_id in second.backstay("log", "shop").stdout


def test_a_volume_is_copied_on_the_node_where_it_is(second: Stage) -> None:
    after = run_again(second)
    assert after.record.outcome is Outcome.COMPLETED
    for claim, node in PLACES.items():
        assert nodes_of_mover(second, after.record.name, claim) == [node]
        snapshot = str(after.volumes()[claim].snapshot)
        said = second.restic_output("shop", "dump", snapshot, f"/{claim}/name")
        assert said.decode().strip() == claim


def test_a_node_is_drained_while_its_volume_is_copied(second: Stage) -> None:
    drain = ("drain", FAR, "--ignore-daemonsets", "--delete-emptydir-data", "--force")
    try:
        with faults.movers_frozen(second) as started:
            second.wait("movers are at work", lambda: len(started.movers()) == len(PLACES))
            mover = naming.mover_name(started.run_id, "shop", "far", MoveKind.BACKUP.value)
            second.wait("the mover copies", lambda: running(second, mover), seconds=300)
            second.kubectl(*drain, "--timeout=300s")
        ended = started.finish()
    finally:
        second.kubectl("uncordon", FAR)
    assert ended.code == 0, ended.said
    after = Run(second)
    assert after.record.name == started.run_id
    assert after.record.outcome is Outcome.COMPLETED
    assert nodes_of_mover(second, started.run_id, "far") == [FAR, FAR]  # evicted, and again
    assert nodes_of_mover(second, started.run_id, "near") == ["node-1"]
    far = [found for found in faults.snapshots(second, "shop", started.run_id)
           if found["paths"] == ["/data/far"]]  # fmt: skip
    assert after.volumes()["far"].snapshot in {found["id"] for found in far}


def test_a_node_goes_with_the_run_and_a_mover_on_it_and_comes_back(second: Stage) -> None:
    with ExitStack() as away:
        with faults.movers_frozen(second, node=FAR) as started:
            run_id, (lost,) = started.run_id, names(started.pods())
            mover = naming.mover_name(run_id, "shop", "far", MoveKind.BACKUP.value)
            second.wait("the mover copies", lambda: running(second, mover), seconds=300)
            copying = pods_of(second, mover)
            away.enter_context(breaking.node_cut(second, FAR))
        second.kubectl("delete", "node", FAR)
        # Kubernetes waits 40 to 60 s for a deleted node, then deletes its pods.
        second.wait("a successor", lambda: lost not in names(started.pods()), seconds=300)
        second.wait("it says why it waits", partial(waits_for_the_node, started), seconds=600)
        assert breaking.processes_of(lost), "it can't be told, and goes on"
        with faults.s3_frozen(second):
            away.close()
            for pod in (lost, *copying):
                is_gone = partial(lacks_processes, pod)
                second.wait(f"{pod} has ended, truly", is_gone, seconds=300)
    ended = started.finish()
    assert (ended.code, started.run_id) == (0, run_id), ended.said
    (taken,) = started.events("taking over the lease of a dead run")
    assert taken["holder"] == f"{run_id}/{lost}"
    after = Run(second)
    assert (after.record.name, after.record.outcome) == (run_id, Outcome.COMPLETED)
    assert after.recorded().count(run_id) == 1
    stored = faults.snapshots(second, "shop", run_id)
    assert sorted(found["paths"][0] for found in stored) == ["/data/far", "/data/near"]
    assert {v.snapshot for v in after.volumes().values()} == {found["id"] for found in stored}


def waits_for_the_node(started: faults.Started) -> bool:
    """Whether a run says that a claim's mover has no node to be on."""
    told = [line for line in started.events("mover waits") if line["claim"] == "far"]
    return any("Unschedulable: 0/1 nodes are available" in str(line["why"]) for line in told)


def names(pods: list[dict[str, Any]]) -> list[str]:
    """Of some pods."""
    return [str(pod["metadata"]["name"]) for pod in pods]


def lacks_processes(pod: str) -> bool:
    """Whether nothing of a pod is left on this machine, whatever its cluster knows of it."""
    return not breaking.processes_of(pod)


def pods_of(stage: Stage, job: str) -> list[str]:
    """The pods of a mover's Job."""
    selector = f"batch.kubernetes.io/job-name={job}"
    return names(stage.objects("-n", "shop", "pods", "-l", selector))


def running(stage: Stage, job: str) -> bool:
    """Whether a pod of a Job has begun."""
    pods = stage.objects("-n", "shop", "pods", "-l", f"batch.kubernetes.io/job-name={job}")
    return any(pod["status"]["phase"] == "Running" for pod in pods)
