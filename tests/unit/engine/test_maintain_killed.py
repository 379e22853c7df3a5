"""Maintenance that is killed at each of its writes: nothing is promised that is gone, and the next
one ends where this one would have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.capture import record, retained
from reconciler.engine.clusterbranch import load_cluster_branch
from reconciler.engine.maintain import Maintained, MaintainPorts, execute
from reconciler.engine.maintainfacts import Intent, Read, read_facts, recall
from reconciler.model.errors import BackstayError, Interrupted, Refused, RepositoryLocked, Transient
from reconciler.model.policy import Retention
from reconciler.model.store import Write
from reconciler.plan.keptpoints import parts_of
from reconciler.plan.maintenance import MaintenancePlan, Place, plan_maintenance
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.upkeep import FakeUpkeep
from tests.unit.engine.run_world import BRANCH, CLUSTER, HOME, RUN_IDS, SYSTEM, RunWorld

WORDS = {"shop": Retention(keep_last=1)}
FILE = "_retained/shop.yaml"


class Killed(BaseException):
    """The process ends at once."""


@dataclass
class Life:
    """Dies at its ``at``-th write; ``half``: before it, after it, or in the middle of it."""

    at: int = -1
    half: str = "before"
    writes: list[str] = field(default_factory=list)

    def write(self, name: str, act: Callable[[], Any], part: Callable[[], Any]) -> Any:
        number = len(self.writes)
        self.writes.append(name)
        if number == self.at and self.half == "before":
            raise Killed
        if number == self.at and self.half == "middle":
            part()
            raise Killed
        done = act()
        if number == self.at:
            raise Killed
        return done


class MortalUpkeep(FakeUpkeep):
    """Belongs to a process."""

    life: Life

    def forget(self, snapshots: Sequence[str]) -> None:
        act, some = super().forget, snapshots[: len(snapshots) // 2]
        self.life.write("forget", lambda: act(snapshots), lambda: act(some))

    def prune(self) -> None:
        act = super().prune
        self.life.write("prune", act, lambda: None)


class MortalStore(FakeManifestStore):
    """Belongs to a process."""

    life: Life

    def push(self, tips: Any) -> None:
        act = super().push
        self.life.write("push", lambda: act(tips), lambda: None)


def ran(count: int = 3) -> RunWorld:
    world = RunWorld()
    world.policy = replace(world.policy, retention=WORDS["shop"])
    for number in range(1, count + 1):
        world.run(number)
    return world


def look(world: RunWorld, store: FakeManifestStore) -> tuple[Read, MaintenancePlan]:
    """A month later: the fake restic's clock is the real one."""
    branch = load_cluster_branch(store, CLUSTER)
    memories = recall(world.cluster, SYSTEM, CLUSTER, ["shop"])
    intent = Intent(retentions=WORDS, frozen={})
    read = read_facts(store, world.keyring, branch, "main", intent, memories, cluster=CLUSTER)
    later = max(datetime.now(UTC), world.clock.now()) + timedelta(days=30)
    return read, plan_maintenance(read.facts, "main", later)


def work(world: RunWorld, store: FakeManifestStore, life: Life) -> MaintainPorts:
    def upkeep(place: Place) -> MortalUpkeep:
        (namespace,) = place.namespaces
        access = world.keyring.access(
            name="main", secret="restic-main", url=place.url, namespace=namespace
        )
        made = MortalUpkeep(access, world.storage)
        made.life = life
        return made

    return MaintainPorts(store=store, upkeep=upkeep, reporter=world.log)


def maintain(world: RunWorld, life: Life | None = None) -> tuple[Maintained, ...]:
    """One process, from its facts to its end."""
    store = MortalStore(world.remote)
    store.life = life = life or Life()
    read, plan = look(world, store)
    tips = {name: history.tip for name, history in read.facts.histories.items()}
    ports = work(world, store, life)
    home = world.remote.heads[HOME]
    return execute(plan, tips, read.facts.retentions, ports, home=home)


def stored(world: RunWorld) -> set[str]:
    found = world.storage.repositories.values()
    return {snapshot.id for repository in found for snapshot in repository.snapshots}


def data(world: RunWorld) -> set[str]:
    return {name for held in world.storage.repositories.values() for name in held.trees}


def check_promises(world: RunWorld) -> None:
    """Whatever is promised is there, and the last good point is promised."""
    text = world.tree(HOME).get(FILE)
    held = None if text is None else retained.parse_retained(text, where=FILE)
    commits = world.commits()
    known = {one.sha for one in world.remote.history(held.tip)} if held else set[str]()
    for commit in commits:
        made = record.parse_record(commit.files["_run.yaml"])
        listed = held is None or any(one.run == made.name for one in held.held)
        promised = listed or commit.sha not in known
        assert promised or commit is not commits[0]
        for part in parts_of(made, "shop"):
            there = {name for _, name in part.names} <= stored(world) & data(world)
            assert there or not promised, made.name


def test_it_removes_what_expired_and_says_what_is_held() -> None:
    world = ran()
    done = maintain(world)
    assert [(one.forgotten, one.damage, one.error) for one in done] == [(2, (), None)] * 2
    assert stored(world) == data(world)
    assert len(stored(world)) == 2
    held = retained.parse_retained(world.tree(HOME)[FILE], where=FILE)
    assert [(one.run, one.namespaces) for one in held.held] == [(RUN_IDS[2], ("shop",))]
    assert (held.tip, held.retention) == (world.remote.heads[BRANCH], {"keepLast": 1})
    check_promises(world)


