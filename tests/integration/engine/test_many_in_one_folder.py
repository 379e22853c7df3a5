"""10,000 objects of one kind in one namespace, and names that differ in case alone, in real Git."""

from __future__ import annotations

from pathlib import Path

from reconciler.capture import paths
from tests.integration.engine.git_world import GitWorld
from tests.unit.engine.run_world import BRANCH, manifest

MANY = 10_000
ROLE = "rbac.authorization.k8s.io/v1/Role"
TWINS = ("admin", "Admin", "ADMIN", "shop:admin", "shop:Admin", "con", "..")
ROLES = {
    "admin.yaml", "%41dmin.yaml", "%41%44%4D%49%4E.yaml", "shop%3Aadmin.yaml",
    "shop%3A%41dmin.yaml", "%63on.yaml", "%2E%2E.yaml",
}  # fmt: skip


def test_they_are_all_there_and_each_by_itself(tmp_path: Path) -> None:
    world = GitWorld(tmp_path)
    for number in range(MANY):
        world.cluster.put(manifest("ConfigMap", f"c{number:05}", data={"number": str(number)}))
    for name in TWINS:
        world.cluster.put(manifest(ROLE, name, rules=[]))
    record = world.run().record
    (told,) = record.warnings
    assert told.startswith(f"shop/configmap: {MANY + 1} files in one folder")
    assert len(names(world, "shop/configmap")) == MANY + 1
    assert set(names(world, f"shop/role.{ROLE.split('/', maxsplit=1)[0]}")) == ROLES
    assert len({name.lower() for name in ROLES}) == len(TWINS)

    found = map(paths.parse_path, world.git("ls-tree", "-r", "--name-only", BRANCH).splitlines())
    there = {place.name for place in found if place and place.folder.startswith("role.")}
    assert there == {*TWINS}
    for store in world.opened:
        store.close()


def names(world: GitWorld, folder: str) -> list[str]:
    return world.git("ls-tree", "--name-only", f"{BRANCH}:{folder}").splitlines()
