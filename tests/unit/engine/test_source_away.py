"""Policies that can't be read for an hour of fake time: told once, and over by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.adapters.policytree import Limits
from reconciler.engine.controller import run_controller
from reconciler.engine.instruments import LONGEST_CYCLE
from reconciler.model.errors import Transient
from tests.unit.engine.controller_world import files
from tests.unit.engine.mirror_world import MirrorWorld

NAMES = ("docs", "mail", "shop")


def test_an_hour_without_git_is_one_write_for_each_policy_and_one_back() -> None:
    world = MirrorWorld()
    world.source.push(files(*NAMES))
    world.cycle()
    world.written()
    world.log.take()
    began = world.clock.now()
    over = began + timedelta(hours=1)
    away: list[str] = []
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        world.clock.sleep(seconds)
        if world.clock.now() < over:
            away.extend(world.written())
            world.source.failures.append(Transient(f"no route to host, try {len(pauses)}"))
            return False
        return not world.source.failures and bool(world.log.of("cycles end well again"))

    world.source.failures.append(Transient("no route to host"))
    run_controller(
        lambda: world.setting, world.teller, pause=pause, jitter=lambda: 1.0, reporter=world.log
    )
    assert pauses[:6] == [5, 10, 20, 40, 60, 60]
    assert away == [f"update BackupPolicy/{name}" for name in NAMES]
    failed = world.log.of("cycle failed")
    assert len(failed) == len(pauses) - 1 > 60, "a line for each look, and none for each policy"
    since = began.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {line["since"] for line in failed} == {since}
    assert world.log.of("cycles end well again") == [{"failed_since": since}]
    assert world.written() == [f"update BackupPolicy/{name}" for name in NAMES]
    for name in NAMES:
        assert world.conditions(name) == {"Ready": ("True", "Applied")}
        assert [reason for _, reason in world.events(name)] == ["Applied"]
        assert datetime.fromisoformat(world.status(name)["nextRun"]) > world.clock.now()


def test_the_slowest_cycle_ends_before_it_is_taken_for_one_that_hangs() -> None:
    """A look at the tip, a fetch, and three steps into the history: each may take its deadline."""
    assert 5 * Limits().deadline < LONGEST_CYCLE - 120
