"""What another restore has begun and not ended is neither gone on with, nor built upon (I12)."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.cli.restore import plan_code
from reconciler.model import naming
from reconciler.model.errors import PartialFailure, Refused
from reconciler.model.restore import RestoreAction
from reconciler.model.volumes import MoveResult, MoveState
from reconciler.plan.begun import way_on
from reconciler.plan.mappingnames import parse_mapping
from reconciler.report.restore import render_plan
from tests.unit.engine.run_world import (
    RUN_IDS,
    RunWorld,
    claim,
    manifest,
    move_controllers,
    put_shop,
)
from tests.unit.engine.test_restore import PLACE, lost_world

COPY = ("copy", "files")


def fail(world: RunWorld, *args: Any, **asked: Any) -> None:
    """A restore whose volume does not come back: its claim stays marked."""
    world.mover._effect = lambda _: MoveResult(state=MoveState.FAILED, message="no space")
    with pytest.raises(PartialFailure):
        world.restored(*args, **asked)
    world.mover._effect = world.move


def test_i12_no_workload_starts_on_a_claim_that_another_restore_has_half_filled() -> None:
    world = RunWorld()
    world.run()
    world.run(2)
    world.lose_shop()
    fail(world, RUN_IDS[0])
    world.data[PLACE] = b"half of the first ru"
    world.cluster.writes.clear()
    restore = world.restore()
    plan = restore.plan()
    assert plan.blocked == (
        f"claim shop/files: an unfinished restore of {RUN_IDS[0]} made it; end that one first",
    )
    assert f"  blocked  {plan.blocked[0]}\n" in render_plan(plan)
    assert plan_code(plan) == Refused.exit_code == 1, "a script must not go on to --yes"
    with pytest.raises(Refused, match=r"claim shop/files.*nothing was changed") as caught:
        restore.execute(plan)
    assert f"backstay restore shop --at {RUN_IDS[0]}" in caught.value.hint
    assert "delete" in caught.value.hint
    assert world.deeds() == []
    # Either way on: end it, and go on from there; or without the claim.
    assert world.restored(RUN_IDS[0]).filled == 1
    assert plan_code(world.restore().plan()) == 0


def two_shops() -> RunWorld:
    """Two namespaces in one recovery point, with claims of one name."""
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.data["shop-two", "files"] = b"of the second shop"
    world.run()
    world.cluster.writes.clear()
    return world


def test_the_command_that_goes_on_with_a_copy_brings_no_original_back() -> None:
    world = two_shops()
    fail(world, only_namespaces=("shop-two",), map_namespaces={"shop-two": "copy"})
    for name in ("shop", "shop-two"):
        world.cluster.remove(manifest("Namespace", name, ""))
    (half,) = world.cluster.all("PersistentVolumeClaim")
    command = way_on(half["metadata"]["annotations"][naming.RESTORING], "copy")
    _, _, _, _, run_id, _, only, _, mapped = command.split()
    done = world.restored(run_id, only_namespaces=(only,), map_namespaces=parse_mapping([mapped]))
    assert done.filled == 1
    assert world.data[COPY] == b"of the second shop"
    spaces = {raw["metadata"]["name"] for raw in world.cluster.all("Namespace")}
    assert "copy" in spaces
    assert not spaces & {"shop", "shop-two"}


def test_i12_a_half_filled_copy_is_not_gone_on_with_from_another_namespace() -> None:
    world = two_shops()
    fail(world, map_namespaces={"shop-two": "copy"})
    world.data[COPY] = b"of the seco"
    other = world.restore(map_namespaces={"shop": "copy"})
    plan = other.plan()
    (fill,) = (fill for fill in plan.fills if fill.namespace == "copy")
    assert fill.action is RestoreAction.SKIP
    with pytest.raises(Refused, match="nothing was changed") as caught:
        other.execute(plan)
    assert "--map-namespace shop-two=copy" in caught.value.hint
    assert world.data[COPY] == b"of the seco"
    assert world.restored(map_namespaces={"shop-two": "copy"}).filled == 1
    assert world.data[COPY] == b"of the second shop"
    assert not [raw for raw in world.cluster.all() if naming.RESTORING in str(raw["metadata"])]


class Racing:
    """Lets somebody else make the namespace between our look and our apply."""

    def __init__(self, world: RunWorld) -> None:
        self._world = world
        self.theirs: dict[str, Any] = {}

    def apply(self, obj: Any) -> Any:
        """As the server answers where the object is another manager's, too."""
        if obj["kind"] != "Namespace":
            return self._world.cluster.apply(obj)
        if not self.theirs:
            metadata = {"labels": {"team": "theirs"}}
            self.theirs = self._world.cluster.put(
                manifest("Namespace", "shop", "", metadata=metadata)
            )
            account = manifest("ServiceAccount", "default")
            self._world.cluster.put({**account, "imagePullSecrets": [{"name": "theirs"}]})
        found = self._world.cluster.apply(obj)
        managers = [{"manager": "backstay"}, {"manager": "kubectl"}]
        return {**found, "metadata": {**found["metadata"], "managedFields": managers}}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)


