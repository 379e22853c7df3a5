"""A post command that went wrong is told by somebody, whoever is killed and whenever."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.engine.finishing import PostFailed, finish_left
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.run import execute_run
from reconciler.model.errors import BackstayError, Refused, Transient
from reconciler.plan.hooklease import ANYBODY, OpenHook
from tests.fakes.faults import FaultyWriter
from tests.fakes.podexec import Program
from tests.unit.engine.hook_world import THEIRS, HookWorld
from tests.unit.engine.killing import Killed, Life, Point
from tests.unit.engine.run_world import SYSTEM, manifest
from tests.unit.engine.test_finish_jobs import end_job, jobs, start
from tests.unit.engine.test_hooks import AROUND
from tests.unit.engine.test_hooks_killed import CHANGING
from tests.unit.engine.test_run_killed import Pods, records

RUN = "shop-20261121-011703-00001"
HOLDER = f"{RUN}/run-1-a"
EARLY = OpenHook(hook="early", container="db", command=("end",), timeout=5)
TOLD = "hook theirs (post) in pod shop/db-0 failed: exit code 1"


def make_world(*opened: OpenHook, **changed: Any) -> HookWorld:
    """A dead run's Lease, with a post command that fails."""
    world = HookWorld(**changed)
    world.program("unlock", exit_code=1)
    world.execute.containers["shop", "db-0", "db"]["end"] = Program(
        effect=lambda: world.events.append("end")
    )
    world.hold_pod(HOLDER, *opened, policy="shop")
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    return world


def with_early() -> HookWorld:
    """Beside one that has to wait."""
    world = make_world(EARLY, THEIRS)
    (lease,) = world.leases()
    until = EARLY.with_until(world.clock.now() + timedelta(seconds=5))
    world.cluster.remove(next(raw for raw in world.cluster.all("Lease")))
    world.hold_pod(lease.holder, until, THEIRS, policy="shop")
    return world


def points_of(life: Life) -> list[Point]:
    """Where a process could die: before each call, and after each that changes something."""
    calls = sorted(life.calls)
    after = [replace(one, after=True) for one in calls if one.call.split()[0] in CHANGING]
    return sorted([*calls, *after])


def finish(world: HookWorld, life: Life, pod: str = "finish-a") -> None:
    """One pod of the controller's Job."""
    given = life.ports(world)
    world.finish(
        pod, reader=given.reader, writer=given.writer, execute=given.execute, clock=given.clock
    )


def points_of_job(make: Any) -> list[Point]:
    life = Life()
    with pytest.raises(PostFailed):
        finish(make(), life)
    return points_of(life)


@pytest.mark.parametrize("make", [make_world, with_early])
def test_a_job_that_is_killed_anywhere_fails_all_the_same(make: Any) -> None:
    for point in points_of_job(make):
        world = make()
        with pytest.raises(Killed):
            finish(world, Life(point))
        before = [hook.hook for lease in world.leases() for hook in lease.failed]
        count = world.events.count(AROUND[2])
        with pytest.raises(PostFailed, match="exit code 1") as caught:
            world.finish("finish-b")
        assert TOLD in caught.value.message, point
        # What is written down to have failed is not executed again.
        assert world.events.count(AROUND[2]) == (count if before else count + 1), point
        assert [lease.is_over for lease in world.leases()] == [True], point


def test_one_that_has_told_is_followed_by_none() -> None:
    world = make_world()
    start(world)
    (job,) = jobs(world)
    with pytest.raises(PostFailed):
        world.finish(f"{job['metadata']['name']}-x7k2p")
    start(world)
    end_job(world, job, "Failed", "PodFailurePolicy")
    world.clock.advance(7200)
    start(world)
    assert len(jobs(world)) == 1


@pytest.mark.parametrize("reason", ["BackoffLimitExceeded", "DeadlineExceeded"])
def test_one_that_could_not_tell_is_followed_by_one_that_does(reason: str) -> None:
    world = make_world()
    start(world)
    (job,) = jobs(world)
    with pytest.raises(PostFailed):
        world.finish(f"{job['metadata']['name']}-x7k2p")
    end_job(world, job, "Failed", reason)
    world.clock.advance(7200)
    start(world)
    (_, second) = jobs(world)
    with pytest.raises(PostFailed):
        world.finish(f"{second['metadata']['name']}-x7k2p")
    end_job(world, second, "Failed", "PodFailurePolicy")
    world.clock.advance(7200)
    start(world)
    assert len(jobs(world)) == 2
    assert world.events == [AROUND[2]]


def own_pod(world: HookWorld, name: str = "run-1-a") -> dict[str, Any]:
    """The pod of a run that goes on."""
    return world.cluster.put(manifest("Pod", name, SYSTEM, status={"phase": "Running"}))


