"""A run from a terminal: its Job is made from the CronJob, and followed to its end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from reconciler import ports
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, Interrupted, Refused, Transient

_POLL = 1.0
_LINES = 2000
_MISSES = 60


def start_job(
    reader: ports.ClusterReader,
    writer: ports.ClusterWriter,
    policy: str,
    *,
    namespace: str,
    now: datetime,
) -> str:
    """Makes a Job from the policy's CronJob, as `kubectl create job --from` does; returns it."""
    name = naming.cronjob_name(policy)
    cronjob = reader.get(kinds.CRON_JOBS, name, namespace=namespace)
    if cronjob is None:
        raise Refused(
            f"there is no CronJob {namespace}/{name}",
            hint=f"is policy {policy} merged, and did the controller see it? try: backstay plan",
        )
    template = cronjob["spec"]["jobTemplate"]
    digest = hashlib.sha256(f"{name}{now.isoformat()}".encode()).hexdigest()[:5]
    metadata = template.get("metadata") or {}
    job, _ = writer.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": f"{name}-{digest}",
                "namespace": namespace,
                "labels": metadata.get("labels") or {},
                "annotations": {
                    **(metadata.get("annotations") or {}),
                    "cronjob.kubernetes.io/instantiate": "manual",
                },
                "ownerReferences": [
                    {
                        "apiVersion": "batch/v1",
                        "kind": "CronJob",
                        "name": name,
                        "uid": cronjob["metadata"]["uid"],
                        # Only then the CronJob's history limits count it.
                        "controller": True,
                    }
                ],
            },
            "spec": template["spec"],
        }
    )
    return str(job["metadata"]["name"])


def follow_job(
    reader: ports.ClusterReader,
    name: str,
    *,
    policy: str,
    namespace: str,
    clock: ports.Clock,
    reporter: ports.Reporter,
    tell: Callable[[str], None],
) -> int:
    """Tells the lines of the Job's pods until it ended; returns the last pod's exit code.

    A pod that is lost is followed by its successor. An end that is none of ours, such as a kill, is
    1. A cluster that can't be asked for a while is asked again. An interrupt (Ctrl-C) ends the
    following alone, as Interrupted that says so.
    """
    reporter.event("following", job=name, namespace=namespace)
    try:
        code = _follow(reader, name, namespace, clock, reporter, tell)
    except KeyboardInterrupt:
        raise Interrupted(
            f"not followed any more; the Job {namespace}/{name} goes on in the cluster",
            hint=f"follow it with: kubectl logs -n {namespace} -f job/{name}; see how it ended"
            f" with: backstay log {policy}; stop it with: kubectl delete job -n {namespace} {name}",
        ) from None
    if code is None:
        raise Refused(f"the Job {namespace}/{name} is gone", hint=f"see: backstay log {policy}")
    return code


def _follow(
    reader: ports.ClusterReader,
    name: str,
    namespace: str,
    clock: ports.Clock,
    reporter: ports.Reporter,
    tell: Callable[[str], None],
) -> int | None:
    """Its exit code; None where the Job is gone."""
    told: dict[str, list[str]] = {}
    misses = 0
    while True:
        try:
            job = reader.get(kinds.JOBS, name, namespace=namespace)
            if job is None:
                return None
            pods = sorted(_pods(reader, name, namespace), key=_created)
        except Transient as error:
            misses += 1
            if misses > _MISSES:
                raise
            reporter.warning("trying again", what=f"following {name}", why=error.message)
        else:
            misses = 0
            for pod in pods:
                _tell_new_lines(reader, pod, told, tell)
            ended = _conclusion(job)
            if ended is not None:
                return _exit_code(pods, completed=ended == "Complete")
        clock.sleep(_POLL)


def _pods(reader: ports.ClusterReader, name: str, namespace: str) -> list[dict[str, Any]]:
    selector = f"batch.kubernetes.io/job-name={name}"
    pages = reader.pages(kinds.PODS, namespace=namespace, label_selector=selector)
    return [pod for page in pages for pod in page]


def _created(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["creationTimestamp"])


def _tell_new_lines(
    reader: ports.ClusterReader,
    pod: dict[str, Any],
    told: dict[str, list[str]],
    tell: Callable[[str], None],
) -> None:
    if pod.get("status", {}).get("phase") == "Pending":
        return
    name = pod["metadata"]["name"]
    try:
        lines = reader.logs(pod["metadata"]["namespace"], name, tail=_LINES).splitlines()
    except BackstayError:
        # Its container is not there yet, or not any more; the Job's end is what counts.
        return
    for line in lines[_overlap(told.get(name, []), lines) :]:
        tell(line)
    told[name] = lines


def _overlap(before: list[str], now: list[str]) -> int:
    """How many of the first lines ``now`` are the last ones of ``before``.

    A log that has grown beyond what is asked for begins with another line each time.
    """
    if not now:
        return 0
    for start, line in enumerate(before):
        if line == now[0] and before[start:] == now[: len(before) - start]:
            return len(before) - start
    return 0


def _conclusion(job: dict[str, Any]) -> str | None:
    for condition in job.get("status", {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return str(condition["type"])
    return None


def _exit_code(pods: list[dict[str, Any]], *, completed: bool) -> int:
    if completed:
        return 0
    for pod in reversed(pods):
        for container in pod.get("status", {}).get("containerStatuses") or ():
            ended = container.get("state", {}).get("terminated")
            if ended:
                code = int(ended["exitCode"])
                return code if 0 < code <= Interrupted.exit_code else 1
    return 1