def test_i12_a_namespace_that_somebody_makes_in_the_very_moment_is_theirs() -> None:
    world = RunWorld()
    shop = manifest("Namespace", "shop", "")
    world.cluster.edit(shop, lambda raw: raw["metadata"].update(labels={"tier": "gold"}))
    world.run()
    world.lose_shop()
    writer = Racing(world)
    world.restored(writer=writer)
    (found,) = (raw for raw in world.cluster.all("Namespace") if raw["metadata"]["name"] == "shop")
    assert found["metadata"].get("labels") == {"team": "theirs"}
    assert not found["metadata"].get("annotations")
    (account,) = (
        raw for raw in world.cluster.all("ServiceAccount") if raw["metadata"]["namespace"] == "shop"
    )
    assert account["imagePullSecrets"] == [{"name": "theirs"}]
    told = world.log.of("somebody else made it meanwhile, kept")
    assert "shop" in str(told)
    assert world.data[PLACE] == b"a thousand files"


def test_a_plan_that_nothing_is_in_the_way_of_says_so() -> None:
    world = lost_world()
    plan = world.restore().plan()
    assert plan.blocked == ()
    assert "blocked" not in render_plan(plan)


def cron_job(name: str, volume: str, **spec: Any) -> dict[str, Any]:
    """One that mounts a claim whenever it is due."""
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": volume}}]
    template = {"spec": {"template": {"spec": {"volumes": volumes}}}}
    return manifest("batch/v1/CronJob", name, spec={"jobTemplate": template, **spec})


def test_a_cron_job_that_could_start_on_half_of_the_data_is_named() -> None:
    world = RunWorld()
    world.run()
    world.cluster.remove(claim("files"))
    world.cluster.put(cron_job("report", "files"))
    world.cluster.put(cron_job("resting", "files", suspend=True))
    world.cluster.put(cron_job("other", "more"))
    restore = world.restore()
    plan = restore.plan()
    (told,) = plan.notes
    assert told.startswith("CronJob shop/report mounts claim files, and could start on half of it")
    assert "kubectl -n shop patch cronjob report" in told
    assert restore.execute(plan).filled == 1
    assert world.restore().plan().notes == ()


class Starting:
    """A pod starts on the claim as soon as it is there."""

    def __init__(self, world: RunWorld) -> None:
        self._world = world
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "files"}}]
        pod = manifest("Pod", "report-1", spec={"volumes": volumes})
        self.pod = {**pod, "status": {"phase": "Running"}}

    def apply(self, obj: Any) -> Any:
        """And then there is the pod."""
        made = self._world.cluster.apply(obj)
        if obj["kind"] == "PersistentVolumeClaim" and not self._world.cluster.all("Pod"):
            self._world.cluster.put(self.pod)
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)


def test_i12_a_claim_that_somebody_uses_meanwhile_is_filled_once_they_have_ended() -> None:
    world = lost_world()
    writer = Starting(world)
    slept = 0

    def sleep() -> None:
        nonlocal slept
        move_controllers(world.cluster)
        if not world.cluster.all("Pod"):
            return
        slept += 1
        assert PLACE not in world.data
        if slept == 5:
            world.cluster.edit(writer.pod, lambda raw: raw.update(status={"phase": "Succeeded"}))

    world.clock.on_sleep = sleep
    assert world.restored(writer=writer).filled == 1
    assert slept >= 5
    assert world.data[PLACE] == b"a thousand files"
    (told,) = world.log.of("mover waits")
    assert told["why"] == "pod shop/report-1 uses the claim; it is filled once that has ended"