def test_what_a_run_that_goes_on_gave_away_is_told_by_the_next_pod_of_the_job() -> None:
    world = make_world(EARLY, replace(THEIRS, given=ANYBODY))
    own_pod(world)
    for pod in ("finish-a", "finish-b"):
        with pytest.raises(PostFailed, match="theirs"):
            world.finish(pod)
    assert world.events == [AROUND[2]]
    (lease,) = world.leases()
    assert (lease.holder, lease.given, lease.is_over) == (HOLDER, (), False)
    start(world)
    assert jobs(world) == []


def run(world: HookWorld, life: Life | None = None) -> None:
    """The next run of the policy, whose own hooks end well."""
    own = life or Life()
    Pods(world).live(2, "run-2-a", own)


def recover(command: tuple[str, ...], world: HookWorld) -> None:
    """From its first command on a run's own post commands work again."""
    if command[0] == "lock":
        world.program("unlock", exit_code=0)


def left_world() -> HookWorld:
    """What the next run finds."""
    world = make_world()
    world.execute.before = lambda command: recover(command, world)
    return world


def test_the_next_run_keeps_it_until_its_record_is_pushed() -> None:
    world = left_world()
    before: list[list[bool]] = []
    store = world.ports().store

    class Store:
        def __getattr__(self, name: str) -> Any:
            if name == "push":
                before.append([lease.is_over for lease in world.leases()])
            return getattr(store, name)

    execute_run(world.request(2), world.ports(store=Store()))
    assert before[-1] == [True]
    assert world.leases() == []
    assert world.record().warnings == (f"of run {RUN}: {TOLD}",)
    assert world.events == [AROUND[2], *AROUND]


@pytest.fixture(scope="module")
def run_points() -> list[Point]:
    """Return where the next run could die."""
    life = Life()
    run(left_world(), life)
    points = points_of(life)
    assert {"patch", "run", "push", "delete"} <= {one.call.split()[0] for one in points}
    return points


@pytest.mark.one_in(5)
@pytest.mark.parametrize("part", range(16))
def test_a_run_that_is_killed_anywhere_has_told_or_a_job_does(
    run_points: list[Point], part: int
) -> None:
    for point in run_points[part::16]:
        world = left_world()
        with suppress(Killed):
            run(world, Life(point))
        told = any(TOLD in " ".join(made.warnings) for made in records(world))
        assert told or TOLD in all_told(world), point


@pytest.mark.one_in(4)
@pytest.mark.parametrize("part", range(8))
def test_a_run_that_is_killed_and_goes_on_records_it(run_points: list[Point], part: int) -> None:
    for point in run_points[part::24]:
        world = left_world()
        with suppress(Killed):
            run(world, Life(point))
        Pods(world).live(2, "run-2-b", Life())
        (made,) = records(world)
        assert TOLD in " ".join(made.warnings), point


def all_told(world: HookWorld) -> str:
    """What the Jobs of all Leases say."""
    said = []
    for number, lease in enumerate(world.leases()):
        try:
            world.finish(f"finish-{number}", only=lease.name)
        except PostFailed as error:
            said.append(error.message)
    return " ".join(said)


@pytest.mark.parametrize("error", [Refused("read-only"), Transient("it is away")], ids=str)
def test_a_record_that_is_not_pushed_tells_nobody(error: BackstayError) -> None:
    world = left_world()
    store, branch = world.ports().store, world.request().branch

    class Store:
        def __getattr__(self, name: str) -> Any:
            return refuse if name == "push" else getattr(store, name)

    def refuse(tips: dict[str, str]) -> Any:
        if branch in tips:
            raise error
        return store.push(tips)

    with suppress(Refused):
        execute_run(world.request(2), world.ports(store=Store()))
    assert [lease.is_over for lease in world.leases()] == [True]
    assert all_told(world) == TOLD


def test_a_lease_that_can_not_be_removed_is_told_again_and_no_error() -> None:
    world = left_world()
    world.policy = replace(world.policy, hooks=())
    writer = world.ports().writer

    class Writer:
        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def delete(self, ref: Any, **given: Any) -> bool:
            if ref.name == world.leases()[0].name:
                raise Refused("not allowed")
            return writer.delete(ref, **given)

    execute_run(world.request(2), world.ports(writer=Writer()))
    assert [lease.is_over for lease in world.leases()] == [True]


def leases_of(world: HookWorld, life: Life | None = None) -> HookLeases:
    """As another policy's run has them."""
    ports = (life or Life()).ports(world)
    return HookLeases(
        reader=ports.reader, writer=ports.writer, clock=ports.clock, namespace=SYSTEM,
        holder="crm-1/run-9-a", policy="crm", run_id="crm-1",
    )  # fmt: skip


