"""A Restore that is merged is said not to be executed, again and again, and changes nothing."""

from __future__ import annotations

from tests.unit.engine.controller_world import ControllerWorld, files

RESTORE = b"""\
apiVersion: backstay.dev/v1alpha1
kind: Restore
metadata: {name: after-42}
spec:
  cluster: prod-eu
  from: {policy: shop, at: 2026-11-21T02:00:00Z}
"""
TOLD = (
    "Restore after-42 is not executed by this version: merged, it does nothing; by hand:"
    " backstay restore shop --at 2026-11-21T02:00:00Z"
)


def _told(world: ControllerWorld) -> list[object]:
    return [fields["text"] for fields in world.log.of("note") if "Restore" in str(fields["text"])]


def test_the_controller_says_that_it_executes_no_restore() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    world.cycle()
    assert _told(world) == []
    world.source.push(files("shop", restore=RESTORE))
    world.cluster.writes.clear()
    cycle = world.cycle()
    assert (cycle.error, cycle.exit_code) == (None, 0)
    assert _told(world) == [TOLD]
    touched = {ref.kind for _, ref in world.cluster.writes if ref.name != "backstay-state"}
    assert touched == {"Lease"}
    world.clock.sleep(2 * 3600)
    world.cycle()
    assert _told(world) == [TOLD, TOLD]


def test_one_for_another_cluster_is_that_clusters() -> None:
    world = ControllerWorld()
    world.source.push(files("shop", restore=RESTORE.replace(b"prod-eu", b"dev")))
    assert world.cycle().exit_code == 0
    assert _told(world) == []


def test_one_that_can_not_be_read_is_a_problem_like_any_other() -> None:
    world = ControllerWorld()
    latest = RESTORE.replace(b"2026-11-21T02:00:00Z", b"latest")
    world.source.push(files("shop", restore=latest))
    assert world.cycle().exit_code == 4
