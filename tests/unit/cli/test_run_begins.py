"""How a run's pod learns what it is: from its Job, whatever it has to wait for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reconciler.cli.run import await_request
from reconciler.engine.context import RunRequest
from reconciler.engine.patience import Patience
from reconciler.model import naming
from reconciler.model.errors import ClusterRenamed, Interrupted, Refused, Transient, UsageError
from reconciler.model.policy import Compiled
from reconciler.model.run import Trigger
from tests.fakes.faults import FaultyWriter
from tests.unit.engine.run_world import CONFIG, POLICY, REPOSITORY, SYSTEM, RunWorld, manifest

JOB = "backstay-shop-29394017"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> RunWorld:
    """Return a world in which this process is the pod of a Job."""
    monkeypatch.setenv("BACKSTAY_JOB", JOB)
    monkeypatch.setenv("BACKSTAY_POD", "run-1-a")
    monkeypatch.setenv("BACKSTAY_NAMESPACE", SYSTEM)
    world = RunWorld()
    annotations = {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-21T04:17:00Z"}
    spec = {"activeDeadlineSeconds": 43200}
    world.cluster.put(
        manifest("batch/v1/Job", JOB, SYSTEM, spec=spec, metadata={"annotations": annotations})
    )
    return world


def begin(world: RunWorld, reader: Any, stopped: Callable[[], bool] = lambda: False) -> RunRequest:
    """What the pod makes of its Job."""
    patience = functools.partial(Patience, clock=world.clock, reporter=world.log, stopped=stopped)
    compiled = Compiled(POLICY, (REPOSITORY,))
    return await_request(reader, CONFIG, compiled, world.digest, patience, world.clock)


def test_a_run_is_what_its_job_says(world: RunWorld) -> None:
    request = begin(world, world.cluster)
    assert (request.job, request.pod, request.namespace) == (JOB, "run-1-a", SYSTEM)
    assert request.trigger is Trigger.SCHEDULE
    assert request.run_id.startswith("shop-20261121-0417")
    assert request.deadline - request.started == timedelta(seconds=43200 - 600)


def test_an_api_server_that_is_away_as_the_pod_starts_is_waited_for(world: RunWorld) -> None:
    away = Transient("connection refused")
    reader = FaultyWriter(world.cluster, "get", error=away, after=1)
    assert begin(world, reader).job == JOB
    (told,) = world.log.of("trying again")
    assert told["what"] == "reading the Job of this run"


def test_a_run_that_is_to_stop_does_not_wait_for_the_api_server(world: RunWorld) -> None:
    reader = FaultyWriter(world.cluster, "get", error=Transient("connection refused"), after=1)
    with pytest.raises(Interrupted):
        begin(world, reader, stopped=lambda: True)


def test_a_job_that_is_gone_is_the_end(world: RunWorld) -> None:
    (job,) = world.cluster.all("Job")
    world.cluster.remove(job)
    with pytest.raises(Refused, match=f"the Job {SYSTEM}/{JOB} of this run is gone"):
        begin(world, world.cluster)


def test_a_job_that_was_made_for_another_cluster_name_is_the_end(world: RunWorld) -> None:
    (job,) = world.cluster.all("Job")
    said = job["metadata"]["annotations"]
    world.cluster.edit(
        job, lambda raw: raw["metadata"].update(annotations=said | {naming.CLUSTER: "prod-eu"})
    )
    assert begin(world, world.cluster).job == JOB
    world.cluster.edit(
        job, lambda raw: raw["metadata"].update(annotations=said | {naming.CLUSTER: "prod"})
    )
    with pytest.raises(ClusterRenamed, match="was made for cluster prod, and Config calls it"):
        begin(world, world.cluster)


def test_a_policy_that_is_not_the_one_its_job_names_is_not_executed(world: RunWorld) -> None:
    """Somebody has made the ConfigMap anew, with other data under the old name."""
    (job,) = world.cluster.all("Job")
    said = job["metadata"]["annotations"]
    said[naming.DIGEST] = world.digest
    world.cluster.edit(job, lambda raw: raw["metadata"].update(annotations=said))
    assert begin(world, world.cluster).policy.digest == world.digest
    other = said | {naming.DIGEST: "sha256:" + "0" * 64}
    world.cluster.edit(job, lambda raw: raw["metadata"].update(annotations=other))
    with pytest.raises(UsageError, match="is not the one that this Job names") as refused:
        begin(world, world.cluster)
    assert "delete it" in refused.value.hint
