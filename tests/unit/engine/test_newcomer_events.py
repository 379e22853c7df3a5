"""New applications as Events on the objects of their policies: once, soon, and never in the way."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine import newcomerevents
from reconciler.model import kinds
from reconciler.model.errors import Refused, Transient
from tests.fakes.faults import FaultyReader
from tests.unit.engine.controller_world import files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld, claim
from tests.unit.engine.test_noticing import Scene

SHOPS = policy_yaml("shop").replace(b"[shop]", b'["shop*"]')
NEXT = "protected by shop from its next run at 2026-11-22T02:17Z"


@pytest.fixture(params=[True, False], ids=["watch", "timer"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Return a scene whose cluster serves BackupPolicy objects, after its first cycle."""
    scene = Scene(watched=request.param, world=MirrorWorld())
    scene.world.source.push(files(shop=SHOPS))
    scene.look()
    scene.cycle()
    return scene


def told(scene: Scene, *reasons: str) -> list[tuple[str, str, str]]:
    """(type, reason, note) of the Events about the policy shop, by note."""
    return sorted(
        (event["type"], event["reason"], event["message"])
        for event in scene.world.cluster.all("Event")
        if event["reason"] in (reasons or ("Protected", "ProtectionLost", "CannotProtect"))
        and event["involvedObject"]["name"] == "shop"
    )


def protected(scene: Scene) -> Any:
    (shop,) = scene.world.cluster.all("BackupPolicy")
    return {key: shop["status"]["protected"][key] for key in ("namespaces", "claims")}


def test_the_first_look_is_told_by_the_status_alone(scene: Scene) -> None:
    assert told(scene) == []
    assert protected(scene) == {"namespaces": 1, "claims": 1}


def test_a_new_application_is_in_the_status_and_an_event_of_its_policy(scene: Scene) -> None:
    scene.put("shop-2")
    scene.world.cluster.put(claim("data", "shop-2"))
    scene.look()
    for _ in range(3):
        scene.cycle()
    assert told(scene) == [
        ("Normal", "Protected", f"claim shop-2/data: {NEXT}"),
        ("Normal", "Protected", f"namespace shop-2: {NEXT}"),
    ]
    assert protected(scene) == {"namespaces": 2, "claims": 2}


def test_what_matches_nothing_is_counted_and_told_once_and_is_no_policys_event(
    scene: Scene,
) -> None:
    scene.put("wiki")
    scene.look()
    for _ in range(3):
        scene.cycle()
    assert told(scene) == []
    assert scene.told() == [("namespace wiki", "unprotected: no policy selects it")]
    count = scene.counts[-1]
    assert count is not None
    assert count.namespaces == 2  # default is the other one


def test_a_label_that_goes_is_an_event_of_the_policy_that_lost_it(scene: Scene) -> None:
    gold = policy_yaml("shop").replace(b"[shop]", b"{matchLabels: {backup: gold}}")
    scene.world.source.push(files(shop=gold))
    mail: dict[str, Any] = {"name": "mail", "labels": {"backup": "gold"}}
    for metadata in (mail, {"name": "mail"}):
        scene.world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        scene.look()
        scene.cycle()
        scene.cycle()
    assert told(scene, "ProtectionLost") == [
        ("Warning", "ProtectionLost", "namespace mail: unprotected: no policy selects it")
    ]


def test_a_claim_that_its_policy_can_not_copy_is_an_event_of_it(scene: Scene) -> None:
    raw = claim("raw")
    raw["spec"]["volumeMode"] = "Block"
    scene.world.cluster.put(raw)
    scene.look()
    scene.cycle()
    ((kind, reason, note),) = told(scene)
    assert (kind, reason) == ("Warning", "CannotProtect")
    assert note.startswith("claim shop/raw: unprotected: ")


def test_it_is_an_event_before_a_cycle_that_git_holds_up() -> None:
    scene = Scene(world=MirrorWorld())
    scene.world.source.push(files(shop=SHOPS))
    scene.look()
    scene.cycle()
    scene.put("shop-2")
    scene.look()
    scene.noticer.begin(scene.world.setting)
    assert [note for _, _, note in told(scene)] == [f"namespace shop-2: {NEXT}"]


def test_two_controllers_say_it_once() -> None:
    first = Scene(world=MirrorWorld())
    second = Scene(world=first.world)
    first.world.source.push(files(shop=SHOPS))
    for one in (first, second):
        one.look()
        one.cycle()
    first.put("shop-2")
    for one in (first, second):
        one.look()
        one.cycle()  # the first one's changes the version of the policy's object
    assert len(first.told()) == 2  # the log is each one's own
    assert len(told(first)) == 1


