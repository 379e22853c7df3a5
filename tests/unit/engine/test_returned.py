"""What came while no controller looked is told at its return: once, in few words, and only that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.engine.mirror import Absence
from reconciler.model.errors import Transient
from reconciler.plan.mirrorevents import return_events
from reconciler.plan.mirrorstatus import Protected
from tests.unit.engine.controller_world import files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld, claim
from tests.unit.engine.test_noticing import Scene

SHOPS = policy_yaml("shop").replace(b"[shop]", b'["shop*"]')
HEAD = "new at the controller's return: "
NEXT = ": protected by shop from its next run at 2026-11-22T02:17:00Z"


@pytest.fixture
def world() -> MirrorWorld:
    """Return a world whose controller has ended after a good cycle, an hour ago."""
    world = MirrorWorld()
    world.source.push(files(shop=SHOPS))
    world.cycle()
    world.clock.sleep(3600)
    return world


def come(world: MirrorWorld, name: str, *claims: str) -> None:
    """An application, a second later."""
    world.clock.sleep(1)
    world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for one in claims:
        world.clock.sleep(1)
        world.cluster.put(claim(one, name))


def start(world: MirrorWorld, **changed: Any) -> None:
    """Another process, for three cycles."""
    absence = Absence()
    for _ in range(3):
        world.cycle(absence=absence, **changed)


def told(world: MirrorWorld) -> list[tuple[str, str, str]]:
    """(type, reason, note) of what was told of new applications, in order."""
    return sorted(
        (event["type"], event["reason"], event["message"])
        for event in world.cluster.all("Event")
        if event["reason"] in ("Protected", "ProtectionLost", "CannotProtect")
    )


def test_what_came_meanwhile_is_one_event_with_names(world: MirrorWorld) -> None:
    come(world, "shop-2", "data", "logs")
    come(world, "wiki", "data")
    world.cluster.put(claim("more"))
    start(world)
    names = "namespace shop-2, claim shop-2/data, claim shop-2/logs, claim shop/more"
    assert told(world) == [("Normal", "Protected", f"{HEAD}{names}{NEXT}")]
    assert world.status()["protected"] == {
        "namespaces": 2, "claims": 4, "newest": "2026-11-21T05:17:08Z",
    }  # fmt: skip
    start(world)
    assert len(told(world)) == 1, "nothing is new at the next return"


def test_the_first_start_and_an_upgrade_tell_nothing() -> None:
    world = MirrorWorld()
    world.source.push(files(shop=SHOPS))
    start(world)
    world.edit(lambda raw: raw["status"]["protected"].pop("newest"))
    come(world, "shop-2", "data")
    start(world)
    assert told(world) == []
    assert "newest" in world.status()["protected"]


def test_what_a_policy_without_any_application_gets_is_told() -> None:
    world = MirrorWorld()
    world.source.push(files(mail=policy_yaml("mail")))
    start(world)
    assert world.status("mail")["protected"] == {"namespaces": 0, "claims": 0}
    come(world, "mail")
    start(world)
    assert [(reason, note.split(":")[1]) for _, reason, note in told(world)] == [
        ("Protected", " namespace mail")
    ]


def test_many_are_ten_names_and_a_number(world: MirrorWorld) -> None:
    for number in range(40):
        come(world, f"shop-{number:02}", "data")
    start(world)
    ((_, _, note),) = told(world)
    assert note.startswith(f"{HEAD}namespace shop-00, claim shop-00/data, namespace shop-01")
    assert f"claim shop-04/data and 70 more{NEXT}" in note


def test_what_a_merge_brings_is_told_by_its_plan(world: MirrorWorld) -> None:
    come(world, "wiki", "data")
    world.source.push(files(shop=SHOPS.replace(b'["shop*"]', b'["*"]')))
    start(world)
    assert told(world) == []
    assert world.status()["protected"]["namespaces"] == 3, "wiki and default, too"


def test_a_suspended_policy_protects_nothing_of_it(world: MirrorWorld) -> None:
    world.source.push(files(shop=SHOPS.replace(b"spec:", b"spec:\n  suspend: true")))
    world.cycle()
    come(world, "shop-2")
    start(world)
    ends = "unprotected: policy shop would protect them and is suspended"
    assert told(world) == [("Warning", "CannotProtect", f"{HEAD}namespace shop-2: {ends}")]


def test_no_next_run_is_called_suspended_only_where_it_is() -> None:
    found = Protected(namespaces=1, claims=0, newest="2026-11-21T05:17:08Z", came=("namespace a",))
    ((why, verdict),) = [
        (one.note.rpartition(": ")[2], one.reason) for one in return_events("shop", found, {}, {})
    ]
    assert why == "policy shop would protect them and has no next run"
    assert verdict == "CannotProtect"


def test_two_controllers_say_it_once(world: MirrorWorld) -> None:
    come(world, "shop-2")
    for holder in ("one", "two"):
        start(world, holder=holder)
    assert len(told(world)) == 1


def test_one_that_is_killed_after_the_event_lets_its_successor_say_the_same(
    world: MirrorWorld,
) -> None:
    come(world, "shop-2")

    class Dies:
        """A writer whose process ends before it patches."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.cluster, name)

        def patch(self, *_: object, **__: object) -> None:
            """As the port says, but for the API server."""
            raise Transient("gone")

    world.cycle(absence=Absence(), writer=Dies())
    assert len(told(world)) == 1
    assert "shop-2" not in str(world.status()), "its status was not written"
    start(world)
    assert len(told(world)) == 1
    assert world.status()["protected"]["namespaces"] == 2


