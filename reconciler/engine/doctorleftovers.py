"""Reads what dead runs and restores may have left in the cluster; complete or raises.

Who is at work is asked before and after everything else: a run that begins or ends meanwhile is
never taken for a dead one. Of Secrets only names are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from reconciler import ports
from reconciler.capture.message import make_run_id
from reconciler.engine.observe import observe_claims, observe_namespaces, read_all
from reconciler.model import kinds, naming
from reconciler.model.errors import BackstayError, NotServed
from reconciler.plan import copyobjects, moverjob, moverstatus
from reconciler.plan.cronjob import COMPONENT_RUN
from reconciler.plan.doctorleftovers import Scene, holders, living_holders
from reconciler.plan.entries import annotations_of, labels_of

_FALLBACK = "default"
"""Where a restore's Lease lies before the installation is there."""


def observe_scene(
    reader: ports.ClusterReader,
    *,
    namespace: str,
    now: datetime,
    is_dead: Callable[[str], bool] = lambda _: False,
) -> Scene:
    """Everything that `find_leftovers` looks at."""
    before = runs_at_work(reader, namespace, now)
    credentials = read_all(
        reader,
        kinds.SECRETS,
        _secret_name,
        label_selector=_labelled(moverjob.COMPONENT_CREDENTIALS),
    )
    movers = read_all(reader, kinds.JOBS, dict, label_selector=_labelled(moverjob.COMPONENT_MOVER))
    copies = _copies(reader)
    claims = observe_claims(reader)
    namespaces = observe_namespaces(reader)
    cron_jobs = read_all(reader, kinds.CRON_JOBS, dict, namespace=namespace)
    leases = read_all(reader, kinds.LEASES, dict, namespace=namespace)
    if namespace != _FALLBACK:
        leases += read_all(
            reader,
            kinds.LEASES,
            dict,
            namespace=_FALLBACK,
            field_selector="metadata.name=backstay-restore",
        )
    jobs = read_all(reader, kinds.JOBS, dict, namespace=namespace)
    pods = read_all(reader, kinds.PODS, dict, namespace=namespace)
    events = _events(reader, namespace, jobs)
    alive = frozenset((*before, *_at_work(jobs), *living_holders(leases, pods, now)))
    return Scene(
        namespace=namespace,
        now=now,
        alive=alive,
        waiting=frozenset(_without_pod(jobs, pods)),
        dead=frozenset(held.holder for held in holders(leases) if is_dead(held.holder)),
        scheduled=frozenset(
            annotations_of(raw).get(naming.POLICY, "")
            for raw in cron_jobs
            if naming.COMPONENT in labels_of(raw)
        ),
        leases=leases,
        jobs=jobs,
        pods=pods,
        movers=movers,
        copies=copies,
        credentials=credentials,
        claims=claims,
        namespaces=namespaces,
        events=events,
    )


def _copies(reader: ports.ClusterReader) -> list[dict[str, Any]]:
    """Objects of movers' copies; none of a kind that the cluster does not serve."""
    found = []
    for resource in (kinds.CLAIMS, kinds.SNAPSHOTS, kinds.SNAPSHOT_CONTENTS):
        selector = _labelled(copyobjects.COMPONENT_COPY)
        with contextlib.suppress(NotServed):
            found += read_all(reader, resource, dict, label_selector=selector)
    return found


def _events(
    reader: ports.ClusterReader, namespace: str, jobs: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Warnings, where a run is under way; they only explain what is known without them."""
    if not any(_at_work(jobs)):
        return []
    try:
        return read_all(
            reader, kinds.EVENTS, dict, namespace=namespace, field_selector="type=Warning"
        )
    except BackstayError:
        return []


def runs_at_work(reader: ports.ClusterReader, namespace: str, now: datetime) -> frozenset[str]:
    """Ids of the runs whose Job has not ended, or that hold their policy's Lease."""
    jobs = read_all(reader, kinds.JOBS, dict, namespace=namespace)
    leases = read_all(reader, kinds.LEASES, dict, namespace=namespace)
    pods = read_all(reader, kinds.PODS, dict, namespace=namespace)
    return frozenset((*_at_work(jobs), *living_holders(leases, pods, now)))


def _at_work(jobs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for job in jobs:
        if moverstatus.end_of(job) is None and (run_id := run_of_job(job)):
            yield run_id


def _without_pod(jobs: Sequence[dict[str, Any]], pods: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Runs whose Job has not ended and has no pod that lives."""
    living = {
        owner.get("uid")
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for owner in pod["metadata"].get("ownerReferences") or ()
    }
    for job in jobs:
        ended = moverstatus.end_of(job) is not None
        if not ended and job["metadata"].get("uid") not in living and (run_id := run_of_job(job)):
            yield run_id


def run_of_job(job: dict[str, Any]) -> str:
    """The id of the run that a Job of a policy's CronJob is; empty for any other Job."""
    policy = annotations_of(job).get(naming.POLICY, "")
    if labels_of(job).get(naming.COMPONENT) != COMPONENT_RUN or not policy:
        return ""
    metadata = job["metadata"]
    try:
        created = datetime.fromisoformat(metadata["creationTimestamp"])
        return make_run_id(policy, created, metadata["uid"])
    except (KeyError, ValueError):
        return ""


def _secret_name(raw: dict[str, Any]) -> tuple[str, str, str]:
    metadata = raw["metadata"]
    return metadata["namespace"], metadata["name"], annotations_of(raw).get(naming.RUN, "")


def _labelled(component: str) -> str:
    return f"{naming.COMPONENT}={component}"
