"""A controller before a cycle that creates, changes and deletes, and what has to come of it."""

from __future__ import annotations

from typing import Any

from reconciler.engine.controller import Cycle, make_plan
from reconciler.plan.collection import UNUSED_SINCE
from tests.fakes.watched import Step, Watched
from tests.unit.engine.controller_world import NAMESPACE, ControllerWorld, files, policy_yaml

_NOT_COMPARED = ("uid", "resourceVersion", "creationTimestamp")
BEFORE = ("docs", "mail", "shop")
AFTER = ("docs", "mail", "news")
"""``shop`` goes, ``news`` comes, ``mail`` changes; an old ConfigMap of ``docs`` goes, too."""


def busy_world() -> ControllerWorld:
    """Two revisions are applied, and a third is there; a run of the policy that goes is at work."""
    world = ControllerWorld()
    world.source.push(files(*BEFORE))
    world.cycle()
    world.source.push(files(*BEFORE, docs=policy_yaml("docs", "1 1 * * *")))
    world.cycle()
    world.clock.sleep(48 * 3600)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "backstay-shop"}
    owner["uid"] = world.cron_job("shop")["metadata"]["uid"]
    world.cluster.put(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "shop-1", "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": {},
        }
    )
    push_third(world)
    world.cluster.writes.clear()
    return world


def push_third(world: ControllerWorld) -> str:
    """The revision that the cycle under test finds; returns it."""
    changed = {"docs": policy_yaml("docs", "1 1 * * *"), "mail": policy_yaml("mail", "2 2 * * *")}
    return world.source.push(files(*AFTER, **changed))


def cycle_of(world: ControllerWorld, holder: str, step: Step) -> Cycle:
    """A cycle of one controller whose every call to a port is a step."""
    return world.cycle(
        holder=holder,
        source=Watched(world.source, step),
        reader=Watched(world.cluster, step),
        writer=Watched(world.cluster, step),
    )


def state(world: ControllerWorld) -> dict[str, Any]:
    """Everything but the Lease and who wrote last, without what the server numbers."""
    found = {}
    for raw in world.cluster.all():
        if raw["kind"] != "Lease":
            kept = {k: v for k, v in raw["metadata"].items() if k not in _NOT_COMPARED}
            if UNUSED_SINCE in kept.get("annotations", {}):
                kept["annotations"] = {**kept["annotations"], UNUSED_SINCE: "some time"}
            data = {k: v for k, v in (raw.get("data") or {}).items() if k != "keeper"}
            name = f"{raw['kind']}/{raw['metadata']['name']}"
            found[name] = {**raw, "metadata": kept} | ({"data": data} if data else {})
    return found


def deleted(world: ControllerWorld) -> list[str]:
    """What was deleted, in order."""
    return [f"{ref.kind}/{ref.name}" for verb, ref in world.cluster.writes if verb == "delete"]


def holder_of(world: ControllerWorld) -> str:
    """Who has the Lease."""
    leases = world.cluster.all("Lease")
    return str(leases[0]["spec"].get("holderIdentity", "")) if leases else ""


def assert_each_schedule_can_run(world: ControllerWorld) -> None:
    """At no moment is there a CronJob whose ConfigMap is not there."""
    there = set(world.names("ConfigMap"))
    for job in world.cluster.all("CronJob"):
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert pod["volumes"][0]["configMap"]["name"] in there


def assert_settled(world: ControllerWorld) -> None:
    """I6 and I7: nothing is planned, and a further cycle writes nothing."""
    planned = make_plan(world.setting).plan
    assert planned is not None
    assert planned.empty
    assert planned.remember == ""
    world.cluster.writes.clear()
    assert world.cycle().exit_code == 0
    assert world.cluster.writes == []
