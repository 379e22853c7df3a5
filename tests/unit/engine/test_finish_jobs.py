"""The controller starts one Job for each pod in which a dead run left hooks open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.finishing import PostFailed
from reconciler.engine.finishjobs import FinishJobs, have_hooks
from reconciler.model import naming
from reconciler.model.errors import Refused, Transient, UsageError, Waiting
from reconciler.plan.cronjob import POLICY_KEY, Place
from reconciler.plan.finishjob import COMPONENT_FINISH
from reconciler.plan.hooklease import ANYBODY
from reconciler.plan.rights import CONTROLLER
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.unit.engine.hook_world import QUIESCE, THEIRS, HookWorld
from tests.unit.engine.run_world import POLICY, SYSTEM, manifest

QUIET = replace(THEIRS, hook="quiet")
HOLDER = "shop-20261121-011703-00001/run-1-a"


def start(world: HookWorld, **changed: Any) -> None:
    """One look of a controller, with its rights."""
    cluster = world.entitled(CONTROLLER)
    given: dict[str, Any] = {"reader": cluster, "writer": cluster, **changed}
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


def put_pod(world: HookWorld, name: str = "run-1-a", **changed: Any) -> dict[str, Any]:
    """The pod of the run that holds the application's."""
    return world.cluster.put(manifest("Pod", name, SYSTEM, **changed))


@pytest.mark.parametrize("ended", ["Failed", "Succeeded"])
def test_a_holder_that_has_ended_gets_one_job_however_often_it_is_looked_for(ended: str) -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    put_pod(world, status={"phase": "Running"})
    start(world)
    assert jobs(world) == []
    put_pod(world, status={"phase": ended})
    start(world)
    start(world)
    (job,) = jobs(world)
    spec = job["spec"]["template"]["spec"]
    (lease,) = world.leases()
    assert spec["containers"][0]["args"][:4] == ["run", "shop", "--finish", lease.name]
    assert spec["serviceAccountName"] == "backstay-run"
    assert job["metadata"]["annotations"][naming.RUN] == HOLDER.partition("/")[0]
    assert len(world.log.of("a dead run has left hooks open: starting a Job that ends them")) == 1


def test_a_job_that_is_refused_keeps_none_from_the_next_lease() -> None:
    world = HookWorld()
    world.add_pod("db-1")
    for pod in ("db-0", "db-1"):
        world.hold_pod(HOLDER, policy="shop", pod=pod)
    start(world, writer=FaultyWriter(world.cluster, "create", error=Refused("not allowed")))
    assert len(jobs(world)) == 1
    (told,) = world.log.of("Job not started")
    assert told["why"] == "not allowed"
    start(world)
    assert len(jobs(world)) == 2


def test_a_run_whose_job_is_at_work_without_a_living_pod_is_dead() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    labels = naming.labels("run", policy="shop")
    job = manifest("batch/v1/Job", "backstay-shop-1", SYSTEM, metadata={"labels": labels})
    world.cluster.put(job)
    start(world)
    assert [job["metadata"]["labels"][naming.RUN] for job in jobs(world)] == [
        HOLDER.partition("/")[0]
    ]


def test_a_pod_on_a_node_out_of_reach_is_dead_a_minute_after_its_time() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    due = world.clock.now().isoformat()
    put_pod(world, status={"phase": "Running"}, metadata={"deletionTimestamp": due})
    start(world)
    assert jobs(world) == []
    world.clock.advance(61)
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


def end_job(world: HookWorld, job: dict[str, Any], kind: str, reason: str = "") -> None:
    """What the Job controller writes at its end."""
    told = {
        "type": kind, "status": "True", "reason": reason, "message": "",
        "lastTransitionTime": world.clock.now().isoformat(),
    }  # fmt: skip

    def change(raw: dict[str, Any]) -> None:
        raw["status"] = {"conditions": [told]}

    world.cluster.edit(job, change)


def test_after_a_job_that_failed_comes_the_next_one_later_each_time() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    for number, minutes in enumerate((1, 2, 4), start=1):
        start(world)
        job = jobs(world)[-1]
        assert job["metadata"]["name"].endswith(f"-{number}")
        end_job(world, job, "Failed", "BackoffLimitExceeded")
        world.clock.advance(minutes * 60 - 1)
        start(world)
        assert len(jobs(world)) == number
        world.clock.advance(1)
    told = world.log.of("a dead run has left hooks open: starting a Job that ends them")
    assert [one["why"] for one in told] == ["", "BackoffLimitExceeded", "BackoffLimitExceeded"]