def test_with_nothing_to_do_nothing_is_written_to_git() -> None:
    world = ran()
    maintain(world)
    heads, before = dict(world.remote.heads), stored(world)
    life = Life()
    maintain(world, life)
    assert life.writes == ["prune", "prune"]
    assert (dict(world.remote.heads), stored(world)) == (heads, before)


@pytest.mark.parametrize(
    ("at", "half"),
    [(at, half) for at in range(5) for half in ("before", "after")]
    + [(1, "middle"), (3, "middle")],
)
def test_killed_at_any_write_it_promises_nothing_that_is_gone_and_converges(
    at: int, half: str
) -> None:
    world = ran()
    life = Life(at, half)
    with pytest.raises(Killed):
        maintain(world, life)
    check_promises(world)
    # A run goes on meanwhile as if nothing were.
    world.run(4)
    check_promises(world)
    maintain(world)
    check_promises(world)
    assert stored(world) == data(world)
    assert len(stored(world)) == 2
    after = Life()
    maintain(world, after)
    assert after.writes == ["prune", "prune"]


def test_there_are_so_many_writes() -> None:
    life = Life()
    maintain(ran(), life)
    assert life.writes == ["push", "forget", "prune", "forget", "prune"]


# What it refuses


def prepared(world: RunWorld) -> tuple[MaintenancePlan, dict[str, str], MaintainPorts, Life]:
    store = MortalStore(world.remote)
    store.life = life = Life()
    read, plan = look(world, store)
    tips = {name: history.tip for name, history in read.facts.histories.items()}
    return plan, tips, work(world, store, life), life


def test_a_run_that_ended_since_the_plan_stops_it() -> None:
    world = ran()
    plan, tips, ports, life = prepared(world)
    world.run(4)
    before = stored(world)
    with pytest.raises(Transient, match="a run ended while maintenance was planned: shop"):
        execute(plan, tips, WORDS, ports, home=world.remote.heads[HOME])
    assert stored(world) == before
    assert life.writes == ["push"]
    check_promises(world)


def test_a_cluster_branch_that_moved_since_stops_it_before_anything() -> None:
    world = ran()
    plan, tips, ports, life = prepared(world)
    before = stored(world)
    store = FakeManifestStore(world.remote)
    home = world.remote.heads[HOME]
    store.push({HOME: store.commit(HOME, home, (), "Another\n", when=plan.at)})
    with pytest.raises(BackstayError):
        execute(plan, tips, WORDS, ports, home=home)
    assert (stored(world), life.writes) == (before, ["push"])


def test_a_brake_refuses_all_of_it() -> None:
    world = ran()
    plan, tips, ports, life = prepared(world)
    with pytest.raises(Refused, match="nothing is removed: a brake"):
        execute(replace(plan, brakes=("a brake",)), tips, WORDS, ports, home="")
    assert life.writes == []


def test_a_repository_that_is_locked_is_in_no_others_way() -> None:
    world = ran()
    plan, tips, ports, _ = prepared(world)
    world.repository("shop").locked = True
    done = execute(plan, tips, WORDS, ports, home=world.remote.heads[HOME])
    errors = {one.place.namespaces: type(one.error) for one in done}
    assert errors == {("_cluster",): type(None), ("shop",): RepositoryLocked}
    world.repository("shop").locked = False
    maintain(world)
    assert stored(world) == data(world)
    assert len(stored(world)) == 2


def test_a_repository_that_was_replaced_since_is_not_touched() -> None:
    world = ran()
    plan, tips, ports, _ = prepared(world)
    world.repository("shop").id = "0" * 64
    done = execute(plan, tips, WORDS, ports, home=world.remote.heads[HOME])
    (error,) = [one.error for one in done if one.error]
    assert "another repository" in error.message
    assert len(world.repository("shop").snapshots) == 3


def test_stopped_between_two_steps_it_ends() -> None:
    world = ran()
    plan, tips, ports, life = prepared(world)
    stopping = replace(ports, stopped=lambda: True)
    with pytest.raises(Interrupted):
        execute(plan, tips, WORDS, stopping, home=world.remote.heads[HOME])
    assert life.writes == ["push"]


def test_what_somebody_wrote_over_what_is_held_brakes_the_next_one() -> None:
    world = ran()
    maintain(world)
    store = FakeManifestStore(world.remote)
    home = world.remote.heads[HOME]
    bad = (Write(FILE, b"{"),)
    store.push({HOME: store.commit(HOME, home, bad, "Mine\n", when=world.clock.now())})
    _, plan = look(world, store)
    assert "_retained/shop.yaml of cluster prod-eu can't be read" in plan.brakes[0]


def test_a_rewound_branch_is_known_from_what_was_written_down() -> None:
    world = ran()
    maintain(world)
    world.cluster = ran(0).cluster
    world.remote.heads[BRANCH] = world.commits()[-1].sha
    _, plan = look(world, FakeManifestStore(world.remote))
    assert "it was rewound or replaced" in plan.brakes[0]
