"""Moves the Jobs of a fake cluster along, as its controllers and kubelets would."""

from __future__ import annotations

from typing import Any

from tests.fakes.cluster import FakeCluster

LABEL = "batch.kubernetes.io/job-name"


def jobs(cluster: FakeCluster, *, suspended: bool = False) -> list[dict[str, Any]]:
    """Jobs that have not ended and are (not) suspended."""
    return [
        job
        for job in cluster.all("Job")
        if not (job.get("status") or {}).get("conditions")
        and bool(job["spec"].get("suspend")) == suspended
    ]


def start(cluster: FakeCluster, job: dict[str, Any], **status: Any) -> dict[str, Any]:
    """Makes the Job's pod: pending with this status, or running and ready without one."""
    name, namespace = job["metadata"]["name"], job["metadata"]["namespace"]
    template = job["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{name}-x{len(cluster.all('Pod'))}",
            "namespace": namespace,
            "labels": {**template["metadata"]["labels"], LABEL: name},
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": _uid(job)}
            ],
        },
        "spec": {**template["spec"], "nodeName": "node-1"},
        "status": status or {"phase": "Running"},
    }
    made = cluster.put(pod, manager="kubelet")
    ready = 0 if status else 1
    cluster.edit(job, lambda raw: raw.update(status={"active": 1, "ready": ready}))
    return made


def end(
    cluster: FakeCluster,
    job: dict[str, Any],
    *,
    message: str = "",
    exit_code: int = 0,
    reason: str = "",
) -> None:
    """Ends the Job's pod with this termination message, and the Job with it."""
    pods = [pod for pod in cluster.all("Pod") if _owner(pod) == _uid(job)]
    pod = pods[-1] if pods else start(cluster, job)
    ended = {"exitCode": exit_code, "message": message, "reason": reason or "Completed"}
    phase = "Failed" if exit_code else "Succeeded"
    statuses = [{"name": "mover", "state": {"terminated": ended}}]
    status = {"phase": phase, "containerStatuses": statuses}
    cluster.edit(pod, lambda raw: raw.update(status=status))
    close(cluster, job, complete=not exit_code, reason="PodFailurePolicy" if exit_code else "")


def close(
    cluster: FakeCluster, job: dict[str, Any], *, complete: bool, reason: str = "", text: str = ""
) -> None:
    """Sets the Job's final condition."""
    condition = {
        "type": "Complete" if complete else "Failed",
        "status": "True",
        "reason": reason,
        "message": text,
    }
    cluster.edit(job, lambda raw: raw.update(status={"conditions": [condition]}))


def warn(cluster: FakeCluster, about: dict[str, Any], reason: str, message: str) -> None:
    """Records a Warning event about an object."""
    metadata = about["metadata"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{len(cluster.all('Event'))}",
            "namespace": metadata["namespace"],
        },
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": f"2026-11-21T04:17:{len(cluster.all('Event')):02}Z",
        "involvedObject": {
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
    }
    cluster.put(event, manager="kubelet")


def _uid(raw: dict[str, Any]) -> str:
    return str(raw["metadata"]["uid"])


def _owner(pod: dict[str, Any]) -> str:
    owners = pod["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))
