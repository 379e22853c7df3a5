"""Several policies and their runs: each is judged by what is its own, and by what it was then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.doctor import choose
from reconciler.engine.doctorleftovers import run_of_job
from reconciler.engine.doctorsteps import STEPS
from reconciler.model import kinds, naming
from reconciler.model.doctor import Finding, Level
from reconciler.model.objects import Resource
from reconciler.model.volumes import MoveResult, MoveState
from tests.fakes import kubelet
from tests.fakes.faults import FaultyReader
from tests.unit.engine.doctor_world import POLICY_FILE, DoctorWorld
from tests.unit.engine.run_world import BRANCH, RUN_IDS, SYSTEM, manifest
from tests.unit.engine.test_doctor_findings import PROBLEM, only

_REPOSITORY, _, _POLICY = POLICY_FILE.partition(b"---\n")
_RPO = POLICY_FILE.replace(b"  retention", b"  objectives: {rpo: 26h}\n  retention")


@pytest.fixture
def world() -> DoctorWorld:
    """Return an installation that nothing is wrong with."""
    return DoctorWorld()


class Probed(FaultyReader):
    """Asked for rights and time, it is the cluster that it reads from."""

    def __init__(self, world: DoctorWorld, matches: Callable[[Resource, str], bool]) -> None:
        super().__init__(world.cluster, matches)
        self._probe = world.cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._probe, name)


def answers(world: DoctorWorld, identifier: str) -> dict[str, Finding]:
    """Place → what one check says of it."""
    return {one.where: one for one in world.doctor().findings if one.id == identifier}


def begin_run(world: DoctorWorld, policy: str) -> dict[str, Any]:
    """The Job that a policy's CronJob makes now."""
    (cron_job,) = (
        raw
        for raw in world.cluster.all("CronJob")
        if raw["metadata"]["name"] == f"backstay-{policy}"
    )
    template = cron_job["spec"]["jobTemplate"]
    name = f"backstay-{policy}-2"
    metadata = {**template["metadata"], "name": name, "namespace": SYSTEM}
    job = manifest("batch/v1/Job", name, SYSTEM, spec=template["spec"])
    return world.cluster.put({**job, "metadata": metadata})


def with_second_policy(world: DoctorWorld) -> None:
    """A policy whose name begins like the first one's is applied too."""
    world.push_policies(POLICY_FILE + b"---\n" + _POLICY.replace(b"name: shop", b"name: shop-eu"))
    world.apply()


def test_a_policy_whose_name_is_longer_has_runs_of_its_own(world: DoctorWorld) -> None:
    with_second_policy(world)
    kubelet.end(world.cluster, begin_run(world, "shop-eu"), exit_code=12, message="error: locked\n")
    said = answers(world, "policies/last-run")
    assert said["policy shop"].level is Level.OK
    assert said["policy shop-eu"].level is PROBLEM
    assert "error" not in said["policy shop"].message


