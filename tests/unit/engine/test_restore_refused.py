"""A restore beside others, and with parts that can't come back: the rest does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.leases import LeaseLost
from reconciler.engine.restorelease import LEASE
from reconciler.model.errors import (
    BackstayError,
    PartialFailure,
    Refused,
    Transient,
    Waiting,
    WrongPassword,
)
from reconciler.model.restore import RestoreAction
from reconciler.model.run import Outcome
from reconciler.model.volumes import MoveResult, MoveState, MoveTask
from tests.fakes.faults import FaultyReader, FaultyWriter
from tests.fakes.mover import FakeMover
from tests.unit.engine.run_world import (
    BRANCH,
    RUN_IDS,
    SYSTEM,
    RunWorld,
    claim,
    manifest,
    move_controllers,
)
from tests.unit.engine.test_restore import PLACE, lost_world


def test_i12_a_claim_that_another_restore_has_filled_since_the_plan_keeps_its_data() -> None:
    world = lost_world()
    world.mover._effect = lambda _: MoveResult(state=MoveState.FAILED, message="no space")
    with pytest.raises(PartialFailure):
        world.restored()
    world.mover._effect = world.move
    slow = world.restore()
    plan = slow.plan()
    assert [fill.action for fill in plan.fills] == [RestoreAction.CREATE]
    world.restored()
    world.data[PLACE] = b"written since by the application"
    with pytest.raises(Refused, match="changed since the plan was made"):
        slow.execute(plan)
    assert world.data[PLACE] == b"written since by the application"


def test_a_wrong_password_is_told_before_anything_is_compared() -> None:
    world = RunWorld()
    world.run()
    world.keyring.masters["restic-main"] = "another-horse-battery-staple-9876543210"
    with pytest.raises(WrongPassword) as caught:
        world.restore().plan()
    assert caught.value.exit_code == 12


def test_i12_who_lost_the_lease_begins_no_mover_and_touches_none() -> None:
    world = lost_world()
    taken: list[bool] = []

    def take() -> None:
        move_controllers(world.cluster)
        if world.mover.begun:
            world.clock.advance(61)
            world.cluster.acquire_lease(SYSTEM, LEASE, "laptop/2", seconds=60)
            taken.append(True)

    world.mover = FakeMover(effect=world.move, looks=5)
    world.clock.on_sleep = take
    with pytest.raises(LeaseLost, match="taken by another"):
        world.restored()
    assert taken
    assert world.mover.cleaned == []
    assert PLACE not in world.data
    assert not world.cluster.all("Deployment")


def test_i12_a_lease_that_is_lost_before_the_first_mover_begins_none() -> None:
    world = lost_world()
    world.mover = FakeMover(effect=world.move)
    made = world.cluster.apply

    def take(obj: Any) -> Any:
        found = made(obj)
        if obj["kind"] == "PersistentVolumeClaim":
            world.clock.advance(61)
            world.cluster.acquire_lease(SYSTEM, LEASE, "laptop/2", seconds=60)
        return found

    writer = FaultyWriter(world.cluster, "none", error=BackstayError(""))
    writer.apply = take  # type: ignore[attr-defined]
    with pytest.raises(LeaseLost):
        world.restored(writer=writer)
    assert not world.mover.begun


def test_a_lease_that_cannot_be_asked_for_begins_no_mover_and_ends_none() -> None:
    world = lost_world()
    world.mover = FakeMover(effect=world.move)
    asked = 0
    acquire = world.cluster.acquire_lease

    def flaky(*args: Any, **kwargs: Any) -> str:
        nonlocal asked
        claims = world.cluster.all("PersistentVolumeClaim")
        if claims and not world.mover.begun:
            asked += 1
            if asked < 3:
                raise Transient("HTTP 503")
        return acquire(*args, **kwargs)

    writer = FaultyWriter(world.cluster, "none", error=BackstayError(""))
    writer.acquire_lease = flaky  # type: ignore[attr-defined]
    assert world.restored(writer=writer).filled == 1
    assert asked >= 3


class Racing:
    """Lets somebody else make the claim between our look and our apply."""

    def __init__(self, world: RunWorld, *, theirs: bool) -> None:
        self._world = world
        self._theirs = theirs

    def apply(self, obj: Any) -> Any:
        """As the server answers where the object is another manager's, too."""
        if obj["kind"] != "PersistentVolumeClaim":
            return self._world.cluster.apply(obj)
        if "spec" not in obj and not self._theirs:
            raise Refused("patch: HTTP 422: spec is immutable after creation")
        if self._theirs and not self._world.cluster.all("PersistentVolumeClaim"):
            self._world.cluster.put(claim("files"))
            self._world.data[PLACE] = b"theirs"
        found = self._world.cluster.apply(obj)
        managers = [{"manager": "backstay"}, {"manager": "kube-controller-manager"}]
        return {**found, "metadata": {**found["metadata"], "managedFields": managers}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)


