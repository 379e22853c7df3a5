"""The controller starts one Job for each pod in which a dead run left hooks open."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.finishing import PostFailed
from reconciler.engine.finishjobs import FinishJobs, have_hooks
from reconciler.model import naming
from reconciler.model.errors import Refused, Transient
from reconciler.plan.cronjob import POLICY_KEY, Place
from reconciler.plan.finishjob import COMPONENT_FINISH
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.engine.hook_world import QUIESCE, HookWorld
from tests.unit.engine.run_world import POLICY, SYSTEM, manifest

HOLDER = "shop-20261121-011703-00001/run-1-a"


def start(world: HookWorld, **changed: Any) -> None:
    """One look of a controller."""
    given: dict[str, Any] = {"reader": world.cluster, "writer": world.cluster, **changed}
    FinishJobs(
        config=world.config,
        place=Place(namespace=SYSTEM),
        holder="controller/1",
        reporter=world.log,
        clock=world.clock,
        **given,
    ).start()


def jobs(world: HookWorld) -> list[dict[str, Any]]:
    """Those that end hooks."""
    return [
        job
        for job in world.cluster.all("Job")
        if job["metadata"]["labels"][naming.COMPONENT] == COMPONENT_FINISH
    ]


def put_run(world: HookWorld, *conditions: str) -> dict[str, Any]:
    """The Job of the run that holds the pod."""
    told = [{"type": kind, "status": "True"} for kind in conditions]
    job = manifest(
        "batch/v1/Job", "backstay-shop-1", SYSTEM, status={"conditions": told},
        metadata={"labels": naming.labels("run", policy="shop")},
    )  # fmt: skip
    return world.cluster.put(job)


@pytest.mark.parametrize("ended", ["Failed", "Complete"])
def test_a_run_that_is_over_gets_one_job_however_often_it_is_looked_for(ended: str) -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    run = put_run(world)
    start(world)
    assert jobs(world) == []
    put_run(world, ended)
    start(world)
    start(world)
    (job,) = jobs(world)
    spec = job["spec"]["template"]["spec"]
    (lease,) = world.leases()
    assert spec["containers"][0]["args"][:4] == ["run", "shop", "--finish", lease.name]
    assert spec["serviceAccountName"] == "backstay-run"
    assert job["metadata"]["annotations"][naming.RUN] == HOLDER.partition("/")[0]
    assert job["metadata"]["name"] != run["metadata"]["name"]
    assert len(world.log.of("a dead run has left hooks open: starting a Job that ends them")) == 1


def test_a_run_whose_job_is_gone_is_over() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    start(world)
    assert len(jobs(world)) == 1


def test_a_job_that_is_gone_while_hooks_are_open_is_started_again() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    start(world)
    (first,) = jobs(world)
    world.cluster.remove(first)
    start(world)
    (again,) = jobs(world)
    assert again["metadata"]["name"] == first["metadata"]["name"]
    assert again["metadata"]["uid"] != first["metadata"]["uid"]


def test_what_the_job_does() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    world.finish()
    assert world.events == ["unlock shop/db-0"]
    assert world.leases() == []
    world.finish()
    assert world.events == ["unlock shop/db-0"]


def test_the_job_waits_for_the_pod_of_the_run_to_end() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    pod = world.cluster.put(manifest("Pod", "run-1-a", SYSTEM, status={"phase": "Running"}))
    seen = []

    def pass_time() -> None:
        seen.append(list(world.events))
        if len(seen) == 3:
            world.cluster.remove(pod)

    world.clock.on_sleep = pass_time
    world.finish()
    assert seen == [[], [], []]
    assert world.events == ["unlock shop/db-0"]


def test_the_job_fails_while_something_stays_open() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")

    def strike(_: object) -> None:
        raise Refused("exec in shop/db-0: not allowed")

    world.execute.before = strike
    with pytest.raises(Transient, match="not allowed"):
        world.finish()
    assert len(world.leases()) == 1


@pytest.mark.parametrize("changed", [{"exit_code": 1}, {"endless": True}])
def test_a_command_that_fails_is_over_and_fails_the_job(changed: dict[str, Any]) -> None:
    world = HookWorld()
    world.program("unlock", **changed)
    world.hold_pod(HOLDER, policy="shop")
    start(world)
    (rule,) = jobs(world)[0]["spec"]["podFailurePolicy"]["rules"]
    with pytest.raises(PostFailed, match=r"hook theirs \(post\) in pod shop/db-0") as caught:
        world.finish()
    # No second try: it would find nothing open, and the Job would be Complete.
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [caught.value.exit_code])
    assert world.leases() == []
    assert len(world.log.of("hook ended")) == 1


def test_a_lease_that_somebody_broke_is_told_and_left_alone() -> None:
    world = HookWorld()
    lease = world.hold_pod(HOLDER, policy="shop")
    world.cluster.edit(lease, lambda raw: raw["metadata"]["annotations"].clear())
    start(world)
    assert jobs(world) == []
    assert len(world.log.of("hook's lease not understood")) == 1


def test_what_keeps_it_from_looking_ends_no_cycle() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    start(world, reader=FaultyReader(world.cluster, lambda kind, _: kind.kind == "Lease"))
    start(world, writer=FaultyWriter(world.cluster, "create", error=Refused("not allowed")))
    assert [line["why"] for line in world.log.of("open hooks not looked for")] == [
        "list: the API server hung up", "not allowed"
    ]  # fmt: skip
    assert jobs(world) == []


def test_nothing_is_asked_where_nobody_has_hooks() -> None:
    plain = {"metadata": {"labels": naming.labels("policy")}, "data": {POLICY_KEY: '{"a": 1}'}}
    compiled = {**plain, "data": {POLICY_KEY: '{"policy": {"hooks": [{}]}}'}}
    foreign = {"metadata": {}, "data": {POLICY_KEY: '"hooks"'}}
    assert not have_hooks([{"spec": {"hooks": []}}, {}], [POLICY], [plain, foreign])
    assert have_hooks([{"spec": {"hooks": [{}]}}], [], [])
    assert have_hooks([], [HookWorld(hooks=(QUIESCE,)).policy], [])
    assert have_hooks([], [], [plain, compiled])