def test_a_policy_without_an_object_has_no_events_and_nothing_else_is_missing(
    scene: Scene,
) -> None:
    assert isinstance(scene.world, MirrorWorld)
    scene.world.unserve()
    scene.world.log.take()
    scene.put("shop-2")
    scene.look()
    scene.cycle()
    assert told(scene) == []
    assert scene.told() == [("namespace shop-2", NEXT)]
    assert scene.world.log.of("event not written") == []


@pytest.mark.parametrize("fault", [Refused("forbidden", hint="grant it"), Transient("away")])
def test_an_event_that_can_not_be_written_is_told_and_ends_nothing(
    scene: Scene, fault: Refused | Transient
) -> None:
    class Deaf:
        """A writer that refuses Events."""

        def __getattr__(self, name: str) -> Any:
            return getattr(scene.world.cluster, name)

        def announce(self, _: object) -> bool:
            """As the fault says."""
            raise fault

    scene.put("shop-2")
    scene.look()
    setting = scene.world.setting
    object.__setattr__(setting, "writer", Deaf())
    setting = scene.noticer.begin(setting)
    scene.noticer.end(scene.world.cycle(known=setting.known))
    assert scene.told() == [("namespace shop-2", NEXT)]
    assert {line["why"] for line in scene.world.log.of("event not written")} == {fault.message}
    assert told(scene) == []


@pytest.mark.parametrize("fault", [Transient("busy"), Refused("no right")])
def test_an_event_that_the_api_server_did_not_hear_is_said_by_the_next_look(
    scene: Scene, fault: Refused | Transient
) -> None:
    faults: list[Exception] = [fault]
    cluster = scene.world.cluster

    class Busy:
        """A writer that fails once."""

        def __getattr__(self, name: str) -> Any:
            return getattr(cluster, name)

        def announce(self, event: dict[str, Any]) -> bool:
            """As the port says, the second time."""
            if faults:
                raise faults.pop()
            return cluster.announce(event)

    scene.put("shop-2")
    scene.look()
    object.__setattr__(scene.world.setting, "writer", Busy())
    for _ in range(3):
        scene.cycle()
    again = isinstance(fault, Transient)
    assert [note for _, _, note in told(scene)] == [f"namespace shop-2: {NEXT}"] * again
    assert scene.told() == [("namespace shop-2", NEXT)], "the log has it once"
    assert len(scene.world.log.of("event not written")) == 1


def test_what_a_suspended_policy_would_protect_is_an_event_of_it(scene: Scene) -> None:
    scene.world.source.push(files(shop=SHOPS.replace(b"spec:", b"spec:\n  suspend: true")))
    scene.cycle()
    scene.put("shop-2")
    scene.look()
    scene.cycle()
    assert told(scene) == [
        (
            "Warning",
            "CannotProtect",
            "namespace shop-2: unprotected: policy shop would protect it and is suspended",
        )
    ]


def test_a_claim_that_no_policy_wanted_and_now_one_can_not_copy_is_an_event(scene: Scene) -> None:
    gold = policy_yaml("shop").replace(b"[shop]", b"{matchLabels: {backup: gold}}")
    scene.world.source.push(files(shop=gold))
    scene.cycle()
    raw = claim("raw", "shop-2")
    raw["spec"]["volumeMode"] = "Block"
    scene.put("shop-2")
    scene.world.cluster.put(raw)
    scene.look()
    scene.cycle()
    assert told(scene) == []
    space = {"name": "shop-2", "labels": {"backup": "gold"}}
    scene.world.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": space})
    scene.look()
    scene.cycle()
    reasons = {(reason, note.partition(": ")[0]) for _, reason, note in told(scene)}
    assert reasons == {("Protected", "namespace shop-2"), ("CannotProtect", "claim shop-2/raw")}


def test_a_cluster_that_can_not_be_asked_for_objects_ends_nothing(scene: Scene) -> None:
    scene.put("shop-2")
    scene.look()
    blind = FaultyReader(scene.world.cluster, lambda found, _: found == kinds.BACKUP_POLICIES)
    setting = scene.world.setting
    object.__setattr__(setting, "reader", blind)
    scene.noticer.begin(setting)
    scene.noticer.end(scene.world.cycle())
    assert scene.told() == [("namespace shop-2", NEXT)]


def test_a_storm_is_some_events_and_says_how_many_more() -> None:
    scene = Scene(world=MirrorWorld())
    scene.world.source.push(files(shop=SHOPS))
    scene.look()
    scene.cycle()
    for number in range(60):
        scene.put(f"shop-{number}")
    scene.look()
    scene.cycle()
    assert len(told(scene)) == newcomerevents._MOST
    assert scene.world.log.of("and more") == [{"of": "events of new applications", "count": 10}]
