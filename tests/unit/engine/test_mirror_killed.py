"""A controller is killed around each write of the policies' objects, and another goes on (I11).

And two at the same time: each write is of the version that was looked at.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from reconciler.engine.applying import LEASE_SECONDS
from reconciler.plan.mirrorfacts import REQUESTED_AT
from tests.fakes.watched import Killed, Life, Step, Watched
from tests.unit.engine.controller_world import BROKEN, files, policy_yaml
from tests.unit.engine.mirror_world import MirrorWorld, with_rpo

OLD, NEW = "backstay-controller-1/a", "backstay-controller-2/b"
BROKEN_MAIL = BROKEN.replace(b"shop", b"mail")


def busy() -> MirrorWorld:
    """Work of every sort: to create, change, put back, recover, suspend, answer and delete."""
    world = MirrorWorld()
    good = {"shop": with_rpo(policy_yaml("shop"))}
    world.source.push(files("mail", "docs", "old", "wiki", "a", **good))
    world.cycle()
    world.source.push(files("docs", "old", "wiki", "a", mail=BROKEN_MAIL, **good))
    world.cycle()
    world.run(1)
    world.edit(edit, name="wiki", by="me", at="spec.suspend")
    suspended = policy_yaml("docs").replace(b"spec:", b"spec:\n  suspend: true")
    changed = with_rpo(policy_yaml("shop", "5 5 * * *"))
    world.source.push(files("new", "wiki", "a", "mail", docs=suspended, shop=changed))
    world.written()
    return world


def edit(raw: dict[str, Any]) -> None:
    """What somebody does to a policy's object."""
    raw["spec"]["suspend"] = True
    raw["metadata"]["annotations"][REQUESTED_AT] = "1"


def cycle_of(world: MirrorWorld, holder: str, step: Step) -> None:
    """A cycle of one controller whose every call to the cluster is a step."""
    cluster = Watched(world.cluster, step)
    world.cycle(holder=holder, reader=cluster, writer=cluster)


def state(world: MirrorWorld) -> dict[str, Any]:
    """Every mirror as it reads, and which Events there are about each."""
    found: dict[str, Any] = {}
    for raw in world.cluster.all("BackupPolicy"):
        name = raw["metadata"]["name"]
        status = {k: v for k, v in raw["status"].items() if k != "observedGeneration"}
        conditions = [
            {k: v for k, v in one.items() if k not in ("observedGeneration", "lastTransitionTime")}
            for one in status["conditions"]
        ]
        rpo = {k: v for k, v in status.get("rpo", {}).items() if k != "achievedSeconds"}
        told = sorted(world.events(name))
        shown = {**status, "conditions": conditions, "rpo": rpo}
        found[name] = (raw["spec"], raw["metadata"]["annotations"], shown, told)
    return found


@functools.cache
def undisturbed() -> tuple[list[str], dict[str, Any]]:
    """The moments of a cycle that nobody kills, and what it leaves."""
    world, life = busy(), Life()
    cycle_of(world, OLD, life)
    return life.moments, state(world)


MOMENTS = [n for n, moment in enumerate(undisturbed()[0]) if n == 0 or moment.startswith("after ")]


def test_the_cycle_does_everything_that_can_be_interrupted() -> None:
    moments, left = undisturbed()
    calls = [moment.partition(" ")[2] for moment in moments if moment.startswith("after ")]
    for call in ("create", "patch", "announce", "delete"):
        assert call in calls, call
    assert set(left) == {"new", "docs", "wiki", "a", "mail", "shop"}
    assert left["wiki"][2]["lastHandledReconcileAt"] == "1"
    assert ("Warning", "PutBack") in left["wiki"][3]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("moment", MOMENTS)
def test_i11_killed_anywhere_the_next_one_ends_in_the_same_state(moment: int) -> None:
    world = busy()
    with pytest.raises(Killed):
        cycle_of(world, OLD, Life(moment))
    # Its Lease runs out; no schedule is due meanwhile.
    world.clock.sleep(LEASE_SECONDS + 1)
    world.cycle(holder=NEW)
    assert state(world) == undisturbed()[1]
    world.cluster.writes.clear()
    world.cycle(holder=NEW)
    assert world.cluster.writes == []