def open_hook(world: HookWorld, life: Life | None = None) -> None:
    """Another policy wants the pod, and has no time to wait."""
    leases_of(world, life).open(
        replace(world.leases()[0].pod, open=()), EARLY, until=world.clock.now(),
        stopped=lambda: False, tell=lambda _: None,
    )  # fmt: skip


def test_a_run_forgets_nothing_that_it_gave_away_itself() -> None:
    world = told_world()
    (taken,) = world.leases()
    world.add_pod("db-1")
    own = replace(leases_of(world), holder="crm-1/run-9-a")
    taken_over = own.take(taken)
    assert taken_over is not None
    world.hold_pod(own.holder, replace(THEIRS, failed=TOLD), policy="crm", pod="db-1")
    for aside in (False, True):
        if aside:
            other = replace(leases_of(world), holder="erp-1/run-8-a")
            for lease in world.leases():
                pod = replace(lease.pod, open=())
                other.open(
                    pod, EARLY, until=world.clock.now(), stopped=lambda: False, tell=lambda _: None
                )
        for lease in world.leases():
            if lease.opener == own.holder:
                own.forget(lease)
    kept = [lease for lease in world.leases() if lease.is_over and lease.opener == own.holder]
    assert [lease.pod.pod for lease in kept] == ["db-1"]
    for lease in world.leases():
        own.forget(lease)
    assert [lease.pod.pod for lease in world.leases() if lease.is_over] == ["db-1"]


def told_world() -> HookWorld:
    """A Job has written down what failed, and was killed then."""
    world = make_world()
    with pytest.raises(PostFailed):
        world.finish()
    return world


def test_another_policy_does_not_wait_for_what_is_only_told_and_forgets_nothing() -> None:
    world = told_world()
    life = Life()
    open_hook(world, life)
    assert sorted((lease.policy, lease.is_over) for lease in world.leases()) == [
        ("crm", False), ("shop", True)
    ]  # fmt: skip
    for point in points_of(life):
        world = told_world()
        with pytest.raises(Killed):
            open_hook(world, Life(point))
        assert TOLD in [hook.failed for lease in world.leases() for hook in lease.failed], point
        open_hook(world)
        assert sorted((lease.policy, lease.is_over) for lease in world.leases()) == [
            ("crm", False), ("shop", True)
        ]  # fmt: skip


def test_what_was_put_aside_is_told_by_a_job_or_recorded_by_the_next_run_of_its_policy() -> None:
    world = told_world()
    open_hook(world)
    start(world)
    (job,) = [
        one for one in jobs(world) if one["metadata"]["labels"]["backstay.dev/policy"] == "shop"
    ]
    assert world.log.of("a post command failed, and no Job has told of it: starting one that does")
    (aside,) = [lease for lease in world.leases() if lease.is_over]
    assert aside.name in job["metadata"]["annotations"].values()
    world.cluster.put(manifest("Pod", "run-9-a", SYSTEM, status={"phase": "Running"}))
    (told,) = finish_left(world.request(2), world.ports(), lambda: False)
    assert told == f"of run {RUN}: {TOLD}"
    assert world.events == [AROUND[2]]


def test_a_job_that_has_told_need_not_tell_of_what_was_put_aside() -> None:
    world = make_world()
    start(world)
    (job,) = jobs(world)
    with pytest.raises(PostFailed):
        world.finish(f"{job['metadata']['name']}-x7k2p")
    end_job(world, job, "Failed", "PodFailurePolicy")
    open_hook(world)
    world.cluster.put(manifest("Pod", "run-9-a", SYSTEM, status={"phase": "Running"}))
    world.clock.advance(7200)
    start(world)
    assert len(jobs(world)) == 1
    assert (
        world.log.of("a post command failed, and no Job has told of it: starting one that does")
        == []
    )


def test_a_terminal_tells_whoever_reads_it() -> None:
    world = make_world()
    with pytest.raises(PostFailed, match="exit code 1"):
        world.finish(holder="laptop/4711@1f0c9a2b/88123")
    assert world.leases() == []


def test_a_terminal_that_can_not_remove_it_tells_all_the_same() -> None:
    world = make_world()
    writer = FaultyWriter(world.cluster, "delete", error=Transient("it is away"))
    with pytest.raises(PostFailed, match="exit code 1"):
        world.finish(holder="laptop/4711@1f0c9a2b/88123", writer=writer)


def test_a_job_goes_on_with_the_others_where_somebody_deletes_its_lease() -> None:
    world = make_world(EARLY, THEIRS)

    def delete(command: tuple[str, ...]) -> None:
        if command == ("unlock",):
            world.cluster.remove(world.cluster.all("Lease")[0])

    world.execute.before = delete
    with pytest.raises(PostFailed, match="theirs"):
        world.finish()
    assert world.events == [AROUND[2], "end"]