def mirror_of(policy: str) -> dict[str, Any]:
    """The policy's object, as the controller has made it."""
    return manifest(
        "backstay.dev/v1alpha1/BackupPolicy", policy, SYSTEM,
        metadata={
            "labels": naming.labels("policy", policy=policy), "uid": f"uid-{policy}",
            "resourceVersion": "7", "annotations": {naming.POLICY: policy},
        },
    )  # fmt: skip


def events(world: HookWorld) -> list[tuple[str, str, str]]:
    """(policy, reason, note) of each Event."""
    return [
        (raw["involvedObject"]["name"], raw["reason"], raw["message"])
        for raw in world.cluster.all("Event")
        if raw["involvedObject"]["kind"] == "BackupPolicy"
    ]


def test_the_policys_object_tells_of_a_pod_that_was_left_quiesced() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    mirrors = [mirror_of("other"), mirror_of("shop")]
    start(world, mirrors=mirrors)
    start(world, mirrors=mirrors)
    ((policy, reason, note),) = events(world)
    assert (policy, reason) == ("shop", "HooksLeftOpen")
    assert "has left pod shop/db-0 quiesced; Job backstay-finish-" in note


def test_the_policys_object_tells_of_a_post_command_that_failed_and_so_for_an_hour() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    start(world)
    (job,) = jobs(world)
    end_job(world, job, "Failed", "PodFailurePolicy")
    world.cluster.remove(world.cluster.all("Lease")[0])
    writer = FaultyWriter(world.cluster, "announce", error=Refused("no events here"))
    start(world, mirrors=[mirror_of("shop")], writer=writer)
    assert events(world) == []
    for _ in range(2):
        start(world, mirrors=[mirror_of("shop")])
    ((policy, reason, note),) = events(world)
    assert (policy, reason) == ("shop", "HookPostFailed")
    assert "pod shop/db-0" in note
    assert f"logs job/{job['metadata']['name']}" in note
    assert len(world.log.of("hooks of a dead run ended badly")) == 1
    world.clock.advance(3700)
    start(world, mirrors=[mirror_of("shop")], writer=writer)
    assert len(world.log.of("event not written")) == 1


def test_what_the_job_does() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    world.finish()
    assert world.events == ["unlock shop/db-0"]
    assert world.leases() == []
    world.finish()
    assert world.events == ["unlock shop/db-0"]


def test_the_job_waits_for_a_pod_that_is_about_to_end() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    pod = put_pod(world, status={"phase": "Running"})
    seen = []

    def pass_time() -> None:
        seen.append(list(world.events))
        if len(seen) == 3:
            world.cluster.remove(pod)

    world.clock.on_sleep = pass_time
    world.finish()
    assert seen == [[], [], []]
    assert world.events == ["unlock shop/db-0"]


def test_the_job_leaves_a_lease_to_a_holder_that_lives() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    put_pod(world, status={"phase": "Running"})
    world.finish()
    assert world.events == []
    assert len(world.log.of("another sees to it")) == 1
    with pytest.raises(Waiting, match="pod run-1-a still holds Lease"):
        world.finish(alone=True)


def test_another_policys_lease_is_refused() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="crm")
    with pytest.raises(UsageError, match="is of policy crm, not shop"):
        world.finish(policy="shop")
    assert world.events == []


def test_a_process_at_a_terminal_is_not_dead_for_want_of_a_pod() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    seen: list[str] = []

    def look(_: object) -> None:
        (lease,) = world.leases()
        assert lease.held_until is not None
        seen.append(lease.who)
        start(world)
        world.finish("finish-b")

    world.execute.before = look
    world.finish(holder="laptop/4711@1f0c9a2b/88123")
    assert seen == ["laptop/4711"]
    assert (world.events, jobs(world)) == (["unlock shop/db-0"], [])


