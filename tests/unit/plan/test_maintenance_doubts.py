"""What is not known, or is known since yesterday only, removes nothing."""

from __future__ import annotations

from datetime import datetime

import pytest

from reconciler.model.policy import Retention
from reconciler.plan.keptpoints import Memory
from tests.unit.plan.maintenance_world import C, World, days, line_of, run_id


@pytest.mark.parametrize(("since", "gone"), [(None, 0), (days(5), 0), (days(20), 1), (days(40), 2)])
def test_nothing_without_a_record_goes_that_is_older_than_the_memory(
    since: datetime | None, gone: int
) -> None:
    """A rebuilt cluster with a Git server that came back from an older backup."""
    world = World(memories={"shop": Memory(tips=("tip-shop",), since=since)})
    world.run(days(1))
    lost = [world.volume("shop", days(age)) for age in (10, 30)]
    assert world.removed() == set(lost[:gone])
    told = line_of(world.plan(), lost[1]).reasons[0]
    assert ("it may have lost the record" in told) == (gone < 2)


def test_a_repository_that_is_away_once_lifts_no_brake() -> None:
    old = Retention(keep_daily=300)
    world = World(retentions={"shop": Retention(keep_daily=3)})
    world.secrets("shop", days(1))
    for age in range(1, 31):
        names = ("a", "b") if age < 3 else ("b",)
        parts = {name: (C, [world.volume("shop", days(age), name)]) for name in names}
        world.record("shop", days(age), parts, words=old)
    assert "27 of 32" in world.plan().held["shop"]
    world.unlisted = {("main", "b")}
    # So nothing is written down as applied, either.
    assert "27 of 32" in world.plan().held["shop"]
    assert world.removed() == set()


def test_the_last_copies_of_a_claim_that_is_gone_stay() -> None:
    """Somebody deleted `db`, or leaves it out by a rule; `files` goes on."""
    world = World(retentions={"shop": Retention(keep_daily=3)})
    copies = []
    for age in range(14, 0, -1):
        names = [world.volume("shop", days(age))]
        if age > 5:
            tags = ("policy:shop", f"run:{run_id('shop', days(age))}", "claim:db")
            copies.append(world.store("shop", "/data/db", tags, days(age)))
            names.append(copies[-1])
        world.record("shop", days(age), {"shop": (C, names)}, claims=("files", "db"))
    assert set(copies) - world.removed() == set(copies[-3:])
