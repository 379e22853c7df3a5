"""What a run does with hooks when nobody kills it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import record
from reconciler.engine.run import execute_run
from reconciler.model.errors import Interrupted, Refused, Transient
from reconciler.model.hooks import Hook, HookCommand, HookOutcome, HookRecord, OnError, Phase
from reconciler.model.podexec import ExecLost
from reconciler.model.run import NamespaceRecord, Outcome
from tests.fakes.podexec import Program
from tests.unit.engine.hook_world import QUIESCE, HookWorld, with_errors
from tests.unit.engine.run_world import RUN_IDS, put_shop

AROUND = ["lock shop/db-0", "copy shop/files", "unlock shop/db-0"]


def part(world: HookWorld, name: str = "shop") -> NamespaceRecord:
    """A namespace of the newest record, as it is read back."""
    made = world.record()
    assert record.parse_record(record.render_record(made)) == made
    return next(found for found in made.namespaces if found.name == name)


def brief(found: NamespaceRecord) -> list[tuple[str, str, str]]:
    """Phase, pod and outcome of its hooks."""
    return [(str(one.phase), one.pod, str(one.outcome)) for one in found.hooks]


def test_the_copy_happens_between_the_commands() -> None:
    world = HookWorld()
    world.program("lock", output=(b"one\n", b"two\n"))
    result = world.run()
    assert result.record.outcome is Outcome.COMPLETED
    assert world.events == AROUND
    assert world.leases() == []
    pre, post = part(world).hooks
    assert pre == HookRecord(
        name="quiesce", namespace="shop", pod="db-0", container="db", phase=Phase.PRE,
        outcome=HookOutcome.COMPLETED, exit_code=0, output_bytes=8,
    )  # fmt: skip
    assert (post.phase, post.outcome, post.exit_code) == (Phase.POST, HookOutcome.COMPLETED, 0)
    assert world.execute.timeouts == [30, 20]
    assert world.execute.done[0] == ("shop", "db-0", "db", ("lock", "--all"))
    assert b"one" not in world.tree()["_run.yaml"]
    assert [line["line"] for line in world.log.of("hook says")] == ["one", "two"]


def test_several_hooks_and_pods_end_in_the_reverse_of_their_order() -> None:
    first = Hook(name="first", match_labels={"app": "db"}, pre=HookCommand(("lock", "1")))
    last = replace(QUIESCE, name="last")
    world = HookWorld(hooks=(first, last))
    world.add_pod("db-1")
    world.run()
    assert [(one[1], one[3]) for one in world.execute.done] == [
        ("db-0", ("lock", "1")), ("db-1", ("lock", "1")),
        ("db-0", ("lock", "--all")), ("db-1", ("lock", "--all")),
        ("db-1", ("unlock",)), ("db-0", ("unlock",)),
    ]  # fmt: skip
    assert world.leases() == []


def test_a_hook_may_have_a_post_command_only() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, pre=None),))
    world.run()
    assert world.events == AROUND[1:]


@pytest.mark.parametrize("on_error", list(OnError))
@pytest.mark.parametrize(
    ("changed", "outcome", "says"),
    [
        ({"exit_code": 4}, HookOutcome.FAILED, "exit code 4"),
        ({"endless": True}, HookOutcome.TIMED_OUT, "goes on there"),
        ({"error": ExecLost("the connection broke")}, HookOutcome.FAILED, "connection broke"),
    ],
)
def test_a_pre_command_that_fails(
    on_error: OnError, changed: dict[str, Any], outcome: HookOutcome, says: str
) -> None:
    world = HookWorld(hooks=(with_errors(on_error),))
    world.program("lock", **changed)
    world.run()
    found = part(world)
    assert (found.hooks[0].outcome, says in found.hooks[0].why) == (outcome, True)
    # What nobody saw the end of is ended once more, later: see test_hooks_overtaken.
    assert (world.leases() == []) == ("exit_code" in changed)
    if on_error is OnError.CONTINUE:
        assert world.events == AROUND
        assert found.outcome is Outcome.COMPLETED
        warning, *more = world.record().warnings
        assert ["runs once more" in one for one in more] == [True] * len(world.leases())
        assert "copied all the same" in warning
        assert says in warning
    else:
        assert world.events == ["lock shop/db-0", "unlock shop/db-0"]
        assert found.outcome is Outcome.PARTIALLY_FAILED
        assert says in found.reasons[0]
        (volume,) = found.volumes
        assert volume.outcome is Outcome.FAILED
        assert volume.snapshot is None
        assert volume.reason.startswith("not copied: hook quiesce (pre) in pod shop/db-0")


def test_what_never_began_needs_no_end() -> None:
    world = HookWorld()
    error = Refused("exec in shop/db-0: not allowed")

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "lock":
            raise error

    world.execute.before = strike
    world.run()
    assert world.events == []
    assert world.execute.done == []
    assert world.leases() == []
    assert part(world).outcome is Outcome.PARTIALLY_FAILED
    assert str(error) in part(world).reasons[0]


def test_what_may_have_begun_is_not_started_again_but_ended() -> None:
    world = HookWorld()
    tries = []

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "lock":
            tries.append(command)
            raise ExecLost("the answer did not come")

    world.execute.before = strike
    world.run()
    assert len(tries) == 1
    assert world.events == ["unlock shop/db-0"]
    assert part(world).outcome is Outcome.PARTIALLY_FAILED
    assert "the answer did not come" in part(world).reasons[0]


def test_what_certainly_did_not_begin_is_tried_again_and_needs_no_end() -> None:
    world = HookWorld()
    tries = []

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "lock":
            tries.append(command)
            raise Transient("the kubelet is away")

    world.execute.before = strike
    world.run()
    assert len(tries) > 1
    assert world.events == []
    assert world.leases() == []
    assert "the kubelet is away" in part(world).reasons[0]


def test_a_post_command_is_tried_again_while_it_can_not_be_started() -> None:
    world = HookWorld()
    left = [3]

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock" and left[0]:
            left[0] -= 1
            raise Transient("the API server is away")

    world.execute.before = strike
    world.run()
    assert world.events == AROUND
    assert part(world).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("error", [Refused("not allowed"), Transient("away")])
def test_a_post_command_that_can_not_be_started_stays_open(error: Exception) -> None:
    world = HookWorld()

    def strike(command: tuple[str, ...]) -> None:
        if command[0] == "unlock":
            raise error

    world.execute.before = strike
    world.run()
    (lease,) = world.leases()
    assert (lease.holder, lease.job) == (f"{RUN_IDS[0]}/", "")
    assert [hook.command for hook in lease.pod.open] == [("unlock",)]
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "the controller tries again" in found.reasons[0]
    world.execute.before = lambda _: None
    world.finish()
    assert world.events == AROUND
    assert world.leases() == []


def drop_lease(world: HookWorld) -> None:
    """Somebody deletes the Lease of the pod."""
    (name,) = (lease.name for lease in world.leases())
    (raw,) = (raw for raw in world.cluster.all("Lease") if raw["metadata"]["name"] == name)
    world.cluster.remove(raw)


@pytest.mark.parametrize("on_error", list(OnError))
def test_a_lease_that_vanished_keeps_no_post_command_from_running(on_error: OnError) -> None:
    world = HookWorld(hooks=(with_errors(on_error),))

    def lock() -> None:
        world.events.append("lock shop/db-0")
        drop_lease(world)

    world.program("lock", effect=lock)
    world.run()
    assert world.events == AROUND
    assert world.leases() == []
    found = part(world)
    assert brief(found) == [("pre", "db-0", "Completed"), ("post", "db-0", "Completed")]
    # Nobody knows when the other one ended it, nor what was quiesced and ended since.
    assert found.outcome is Outcome.PARTIALLY_FAILED
    (reason,) = found.reasons
    assert "somebody deleted Lease" in reason
    assert "not at rest until the end of the copy" in reason
    assert world.record().warnings == ()


def test_hooks_that_a_job_ended_during_the_copy_are_told() -> None:
    world = HookWorld()

    def strike() -> None:
        # No pod of Backstay's has the name of the run's: as if it had been deleted long ago.
        if world.events == AROUND[:1]:
            world.finish()
        world.work()

    world.clock.on_sleep = strike
    world.working = 3
    world.run()
    assert world.events == [AROUND[0], AROUND[2], *AROUND[1:]]
    assert world.leases() == []
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "not at rest until the end of the copy" in found.reasons[0]


def test_a_hook_without_a_post_command_holds_without_its_lease() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, post=None),))
    world.program("lock", effect=lambda: drop_lease(world))
    world.run()
    assert part(world).outcome is Outcome.COMPLETED
    (warning,) = world.record().warnings
    assert "somebody deleted Lease" in warning


def test_a_lease_that_vanished_is_written_again_by_the_next_hook_there() -> None:
    first = replace(QUIESCE, name="first", pre=HookCommand(("begin",)), post=HookCommand(("end",)))
    world = HookWorld(hooks=(first, QUIESCE))

    programs = world.execute.containers["shop", "db-0", "db"]
    programs["begin"] = Program(effect=lambda: drop_lease(world))
    programs["end"] = Program(effect=lambda: world.events.append("end"))
    world.run()
    assert world.events == [*AROUND, "end"]
    assert world.leases() == []


def test_a_mover_that_fails_does_not_keep_the_post_command_from_running() -> None:
    world = HookWorld()
    world.storage.failure = None

    def fail(_: object) -> Any:
        raise Refused("no such image")

    result = execute_run(world.request(), world.ports(mover=_Failing(world.ports().mover)))
    assert result.record.outcome is Outcome.PARTIALLY_FAILED
    assert world.events == [AROUND[0], AROUND[2]]
    assert world.leases() == []


class _Failing:
    """A mover that begins nothing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def ensure(self, _: object) -> Any:
        """Says no."""
        raise Refused("no such image")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_run_that_is_told_to_stop_ends_its_hooks() -> None:
    world = HookWorld()
    world.working = 1000
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=lambda: bool(world.events))
    assert world.events == [AROUND[0], AROUND[2]]
    assert world.leases() == []


