"""An object that the API server does not take: told, and tried more and more seldom (I7)."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.errors import Refused
from tests.unit.engine.controller_world import files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld


class Refusing:
    """A writer that takes no patch of the object of `shop`, or drops all that it changes."""

    def __init__(self, world: MirrorWorld, how: str) -> None:
        self._world = world
        self._how = how
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.cluster, name)

    def patch(self, ref: Any, changes: Any, **words: Any) -> Any:
        """As the port says, but for `shop`."""
        if ref.name != "shop":
            return self._world.cluster.patch(ref, changes, **words)
        self.asked += 1
        if self._how == "refused":
            raise Refused("patch backuppolicy: HTTP 422 Invalid: spec", hint="look at it")
        return self._world.mirror()


@pytest.fixture
def world() -> MirrorWorld:
    """Return one in which `shop` has changed, and all but its object was written."""
    world = MirrorWorld()
    world.source.push(files("mail", "shop"))
    world.cycle()
    world.source.push(files("mail", shop=policy_yaml("shop", "5 5 * * *")))
    return world


@pytest.mark.parametrize("how", ["refused", "dropped"])
def test_i7_what_is_not_taken_is_told_and_makes_no_cycle_write(
    world: MirrorWorld, how: str
) -> None:
    writer = Refusing(world, how)
    for _ in range(2):  # most refusals pass
        world.cycle(writer=writer)
    asked = writer.asked
    world.cluster.writes.clear()
    for _ in range(10):
        cycle = world.cycle(writer=writer)
        world.clock.sleep(10)
        assert cycle.mirrored is not None
        assert cycle.mirrored.why
    assert (world.cluster.writes, writer.asked) == ([], asked), "not even the Lease"
    assert len(world.log.of("policies not shown")) <= 2, "what stands is told once an hour"
    told = world.log.of("policies not shown")[-1]
    if how == "refused":
        assert told["why"] == "patch backuppolicy: HTTP 422 Invalid: spec"
        assert told["hint"] == "look at it"
    else:
        assert "keeps nothing of what was written: spec" in str(told["why"])
        assert "crd-backuppolicies.yaml" in str(told["hint"])


def test_it_is_tried_more_and_more_seldom_and_taken_when_it_is_taken(world: MirrorWorld) -> None:
    writer = Refusing(world, "refused")
    tried: list[int] = []
    now = 0
    for minute in (0, 1, 2, 3, 6, 7, 14, 15, 30, 31, 62, 63, 122, 123, 182, 183):
        world.clock.sleep(60 * (minute - now))
        now, before = minute, writer.asked
        world.cycle(writer=writer)
        if writer.asked > before:
            tried.append(minute)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    world.clock.sleep(3600)
    world.cycle()
    assert world.mirror()["spec"]["schedule"]["cron"] == "5 5 * * *"
    assert world.conditions() == {"Ready": ("True", "Applied")}


@pytest.mark.parametrize("what", ["policy", "object"])
def test_a_change_of_the_policy_or_of_the_object_is_tried_at_once(
    world: MirrorWorld, what: str
) -> None:
    writer = Refusing(world, "refused")
    for _ in range(3):
        world.cycle(writer=writer)
    if what == "policy":
        world.source.push(files("mail", shop=policy_yaml("shop", "6 6 * * *")))
    else:
        world.edit(lambda raw: raw["spec"].update(suspend=True))
    asked = writer.asked
    world.cycle(writer=writer)
    assert writer.asked == asked + 1


def test_other_policies_are_shown_meanwhile(world: MirrorWorld) -> None:
    writer = Refusing(world, "refused")
    for _ in range(3):
        world.cycle(writer=writer)
    world.source.push(
        files(mail=policy_yaml("mail", "7 7 * * *"), shop=policy_yaml("shop", "5 5 * * *"))
    )
    asked = writer.asked
    cycle = world.cycle(writer=writer)
    assert world.mirror("mail")["spec"]["schedule"]["cron"] == "7 7 * * *"
    assert writer.asked == asked
    assert cycle.mirrored is not None
    assert "HTTP 422" in cycle.mirrored.why
