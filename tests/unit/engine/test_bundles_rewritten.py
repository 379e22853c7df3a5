"""Bundles of before a purge: what was taken out of a history does not come back by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pytest

from reconciler.capture import message
from reconciler.engine.bundling import waiting_in
from reconciler.model.errors import Refused
from reconciler.model.run import Outcome
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, RunWorld, manifest
from tests.unit.engine.test_bundles import _deliver, _runs, _waiting, away, vault

LEAK = "correct horse battery"


def leaked(number: int = 2) -> RunWorld:
    """A run whose commit holds the value waits as a bundle."""
    world = RunWorld()
    world.run()
    world.cluster.put(manifest("ConfigMap", "settings", "shop") | {"data": {"a": LEAK}})
    away(world, number)
    world.cluster.put(manifest("ConfigMap", "settings", "shop") | {"data": {"a": "mended"}})
    return world


def purge(world: RunWorld, when: datetime, policy: str = "shop", **trailers: str) -> str:
    """The branch ends with the commit that a purge makes."""
    tip = world.remote.heads[BRANCH]
    told = {message.POLICY: policy, message.REWRITTEN: tip, **trailers}
    text = "x\n\n" + "".join(f"{key}: {value}\n" for key, value in told.items())
    store = FakeManifestStore(world.remote)
    mark = store.commit(BRANCH, tip, [], text, when=when)
    store.push({BRANCH: mark})
    return mark


def began(number: int) -> datetime:
    return message.parse_run_id(RUN_IDS[number - 1])[1]


def test_the_next_run_keeps_it_and_says_what_to_do() -> None:
    world = leaked()
    mark = purge(world, began(3))
    (late,) = waiting_in(vault(world), CLUSTER, "shop")
    third = world.run(3)
    assert third.record.outcome is Outcome.COMPLETED
    (told,) = third.record.warnings
    assert told == (
        f"run {RUN_IDS[1]} waits as a bundle and can't be delivered: its run began before the"
        f" history was rewritten on purpose (commit {mark[:10]}), and it may hold what was taken"
        f" out: `restic forget {late.snapshot[:8]}` in the repository of _cluster, see"
        " docs/purge.md"
    )
    assert _waiting(world) == [RUN_IDS[1]]
    assert _runs(world) == [RUN_IDS[2], "", RUN_IDS[0]]
    texts = [text for commit in world.commits() for text in commit.files.values()]
    assert not any(LEAK.encode() in text for text in texts)


def test_by_hand_it_is_kept_as_well_and_what_came_since_is_delivered() -> None:
    world = leaked()
    purge(world, began(3))
    away(world, 4)
    found = _deliver(world)
    assert found.delivered == (RUN_IDS[3],)
    assert list(found.kept) == [RUN_IDS[1]]
    assert _runs(world) == [RUN_IDS[3], "", RUN_IDS[0]]


def test_a_run_of_the_same_second_is_kept() -> None:
    world = leaked()
    purge(world, began(2))
    assert list(_deliver(world).kept) == [RUN_IDS[1]]


def test_the_latest_of_several_counts_wherever_it_stands() -> None:
    world = leaked()
    later = purge(world, began(3))
    purge(world, began(1))
    assert later[:10] in _deliver(world).kept[RUN_IDS[1]]


@pytest.mark.parametrize("what", ["before", "another policy", "a run"])
def test_what_is_no_later_rewrite_of_this_policy_is_in_no_way(what: str) -> None:
    world = leaked()
    if what == "before":
        purge(world, began(1))
    elif what == "another policy":
        purge(world, began(3), policy="blog")
    else:
        purge(world, began(3), **{message.RUN: RUN_IDS[3]})
    assert _deliver(world).delivered == (RUN_IDS[1],)


def test_what_was_delivered_before_is_only_marked() -> None:
    world = leaked()
    late = waiting_in(vault(world), CLUSTER, "shop")
    _deliver(world, late)
    tip = purge(world, began(3))
    again = _deliver(world, late)
    assert (again.delivered, again.tip, again.kept) == ((RUN_IDS[1],), tip, {})


def test_a_rewrite_that_is_pushed_right_before_the_delivery_stops_it() -> None:
    world = leaked()
    marks: list[str] = []

    class Late(FakeManifestStore):
        """The person is quicker."""

        def push(self, tips: Mapping[str, str]) -> None:
            if not marks:
                marks.append(purge(world, began(3)))
            super().push(tips)

    with pytest.raises(Refused, match="was rewritten on purpose meanwhile"):
        _deliver(world, store=Late(world.remote))
    assert world.remote.heads[BRANCH] == marks[0]
    assert _waiting(world) == [RUN_IDS[1]]
    (one,) = waiting_in(vault(world), CLUSTER, "shop")
    assert list(_deliver(world, (one,)).kept) == [RUN_IDS[1]]