def test_a_process_that_is_gone_is_dead_when_its_time_is_over_and_at_once_where_it_was() -> None:
    world = HookWorld()
    raw = world.hold_pod("laptop/4711@1f0c9a2b/88123", policy="shop")
    renewed = {"renewTime": world.clock.now().isoformat(), "leaseDurationSeconds": 3600}
    world.cluster.edit(raw, lambda lease: lease["spec"].update(renewed))
    start(world)
    assert jobs(world) == []
    world.finish(is_gone=lambda holder: holder.startswith("other/"))
    assert world.events == []
    world.clock.advance(3601)
    start(world)
    assert len(jobs(world)) == 1
    world.cluster.edit(raw, lambda lease: lease["spec"].update(leaseDurationSeconds=86400))
    world.finish("finish-b", is_gone=lambda holder: holder.startswith("laptop/"))
    assert world.events == ["unlock shop/db-0"]


def test_whoever_takes_it_after_a_process_holds_it_as_a_pod() -> None:
    world = HookWorld()
    raw = world.hold_pod("laptop/4711@1f0c9a2b/88123", policy="shop")
    gone = {"renewTime": "2020-01-01T00:00:00Z", "leaseDurationSeconds": 60}
    world.cluster.edit(raw, lambda lease: lease["spec"].update(gone))
    seen = []
    world.execute.before = lambda _: seen.append(world.leases()[0])
    world.finish("finish-a")
    assert [(lease.holder_pod, lease.held_until) for lease in seen] == [("finish-a", None)]


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
    world.clock.on_sleep = lambda: None  # the Jobs here are no movers
    world.program("unlock", **changed)
    world.hold_pod(HOLDER, policy="shop")
    start(world)
    (rule,) = jobs(world)[0]["spec"]["podFailurePolicy"]["rules"]
    with pytest.raises(PostFailed, match=r"hook theirs \(post\) in pod shop/db-0") as caught:
        world.finish()
    # No second try: a command whose end is known is not executed again.
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [caught.value.exit_code])
    assert [lease.is_over for lease in world.leases()] == [True]
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
    (looked,) = world.log.of("open hooks not looked for")
    assert looked["why"] == "list: the API server hung up"
    assert [line["why"] for line in world.log.of("Job not started")] == ["not allowed"]
    assert jobs(world) == []


def test_a_pod_is_put_back_to_work_though_no_policy_is_known_to_have_hooks() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    start(world, hooks_known=False)
    assert len(jobs(world)) == 1


@pytest.mark.parametrize(("given", "wanted"), [(ANYBODY, 1), ("", 0)])
def test_what_a_run_that_goes_on_has_given_away_gets_its_job(given: str, wanted: int) -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, QUIET, replace(THEIRS, given=given), policy="shop")
    put_pod(world, status={"phase": "Running"})
    for _ in range(2):
        start(world)
    assert len(jobs(world)) == wanted


def test_where_nobody_has_hooks_the_leases_are_listed_and_no_more() -> None:
    world = HookWorld()
    world.cluster.requests.clear()
    start(world, hooks_known=False)
    assert world.cluster.requests == {"pages": 1}


def test_who_has_hooks_is_known_in_three_ways() -> None:
    plain = {"metadata": {"labels": naming.labels("policy")}, "data": {POLICY_KEY: '{"a": 1}'}}
    compiled = {**plain, "data": {POLICY_KEY: '{"policy": {"hooks": [{}]}}'}}
    foreign = {"metadata": {}, "data": {POLICY_KEY: '"hooks"'}}
    assert not have_hooks([{"spec": {"hooks": []}}, {}], [POLICY], [plain, foreign])
    assert have_hooks([{"spec": {"hooks": [{}]}}], [], [])
    assert have_hooks([], [HookWorld(hooks=(QUIESCE,)).policy], [])
    assert have_hooks([], [], [plain, compiled])


class ListsOnly:
    """The rights that the controller has: it may get no Lease but its own."""

    def __init__(self, world: HookWorld) -> None:
        self._inner = world.cluster

    def get(self, *_: Any, **__: Any) -> Any:
        raise Refused("may not get leases")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_lease_that_the_cycle_has_listed_is_asked_for_by_a_list() -> None:
    world = HookWorld()
    world.hold_pod(HOLDER, policy="shop")
    listed = world.cluster.all("Lease")
    start(world, reader=ListsOnly(world), leases=listed)
    assert len(jobs(world)) == 1
    assert world.log.of("Job not started") == []


def test_a_lease_that_has_changed_since_it_was_listed_gets_no_job() -> None:
    world = HookWorld()
    lease = world.hold_pod(HOLDER, policy="shop")
    listed = world.cluster.all("Lease")
    world.cluster.remove(lease)
    start(world, reader=ListsOnly(world), leases=listed)
    assert jobs(world) == []
