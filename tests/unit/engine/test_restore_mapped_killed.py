"""I11, I12: a copy that was killed at any change it makes, begun again: whole, and beside it all.

The original is there and goes on; whatever happens to the copy, not one of its objects changes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.restore import RestoreResult
from reconciler.model import naming
from reconciler.model.volumes import MoveTask
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.killing import WRITES, Killed, Life, Point, live
from tests.unit.engine.run_world import manifest

RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}


class CopyWorld(JobWorld):
    """Movers have the keys of the namespace that their data is of."""

    def task_of(self, job: dict[str, Any]) -> MoveTask:
        """As the fake knows it, with the original's repository."""
        task = super().task_of(job)
        source = task.host.partition("/")[2]
        access = self.keyring.access(
            name="main",
            secret="restic-main",
            url=f"s3:https://s3.example.org/backups/{task.host}",
            namespace=source,
        )
        return replace(task, access=access)


def make_world() -> CopyWorld:
    """An application with a binding of the cluster; captured, and there."""
    world = CopyWorld()
    world.working = 0
    world.cluster.put(manifest(f"{RBAC}/ClusterRoleBinding", "nodes", "", subjects=[ACCOUNT]))
    kinds = {raw["kind"] for raw in world.cluster.all()}
    kinds |= {"Job", "Lease", "Event", "Pod", "CronJob", "Service", "Ingress"}
    world.cluster.resources = [found for found in world.cluster.resources if found.kind in kinds]
    world.data = {("shop", "files"): b"as it was captured"}
    world.run()
    world.data["shop", "files"] = b"newer"
    world.cluster.writes.clear()
    return world


def copied(world: JobWorld, life: Life, *, holder: str) -> RestoreResult:
    """One process of a mapped restore."""
    return live(
        world,
        life,
        holder=holder,
        map_namespaces={"shop": "shop2"},
        workers=1,
        is_dead=lambda name: name == "laptop/1",
    )


def find_points() -> list[Point]:
    """Before and after each change of one whole restore."""
    life = Life()
    copied(make_world(), life, holder="laptop/1")
    changes = [point for point in life.calls if point.call.split()[0] in WRITES]
    return sorted({*changes, *(replace(point, after=True) for point in changes)})


def contents(world: JobWorld) -> dict[str, Any]:
    """Everything but Leases and what the server numbers."""
    numbered = ("uid", "resourceVersion", "creationTimestamp")
    found = {}
    for raw in world.cluster.all():
        metadata = {key: value for key, value in raw["metadata"].items() if key not in numbered}
        place = f"{raw['kind']}/{metadata.get('namespace', '')}/{metadata['name']}"
        if raw["kind"] != "Lease":
            found[place] = {**raw, "metadata": metadata}
    return found


def versions(world: JobWorld) -> dict[str, str]:
    """uid → resource version, of all but Leases."""
    return {
        raw["metadata"]["uid"]: raw["metadata"]["resourceVersion"]
        for raw in world.cluster.all()
        if raw["kind"] != "Lease"
    }


def whole() -> dict[str, Any]:
    world = make_world()
    copied(world, Life(), holder="laptop/1")
    return contents(world)


WHOLE = whole()


@pytest.mark.one_in(3)
@pytest.mark.parametrize("point", find_points(), ids=str)
def test_a_copy_killed_anywhere_becomes_whole(point: Point) -> None:
    world = make_world()
    before = versions(world)
    with pytest.raises(Killed):
        copied(world, Life(point), holder="laptop/1")
    copied(world, Life(), holder="laptop/2")
    assert contents(world) == WHOLE
    assert {uid: versions(world).get(uid) for uid in before} == before
    assert world.data["shop", "files"] == b"newer"
    assert world.data["shop2", "files"] == b"as it was captured"
    assert world.traces() == []
    assert not [raw for raw in world.cluster.all() if naming.RESTORING in str(raw["metadata"])]
