"""I11, I12: a restore killed at any call that it makes, begun again: it converges.

Every call of a whole restore to the world outside is a place to die: before it, and, where it
changes something, right after it. Movers go on meanwhile, as they would in a cluster.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.restorelease import LEASE
from reconciler.model import naming
from reconciler.model.errors import Waiting
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.killing import WRITES, Killed, Life, Point, live
from tests.unit.engine.run_world import claim, deployment, manifest, put_shop

DEFINITION = manifest(
    "apiextensions.k8s.io/v1/CustomResourceDefinition",
    "coupons.shop.example.org",
    "",
    spec={
        "group": "shop.example.org",
        "scope": "Namespaced",
        "names": {"kind": "Coupon", "plural": "coupons"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
)
LOST = {("shop", "files"): b"a thousand files", ("shop", "more"): b"many more"}
KEPT = ("shop-two", "files")


def make_world() -> JobWorld:
    """One namespace is lost with its data and its kind, one has lost its workload only."""
    world = JobWorld()
    world.working = 0
    put_shop(world.cluster, "shop-two")
    world.cluster.put(claim("more"))
    world.cluster.put(deployment("more", "more"))
    world.cluster.put(DEFINITION)
    world.cluster.put(manifest("shop.example.org/v1/Coupon", "ten", spec={"off": 10}))
    world.cluster.edit(
        manifest("ServiceAccount", "default"),
        lambda raw: raw.update(imagePullSecrets=[{"name": "db"}]),
    )
    kinds = {raw["kind"] for raw in world.cluster.all()} | {"Job", "Lease", "Event", "Pod"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    world.data = {**LOST, KEPT: b"as it was"}
    world.run()
    world.lose_shop()
    world.cluster.remove(DEFINITION)
    world.data = {KEPT: b"newer"}
    world.cluster.remove(deployment("web", "files", "shop-two"))
    settings = manifest("ConfigMap", "settings", "shop-two")
    world.cluster.edit(settings, lambda raw: raw["data"].update(colour="red"))
    world.cluster.writes.clear()
    return world


def find_points() -> list[Point]:
    """Every place to die of one whole restore that nobody disturbs."""
    life = Life()
    live(make_world(), life, holder="laptop/1", workers=1)
    after = [replace(point, after=True) for point in life.calls if point.call.split()[0] in WRITES]
    return sorted({*life.calls, *after})


POINTS = find_points()


def state(world: JobWorld) -> dict[str, Any]:
    """Everything in the cluster but names that the server gives, and Leases."""
    return {
        f"{raw['kind']}/{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}": {
            **raw,
            "metadata": {
                key: value
                for key, value in raw["metadata"].items()
                if key not in ("uid", "resourceVersion", "creationTimestamp")
            },
        }
        for raw in world.cluster.all()
        if raw["kind"] != "Lease"
    }


def versions(world: JobWorld) -> dict[str, str]:
    """Object → resource version; Leases come and go."""
    return {
        f"{raw['kind']}/{raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}": raw[
            "metadata"
        ]["resourceVersion"]
        for raw in world.cluster.all()
        if raw["kind"] != "Lease"
    }


def killed(point: Point) -> tuple[JobWorld, dict[str, str]]:
    """A world after a restore that died there, and what was in it before."""
    world = make_world()
    before = versions(world)
    with pytest.raises(Killed):
        live(world, Life(point), holder="laptop/1", workers=1)
    return world, before


def check_clean(world: JobWorld, before: dict[str, str]) -> None:
    """Nothing of the restore is left, and nothing that was there was touched (I12)."""
    assert world.data[KEPT] == b"newer"
    assert world.traces() == []
    assert not [raw for raw in world.cluster.all() if naming.RESTORING in str(raw["metadata"])]
    now = versions(world)
    assert {key: now.get(key) for key in before} == before
    (lease,) = [raw for raw in world.cluster.all("Lease") if raw["metadata"]["name"] == LEASE]
    assert not lease["spec"].get("holderIdentity")
    assert world.restore().plan().empty


def is_marked(raw: dict[str, Any]) -> bool:
    """Whether a restore has begun it and not ended."""
    return naming.RESTORING in (raw["metadata"].get("annotations") or {})


def undisturbed() -> dict[str, Any]:
    """What a restore makes of the world that nobody kills."""
    world = make_world()
    live(world, Life(), holder="laptop/1")
    return state(world)


WHOLE = undisturbed()


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", POINTS, ids=str)
def test_i11_killed_anywhere_and_begun_again_everything_is_there(point: Point) -> None:
    world, before = killed(point)
    world.clock.advance(61)
    live(world, Life(), holder="laptop/2", workers=1)
    check_clean(world, before)
    assert {place: world.data.get(place) for place in LOST} == LOST
    assert state(world) == WHOLE


@pytest.mark.one_in(5)
@pytest.mark.parametrize("point", [point for point in POINTS if point.after], ids=str)
def test_i12_what_is_used_since_a_restore_was_killed_is_not_touched(point: Point) -> None:
    world, before = killed(point)
    filled = [raw["metadata"]["name"] for raw in claims(world) if not is_marked(raw)]
    world.data |= {("shop", name): b"written since" for name in filled}
    for raw in world.cluster.all("ConfigMap"):
        world.cluster.edit(raw, lambda raw: raw["data"].update(colour="blue"))
    used = {key: version for key, version in versions(world).items() if is_settled(world, key)}
    assert used.keys() >= before.keys()
    live(world, Life(), holder="laptop/2", is_dead=lambda holder: holder == "laptop/1")
    check_clean(world, used)
    expected = {place: b"written since" if place[1] in filled else LOST[place] for place in LOST}
    assert {place: world.data.get(place) for place in LOST} == expected


def claims(world: JobWorld) -> list[dict[str, Any]]:
    """Those of the namespace that was lost."""
    found = world.cluster.all("PersistentVolumeClaim")
    return [raw for raw in found if raw["metadata"]["namespace"] == "shop"]


def is_settled(world: JobWorld, key: str) -> bool:
    """Whether it is there for good: neither begun only, nor a mover's."""
    kind, namespace, name = key.split("/")
    (raw,) = [
        raw
        for raw in world.cluster.all(kind)
        if (raw["metadata"].get("namespace", ""), raw["metadata"]["name"]) == (namespace, name)
    ]
    spaces = world.cluster.all("Namespace")
    begun = [space["metadata"]["name"] for space in spaces if is_marked(space)]
    own = naming.COMPONENT in (raw["metadata"].get("labels") or {})
    # Pods are movers', and the fake's controllers touch definitions now and then.
    own = own or kind in ("Pod", "CustomResourceDefinition")
    return not (is_marked(raw) or own or (kind == "ServiceAccount" and namespace in begun))


@pytest.mark.parametrize("nth", range(4))
def test_i11_killed_while_many_objects_are_created_at_once(nth: int) -> None:
    objects = sorted(point for point in POINTS if point.call.startswith("create"))
    world = make_world()
    before = versions(world)
    with pytest.raises(Killed):
        live(world, Life(objects[nth]), holder="laptop/1", workers=8)
    world.clock.advance(61)
    live(world, Life(), holder="laptop/2", workers=8)
    check_clean(world, before)
    assert state(world) == WHOLE


def test_a_dead_holders_lease_is_waited_for() -> None:
    point = next(point for point in POINTS if point.call.startswith("apply Persistent"))
    world, _ = killed(point)
    deeds = world.deeds()
    with pytest.raises(Waiting, match="another restore is at work: laptop/1") as caught:
        live(world, Life(), holder="laptop/2")
    assert "its Lease is free after 60 s" in caught.value.hint
    assert world.deeds() == deeds