def test_i12_a_claim_that_somebody_makes_in_the_very_moment_is_theirs() -> None:
    world = lost_world()
    assert world.restored(writer=Racing(world, theirs=True)).filled == 0
    assert world.data[PLACE] == b"theirs"
    (found,) = world.cluster.all("PersistentVolumeClaim")
    assert "annotations" not in found["metadata"] or not found["metadata"]["annotations"]
    assert world.log.of("somebody else made it meanwhile, kept")


def test_a_claim_of_ours_whose_answer_was_lost_is_filled() -> None:
    world = lost_world()
    assert world.restored(writer=Racing(world, theirs=False)).filled == 1
    assert world.data[PLACE] == b"a thousand files"


@pytest.mark.parametrize("objects", [100, 300])
def test_an_object_costs_one_request(objects: int) -> None:
    world = RunWorld()
    for number in range(objects):
        world.cluster.put(manifest("ConfigMap", f"more-{number}", data={"n": str(number)}))
    world.run()
    world.lose_shop()
    before = world.cluster.requests.copy()
    assert world.restored().created == objects + 6
    spent = world.cluster.requests - before
    assert spent["create"] == objects + 3
    # Two plans and a last look: each lists every kind of the point once in its namespace. And the
    # pods that could wait for a claim, thrice, and the CronJobs that could start on one.
    assert spent["pages"] == 3 * 6 + 3 + 1
    assert spent["discover"] == 3
    assert spent["get"] + spent["apply"] <= 16


def test_a_second_restore_at_the_same_time_waits_for_the_first() -> None:
    world = lost_world()
    other = world.restore(holder="laptop/2")
    plan = other.plan()

    def meanwhile(task: MoveTask) -> MoveResult:
        with pytest.raises(Waiting, match="another restore is at work: laptop/1"):
            other.execute(plan)
        return world.move(task)

    world.mover._effect = meanwhile
    assert world.restored().filled == 1
    with pytest.raises(Refused, match="changed since the plan was made"):
        other.execute(plan)
    assert other.plan().empty


def test_before_the_installation_the_lease_lies_in_default() -> None:
    world = lost_world()
    world.cluster.remove(manifest("Namespace", "backstay-system", ""))
    world.cluster.put(manifest("Namespace", "default", ""))
    world.restored()
    leases = [lease["metadata"]["namespace"] for lease in world.cluster.all("Lease")]
    assert "default" in leases


def test_one_that_began_before_the_installation_is_waited_for() -> None:
    world = lost_world()
    home = manifest("Namespace", SYSTEM, "")
    world.cluster.remove(home)

    def install(task: MoveTask) -> MoveResult:
        world.cluster.put(home)
        other = world.restore(holder="laptop/2")
        with pytest.raises(Waiting, match="laptop/1 holds the Lease default/backstay-restore"):
            other.execute(other.plan())
        return world.move(task)

    world.mover._effect = install
    assert world.restored().filled == 1
    other = world.restore(holder="laptop/2")
    assert other.execute(other.plan()).created == 0