@pytest.mark.one_in(5)
@pytest.mark.parametrize("moment", MOMENTS)
def test_two_controllers_leave_what_one_leaves(moment: int) -> None:
    """The second one's whole cycle comes in the middle of the first one's."""
    world = busy()
    passed = 0

    def meet(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed == moment + 1:
            world.cycle(holder=NEW)

    cycle_of(world, OLD, meet)
    for _ in range(2):
        world.cycle(holder=OLD)
    assert state(world) == undisturbed()[1]
    world.cluster.writes.clear()
    world.cycle(holder=NEW)
    assert world.cluster.writes == []


@pytest.mark.parametrize("writes", [False, True])
def test_an_older_revision_is_never_shown_over_a_newer_one(writes: bool) -> None:
    """Another brings one before the Lease is taken for the objects, which is the last time."""
    world = MirrorWorld()
    world.source.push(files("shop", "gone"))
    world.cycle()
    if writes:
        world.source.push(files(shop=policy_yaml("shop", "4 4 * * *"), gone=policy_yaml("gone")))
    world.clock.sleep(23 * 3600)
    leases = 0

    def meet(moment: str) -> None:
        nonlocal leases
        leases += moment == "before acquire_lease"
        if moment == "before acquire_lease" and leases == (2 if writes else 1):
            newer = files("new", shop=policy_yaml("shop", "5 5 * * *"))
            world.source.push(newer)
            world.cycle(holder=NEW)

    cycle_of(world, OLD, meet)
    assert leases == (2 if writes else 1)
    before = state(world)
    assert set(before) == {"new", "shop"}
    assert before["shop"][0]["schedule"]["cron"] == "5 5 * * *"
    assert ("Warning", "PutBack") not in world.events()
    world.cycle(holder=OLD)
    assert state(world) == before


def test_a_hand_at_the_very_moment_of_a_write_wins_until_the_next_cycle() -> None:
    world = MirrorWorld()
    world.source.push(files("shop"))
    world.cycle()
    world.source.push(files(shop=policy_yaml("shop", "5 5 * * *")))

    class Late(Watched):
        """Somebody is quicker."""

        def patch(self, *arguments: Any, **words: Any) -> Any:
            """Passed on, too late."""
            if "profile" not in world.mirror()["spec"]:
                world.edit(lambda raw: raw["spec"].update(profile="mine"))
            return world.cluster.patch(*arguments, **words)

    cycle = world.cycle(writer=Late(world.cluster, lambda _: None))
    assert world.mirror()["spec"]["profile"] == "mine"
    assert world.mirror()["spec"]["schedule"]["cron"] == "17 2 * * *"
    assert world.log.of("mirror configured") == []
    assert cycle.mirrored is not None
    assert cycle.mirrored.written == 0
    world.cycle()
    assert len(world.log.of("mirror configured")) == 1
    assert "profile" not in world.mirror()["spec"]
    assert world.mirror()["spec"]["schedule"]["cron"] == "5 5 * * *"


@pytest.mark.parametrize("lost", ["object", "status"])
def test_what_was_removed_before_a_write_is_not_told_as_written(lost: str) -> None:
    world = MirrorWorld()
    world.source.push(files("shop", "mail"))
    world.cycle()
    if lost == "object":
        world.source.push(files("shop"))
    else:
        world.clock.sleep(23 * 3600)

    class Late(Watched):
        """Somebody else removes the object first."""

        def delete(self, *arguments: Any, **words: Any) -> Any:
            """Nothing is there any more."""
            if arguments[0].kind == "BackupPolicy":
                world.cluster.remove(world.mirror("mail"))
            return world.cluster.delete(*arguments, **words)

        def patch(self, *_: Any, **__: Any) -> Any:
            """Nothing is there any more."""

    cycle = world.cycle(writer=Late(world.cluster, lambda _: None))
    assert cycle.mirrored is not None
    assert (cycle.mirrored.written, cycle.mirrored.why) == (0, "")
    assert world.log.of("mirror deleted") == []