def test_each_namespace_is_quiesced_for_itself() -> None:
    world = HookWorld()
    put_shop(world.cluster, "shop-two")
    world.add_pod(namespace="shop-two")
    world.run()
    for name in ("shop", "shop-two"):
        own = [event.split()[0] for event in world.events if event.split()[1].split("/")[0] == name]
        assert own == ["lock", "copy", "unlock"]
        assert part(world, name).outcome is Outcome.COMPLETED
    assert world.leases() == []


def test_one_mover_at_a_time_means_one_quiesced_namespace_at_a_time() -> None:
    world = HookWorld()
    world.policy = replace(world.policy, volumes=replace(world.policy.volumes, concurrency=1))
    put_shop(world.cluster, "shop-two")
    world.add_pod(namespace="shop-two")
    world.run()
    assert sorted(world.events[:3]) != sorted(world.events[3:])
    for three in (world.events[:3], world.events[3:]):
        assert [event.split()[0] for event in three] == ["lock", "copy", "unlock"]


def test_a_namespace_without_such_pods_is_copied_beside() -> None:
    world = HookWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    assert part(world, "shop-two").volumes[0].outcome is Outcome.COMPLETED
    assert part(world, "shop-two").hooks == ()
    assert [one for one in world.events if "shop-two" not in one] == AROUND