def test_while_git_is_away_it_is_told_too_also_what_comes_until_it_is_back(
    world: MirrorWorld,
) -> None:
    absence = Absence()
    for number in (2, 3):
        come(world, f"shop-{number}")
        world.source.failures.append(Transient("away"))
        world.cycle(absence=absence)
        assert len(told(world)) == number - 1
    come(world, "shop-4")
    world.cycle(absence=absence)
    assert [note.partition(NEXT)[0] for _, _, note in told(world)] == [
        f"{HEAD}namespace shop-{number}" for number in (2, 3, 4)
    ]


def test_later_ones_are_told_by_the_look_that_notices_them_and_only_by_it() -> None:
    scene = Scene(world=MirrorWorld())
    world = scene.world
    assert isinstance(world, MirrorWorld)
    world.source.push(files(shop=SHOPS))
    scene.look()
    scene.cycle()
    come(world, "shop-2")
    scene.look()
    scene.cycle()
    assert [note.partition(":")[0] for _, _, note in told(world)] == ["namespace shop-2"]


class Through:
    """A writer that does something before its first patch."""

    def __init__(self, world: MirrorWorld, first: Callable[[], None]) -> None:
        self._world = world
        self._first: Callable[[], None] | None = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)

    def patch(self, *given: Any, **named: Any) -> Any:
        """As the port says."""
        first, self._first = self._first, None
        if first is not None:
            first()
        return self._world.cluster.patch(*given, **named)


def restart(world: MirrorWorld, *, watched: bool = True) -> Scene:
    """Another process, with watches or without."""
    world.setting = replace(world.setting, absence=Absence())
    scene = Scene(world=world, watched=watched)
    scene.look()
    return scene


def notes(world: MirrorWorld) -> list[str]:
    """What each Event begins with, up to what becomes of it."""
    return [note.partition(": protected by")[0] for _, _, note in told(world)]


@pytest.mark.parametrize("watched", [True, False], ids=["watch", "timer"])
def test_what_comes_while_the_first_mirrors_are_written_is_told(
    world: MirrorWorld, watched: bool
) -> None:
    come(world, "shop-2")
    scene = restart(world, watched=watched)

    def meanwhile() -> None:
        come(world, "shop-3", "data")
        scene.look()

    scene.cycle(writer=Through(world, meanwhile))
    for _ in range(2):
        scene.look()
        scene.cycle()
    assert notes(world) == [
        "claim shop-3/data", "namespace shop-3", f"{HEAD}namespace shop-2"
    ]  # fmt: skip


def test_what_is_told_as_new_is_not_told_again_once_the_mirrors_can_be_written(
    world: MirrorWorld,
) -> None:
    come(world, "shop-2")
    scene = restart(world)

    def refuse() -> None:
        raise Transient("gone")

    scene.cycle(writer=Through(world, refuse))
    assert notes(world) == [f"{HEAD}namespace shop-2"]
    come(world, "shop-3")
    for _ in range(3):
        scene.look()
        scene.cycle()
    assert notes(world) == ["namespace shop-3", f"{HEAD}namespace shop-2"]
    assert world.status()["protected"]["namespaces"] == 3


@pytest.mark.parametrize("mark", ["", "soon", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"])
def test_a_mark_that_somebody_wrote_ends_nothing_and_is_put_right(
    world: MirrorWorld, mark: str
) -> None:
    before = world.status()["protected"]
    world.edit(lambda raw: raw["status"]["protected"].update(newest=mark))
    start(world)
    assert told(world) == []
    assert world.status()["protected"] == before


def test_what_is_on_its_way_out_is_not_new(world: MirrorWorld) -> None:
    come(world, "shop-2", "data")
    world.cluster.edit(
        next(one for one in world.cluster.all("Namespace") if one["metadata"]["name"] == "shop-2"),
        lambda raw: raw["metadata"].update(deletionTimestamp="2026-11-21T05:18:00Z"),
    )
    start(world)
    assert told(world) == []