def test_a_schedule_that_changed_has_missed_nothing_before(world: DoctorWorld) -> None:
    world.clock.advance(timedelta(hours=9).total_seconds())
    world.push_policies(POLICY_FILE.replace(b'"17 4 * * *"', b'"17 * * * *"'))
    world.apply()
    (cron_job,) = world.cluster.all("CronJob")
    now = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    later = (world.clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    managers = [
        {"manager": "backstay", "time": now},
        {"manager": "kube-controller-manager", "subresource": "status", "time": later},
    ]
    world.cluster.edit(cron_job, lambda raw: raw["metadata"].update(managedFields=managers))
    world.log_cycle("cycle done")
    assert world.wrong() == []
    world.clock.advance(timedelta(hours=3).total_seconds())
    world.log_cycle("cycle done")
    assert only(world).message.startswith("2 runs were missed")


def test_a_suspended_policy_that_selects_nothing_is_no_problem(world: DoctorWorld) -> None:
    world.push_policies(POLICY_FILE.replace(b'schedule: "', b'suspend: true\n  schedule: "'))
    world.apply()
    world.lose_shop()
    assert world.wrong() == []
    (said,) = answers(world, "policies/selection").values()
    assert (said.level, said.message.endswith("it is suspended")) == (Level.INFO, True)


def test_a_promise_that_was_never_kept_is_broken_too(world: DoctorWorld) -> None:
    world = DoctorWorld()
    failed = MoveResult(state=MoveState.FAILED, message="disk full", exit_code=1)
    world.mover._effect = lambda _: failed
    del world.remote.heads[BRANCH]
    world.run(2)
    world.push_policies(_RPO)
    world.apply()
    assert "policies/overdue" not in {one.id for one in world.wrong()}
    world.clock.advance(timedelta(hours=25).total_seconds())
    world.run(3)
    world.clock.advance(timedelta(hours=2).total_seconds())
    world.log_cycle("cycle done")
    (late,) = (one for one in world.wrong() if one.id == "policies/overdue")
    assert late.level is PROBLEM
    assert "there is no complete recovery point, and objectives.rpo promises 26 h" in late.message


def test_the_older_mark_of_a_default_class_counts(world: DoctorWorld) -> None:
    old = {"storageclass.beta.kubernetes.io/is-default-class": "true"}
    (found,) = world.cluster.all("StorageClass")
    world.cluster.edit(found, lambda raw: raw["metadata"].update(annotations=old))
    assert world.wrong() == []


def test_a_record_that_cannot_be_read_hides_no_other(world: DoctorWorld) -> None:
    branch = BRANCH.replace("shop", "another")
    commit = world.remote.commits[world.remote.heads[BRANCH]]
    broken = {**commit.files, "_run.yaml": b"{"}
    world.remote.commits["b" * 40] = replace(commit, sha="b" * 40, files=broken)
    world.remote.heads[branch] = "b" * 40
    said = [one for one in world.doctor().findings if one.id == "repositories/snapshots"]
    assert [(one.where, one.level) for one in said] == [
        (f"branch {branch}", Level.UNKNOWN),
        (f"run {RUN_IDS[0]}", Level.OK),
    ]


def test_a_branch_that_cannot_be_read_leaves_the_schedule_known(world: DoctorWorld) -> None:
    facts = world.facts()
    facts.failed_branches.append(BRANCH)
    told: dict[str, list[Finding]] = {}
    for step in choose(STEPS, frozenset({"policies"})):
        if step.ask is not None:
            told[step.name] = list(step.ask(facts))
    assert {one.id: one.level for one in told["runs"]} == {
        "policies/schedule": Level.OK,
        "policies/last-run": Level.UNKNOWN,
        "policies/overdue": Level.UNKNOWN,
    }


def test_a_run_that_ended_between_two_looks_left_no_orphan(world: DoctorWorld) -> None:
    job = begin_run(world, "shop")
    kubelet.start(world.cluster, job)
    run_id = run_of_job(job)
    first = world.repository("shop").snapshots[0]
    world.repository("shop").snapshots.append(
        replace(first, id="e" * 64, tags=("policy:shop", f"run:{run_id}"))
    )

    def end(kind: Resource, _: str) -> bool:
        if kind == kinds.CLAIMS:
            kubelet.close(world.cluster, job, complete=True)
        return False

    reader = Probed(world, end)
    made = {one.id: one for one in world.doctor(cluster=lambda: reader).findings}
    assert made["leftovers/snapshots"].level is Level.OK, made["leftovers/snapshots"]


def test_another_clusters_snapshots_in_the_same_repository_are_its_own(world: DoctorWorld) -> None:
    stored = world.repository("shop")
    theirs = replace(
        stored.snapshots[0],
        id="f" * 64,
        host="prod-us/shop",
        tags=("policy:x", f"run:{RUN_IDS[4]}"),
    )
    stored.snapshots.append(theirs)
    made = {one.id: one for one in world.doctor().findings}
    assert made["leftovers/snapshots"].level is Level.OK


def test_the_events_of_a_pod_that_does_not_start_are_told(world: DoctorWorld) -> None:
    pod = kubelet.start(world.cluster, begin_run(world, "shop"), phase="Pending")
    kubelet.warn(world.cluster, pod, "FailedMount", 'configmap "backstay-config" not found')
    world.clock.advance(timedelta(minutes=11).total_seconds())
    found = only(world)
    assert (found.id, found.level) == ("leftovers/pending-run", PROBLEM)
    assert found.message.endswith('FailedMount: configmap "backstay-config" not found')


def test_events_that_cannot_be_read_leave_the_rest_known(world: DoctorWorld) -> None:
    kubelet.start(world.cluster, begin_run(world, "shop"), phase="Pending")
    world.clock.advance(timedelta(minutes=11).total_seconds())
    reader = Probed(world, lambda kind, _: kind == kinds.EVENTS)
    (found,) = (
        one for one in world.doctor(cluster=lambda: reader).findings
        if one.id == "leftovers/pending-run"
    )  # fmt: skip
    assert found.message.endswith("its pod does not start")


def test_a_claim_that_a_restore_fills_is_told_once(world: DoctorWorld) -> None:
    (claim,) = world.cluster.all("PersistentVolumeClaim")
    mark = {naming.RESTORING: RUN_IDS[0]}
    world.cluster.edit(claim, lambda raw: raw["metadata"].update(annotations=mark))
    found = only(world)
    assert (found.id, found.level) == ("leftovers/restoring-claim", Level.WARNING)
    (said,) = answers(world, "storage/claims").values()
    assert (said.level, said.hint) == (Level.INFO, "see leftovers/restoring-claim")
    assert "a restore of" in said.message
    world.cluster.acquire_lease(SYSTEM, "backstay-restore", "laptop/1", seconds=60)
    assert world.wrong() == []


def test_a_policy_for_another_cluster_is_told_as_such(world: DoctorWorld) -> None:
    other = _POLICY.replace(b"name: shop", b"name: other")
    other = other.replace(b"  schedule", b"  clusters: {names: [prod-us]}\n  schedule")
    world.push_policies(POLICY_FILE + b"---\n" + other)
    world.apply()
    assert world.wrong() == []
    valid = [one for one in world.doctor(policy="other").findings if one.id == "policies/valid"]
    assert [one.level for one in valid] == [Level.INFO, Level.OK]
    assert valid[0].where == "policy other"
    assert "is not for this cluster: it is for clusters named prod-us" in valid[0].message
    world.push_policies(_REPOSITORY + b"---\n" + other)
    (none,) = (one for one in world.wrong() if one.id == "policies/valid")
    assert "holds no good policy for this cluster" in none.message