def test_a_hook_of_once_is_around_all_namespaces() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, once=True),))
    put_shop(world.cluster, "shop-two")
    world.run()
    assert (world.events[0], world.events[-1]) == (AROUND[0], AROUND[2])
    assert sorted(world.events[1:-1]) == ["copy shop-two/files", "copy shop/files"]


def test_a_hook_of_once_that_fails_keeps_all_namespaces_from_being_copied() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, once=True),))
    put_shop(world.cluster, "shop-two")
    world.program("lock", exit_code=1)
    world.run()
    assert world.events == [AROUND[0], AROUND[2]]
    for name in ("shop", "shop-two"):
        assert part(world, name).outcome is Outcome.PARTIALLY_FAILED


def test_labels_that_no_pod_has_are_told_and_the_data_is_copied() -> None:
    world = HookWorld(hooks=(replace(QUIESCE, match_labels={"app": "bd"}),))
    world.run()
    assert world.events == ["copy shop/files"]
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "no pod" in found.reasons[0]
    assert [one.outcome for one in found.hooks] == [HookOutcome.SKIPPED]


def test_a_grant_that_was_narrowed_counts_as_a_failed_hook() -> None:
    world = HookWorld()
    world.config = replace(world.config, grants=(replace(world.config.grants[0], hooks=()),))
    world.run()
    assert world.events == []
    assert "not granted" in part(world).reasons[0]


def test_a_policy_without_hooks_asks_nothing_more() -> None:
    world, bare = HookWorld(), HookWorld(hooks=())
    plain = HookWorld(hooks=())
    plain.run(execute=None)
    bare.run()
    assert bare.cluster.requests == plain.cluster.requests
    world.run()
    assert world.cluster.requests["create"] > bare.cluster.requests["create"]


def test_two_policies_take_turns_in_a_pod() -> None:
    world = HookWorld()
    held = world.hold_pod("nightly-20261121-031703-00009/run-9-a", policy="nightly")
    sleeps = [0]

    def pass_time() -> None:
        world.work()
        sleeps[0] += 1
        if sleeps[0] == 5:
            assert world.events == []
            world.cluster.remove(held)

    world.clock.on_sleep = pass_time
    world.run()
    assert world.events == AROUND
    assert part(world).outcome is Outcome.COMPLETED
    (told,) = world.log.of("waiting for another run's hooks")
    assert told["policy"] == "nightly"


def test_a_pod_that_another_run_does_not_give_back_fails_the_hook() -> None:
    world = HookWorld()
    held = world.hold_pod("nightly-20261121-031703-00009/run-9-a", policy="nightly")
    world.run()
    assert world.events == []
    found = part(world)
    assert found.outcome is Outcome.PARTIALLY_FAILED
    assert "has open hooks of policy nightly" in found.reasons[0]
    assert [one.holder for one in world.leases()] == [held["spec"]["holderIdentity"]]