def test_a_claim_that_a_pod_waits_for_is_not_made_under_it() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(claim("files"))
    del world.data[PLACE]
    spec = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "files"}}]}
    waits = manifest("Pod", "web-7c1e9", spec=spec) | {"status": {"phase": "Pending"}}
    world.cluster.put(waits)
    world.cluster.writes.clear()
    restore = world.restore()
    plan = restore.plan()
    assert "pod shop/web-7c1e9 waits for claim files" in plan.blocked[0]
    assert not plan.warnings
    with pytest.raises(Refused, match="before its data is there; nothing was changed") as caught:
        restore.execute(plan)
    assert "scale" in caught.value.hint
    assert world.deeds() == []
    world.cluster.remove(waits)
    assert world.restored().filled == 1


@pytest.mark.parametrize("now", [True, False])
def test_who_may_be_root_is_what_the_namespace_says_now(now: bool) -> None:
    world = RunWorld()
    namespace, key = manifest("Namespace", "shop", ""), "backstay.dev/privileged-movers"
    then = {} if now else {key: "true"}
    world.cluster.edit(namespace, lambda raw: raw["metadata"].update(annotations=then))
    world.run()
    world.cluster.remove(claim("files"))
    world.cluster.edit(
        namespace, lambda raw: raw["metadata"].update(annotations={key: "true"} if now else {})
    )
    restore = world.restore()
    (task,) = restore._tasks(restore.plan())
    assert task.privileged is now


def test_an_object_that_is_refused_does_not_keep_the_others_away() -> None:
    world = lost_world()
    made = world.cluster.create

    def refuse(obj: Any) -> Any:
        if obj["kind"] == "ConfigMap":
            raise Refused("an admission webhook says no")
        return made(obj)

    writer = FaultyWriter(world.cluster, "none", error=BackstayError(""))
    writer.create = refuse  # type: ignore[attr-defined]
    with pytest.raises(PartialFailure, match=r"1 objects .*shop/configmap/settings: an adm") as one:
        world.restored(writer=writer)
    assert "everything else is there" in one.value.hint
    assert world.data[PLACE] == b"a thousand files"
    assert len(world.cluster.all("Deployment")) == 1
    assert world.restored().created == 1


def test_a_secret_whose_list_failed_does_not_keep_the_rest_away() -> None:
    world = RunWorld()
    world.run()
    reader = FaultyReader(world.cluster, lambda kind, _: kind.kind == "Secret")
    assert world.run(2, reader=reader).record.outcome is Outcome.PARTIALLY_FAILED
    world.lose_shop()
    with pytest.raises(PartialFailure, match=r"shop/secret/db.yaml: its value is not in this"):
        world.restored(RUN_IDS[1], allow_partial=True)
    assert len(world.cluster.all("Deployment")) == 1
    assert not world.cluster.all("Secret")
    assert world.restored(RUN_IDS[0]).created == 1
    assert len(world.cluster.all("Secret")) == 1


def test_a_commit_whose_record_is_of_another_run_is_refused() -> None:
    world = RunWorld()
    world.run()
    world.run(2)
    last = world.remote.commits[world.remote.heads[BRANCH]]
    first = world.commits()[1]
    files = {**last.files, "_run.yaml": first.files["_run.yaml"]}
    world.remote.commits[last.sha] = replace(last, files=files)
    with pytest.raises(Refused, match=f"says that it is run {RUN_IDS[1]}"):
        world.restore().plan()


def test_a_commit_that_nobody_vouches_for_is_not_even_planned() -> None:
    world = lost_world()
    asked: list[str] = []

    def refuse(commit: str) -> None:
        asked.append(commit)
        raise Refused(f"commit {commit} is not restored: it is not signed")

    with pytest.raises(Refused, match="it is not signed"):
        world.restore(vouch=refuse).plan()
    assert asked == [world.remote.heads[BRANCH]]
    assert world.deeds() == []
    assert world.restored(vouch=asked.append).created > 0
    assert set(asked) == {world.remote.heads[BRANCH]}
