"""What maintenance reads of real runs: every doubt is told, and holds what it is about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.capture import message as messages
from reconciler.capture import record
from reconciler.engine.clusterbranch import adopt_cluster, load_cluster_branch
from reconciler.engine.maintainfacts import Intent, Read, read_facts, read_intent, recall
from reconciler.model.errors import Refused, Transient
from reconciler.model.policy import Retention
from reconciler.model.run import RunRecord
from reconciler.model.store import Commit, Delete, Descends, FileChange, PolicyFiles, Write
from reconciler.plan.maintenance import MaintenancePlan, plan_maintenance
from tests.fakes.clock import FakeClock
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, SYSTEM, Crash, RunWorld
from tests.unit.engine.test_bundles import away

LAST = Retention(keep_last=1)


def _intent(words: Retention = LAST) -> Intent:
    return Intent(retentions={"shop": words}, frozen={})


def _read(world: RunWorld, intent: Intent | None = None) -> Read:
    store = FakeManifestStore(world.remote)
    return read_facts(
        store,
        world.keyring,
        load_cluster_branch(store, CLUSTER),
        "main",
        intent or _intent(),
        recall(world.cluster, SYSTEM, CLUSTER, ["shop"]),
        cluster=CLUSTER,
    )


def _plan(world: RunWorld, intent: Intent | None = None) -> MaintenancePlan:
    """A month later: the fake restic's clock is the real one."""
    later = max(datetime.now(UTC), world.clock.now()) + timedelta(days=30)
    return plan_maintenance(_read(world, intent).facts, "main", later)


def _gone(world: RunWorld, plan: MaintenancePlan) -> set[str]:
    """Runs that lose something."""
    runs = {
        run
        for place in plan.places
        for line in place.lines
        if not line.keep and line.own is not None
        for run in line.own.runs
    }
    assert all(line.own for place in plan.places for line in place.lines), world
    return runs


def _ran(count: int = 3, began: datetime | None = None) -> RunWorld:
    world = RunWorld(clock=FakeClock(began)) if began else RunWorld()
    world.policy = replace(world.policy, retention=LAST)
    for number in range(1, count + 1):
        world.run(number)
    return world


def test_every_snapshot_of_real_runs_is_recognised_and_decided() -> None:
    world = _ran()
    read = _read(world)
    assert (dict(read.unlisted), len(read.facts.histories["shop"].records)) == ({}, 3)
    plan = _plan(world)
    assert plan.brakes == ()
    assert _gone(world, plan) == {*RUN_IDS[:2]}
    assert {place.namespaces for place in plan.places} == {("_cluster",), ("shop",)}
    # Each run stored a volume and its Secrets.
    assert plan.removed == 4


def test_reading_writes_nothing() -> None:
    world = _ran()
    before = (dict(world.remote.heads), len(world.cluster.writes))
    _plan(world)
    assert (dict(world.remote.heads), len(world.cluster.writes)) == before


def test_a_run_that_died_keeps_its_snapshots_for_a_week_and_loses_them_then() -> None:
    world = _ran(1, began=datetime(2026, 11, 21, 1, 17, 3, tzinfo=UTC))

    class Dying(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            if BRANCH in tips:
                raise Crash
            super().push(tips)

    with pytest.raises(Crash):
        world.run(2, store=Dying(world.remote))
    world.run(3)
    assert _gone(world, _plan(world)) == {*RUN_IDS[:2]}
    soon = plan_maintenance(_read(world).facts, "main", datetime.now(UTC))
    assert RUN_IDS[1] not in _gone(world, soon)


def test_the_memory_of_a_branch_is_as_old_as_its_lease_and_the_last_adoption() -> None:
    world = _ran(1)
    made = world.clock.now().replace(microsecond=0)
    assert _read(world).facts.memories["shop"].since == made
    store = FakeManifestStore(world.remote)
    later = made + timedelta(days=3)
    stranger = replace(world.cluster.identity(), uid="9" * 8)
    adopt_cluster(store, CLUSTER, stranger, now=later, by="somebody")
    assert _read(world).facts.memories["shop"].since == later


def test_a_history_that_was_rewritten_may_have_lost_what_is_older() -> None:
    world = _ran(1)
    assert _read(world).facts.histories["shop"].rewound is None
    store = FakeManifestStore(world.remote)
    text = f"x\n\n{messages.POLICY}: shop\n{messages.REWRITTEN}: {store.tip(BRANCH)}\n"
    when = world.clock.now().replace(microsecond=0) + timedelta(days=1)
    sha = store.commit(BRANCH, store.tip(BRANCH), [], text, when=when)
    store.push({BRANCH: sha})
    assert _read(world).facts.histories["shop"].rewound == when


def test_what_waits_as_a_bundle_stays() -> None:
    world = RunWorld()
    world.policy = replace(world.policy, retention=LAST)
    world.run()
    away(world, 2)
    assert _gone(world, _plan(world)) == set()


def test_a_branch_that_was_rewound_holds_everything() -> None:
    world = _ran()
    world.remote.heads[BRANCH] = world.commits()[-1].sha
    plan = _plan(world)
    assert plan.removed == 0
    assert "it was rewound or replaced" in plan.brakes[0]


def test_what_a_rewound_branch_lost_stays_after_runs_went_on_with_it() -> None:
    world = _ran()
    world.remote.heads[BRANCH] = world.commits()[-1].sha
    world.run(4)
    plan = _plan(world)
    assert plan.brakes == ()
    assert _gone(world, plan) == {RUN_IDS[0]}
    lost = [
        line.reasons[0]
        for place in plan.places
        for line in place.lines
        if line.own and line.own.runs[0] in RUN_IDS[1:3]
    ]
    assert len(lost) == 4
    assert all("the branch was rewound or rewritten since" in reason for reason in lost)


def test_a_branch_that_is_gone_holds_everything() -> None:
    world = _ran()
    del world.remote.heads[BRANCH]
    plan = _plan(world)
    assert plan.removed == 0
    assert plan.brakes[0].startswith("the branch of policy shop is gone")


Damage = Callable[[RunRecord], Sequence[FileChange]]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "not YAML": (lambda _: [Write("_run.yaml", b"{")], "a record can't be read"),
    "a newer format": (
        lambda made: [
            Write("_run.yaml", record.render_record(made).replace(b"v1alpha1", b"v9"))
        ],
        "a record can't be read",
    ),
    "another run's": (
        lambda made: [Write("_run.yaml", record.render_record(replace(made, writer="me")))],
        "two records that differ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_record_that_somebody_damaged_holds_everything(name: str) -> None:
    world = _ran()
    damage, told = DAMAGES[name]
    _push(world, damage(world.record()))
    plan = _plan(world)
    assert plan.removed == 0
    assert told in plan.brakes[0]
    # And also when the next run has put its own over it.
    world.run(4)
    assert told in _plan(world).brakes[0]


def test_a_record_that_somebody_deleted_is_still_in_the_history() -> None:
    world = _ran()
    _push(world, [Delete("_run.yaml")])
    assert _gone(world, _plan(world)) == {*RUN_IDS[:2]}


def _push(world: RunWorld, files: Sequence[FileChange]) -> None:
    store = FakeManifestStore(world.remote)
    said = messages.render_message(world.record())
    commit = store.commit(
        BRANCH, world.remote.heads[BRANCH], tuple(files), said, when=world.clock.now()
    )
    store.push({BRANCH: commit})


def test_a_repository_that_does_not_open_holds_what_names_it_and_is_told() -> None:
    world = _ran()
    world.repository("_cluster").password = "another"
    read = _read(world)
    ((url, error),) = read.unlisted.items()
    assert url.endswith("/_cluster")
    assert "wrong password" in error.message
    assert _plan(world).removed == 0


def test_a_repository_that_was_replaced_is_not_taken_for_it() -> None:
    world = _ran()
    world.repository("shop").id = "0" * 64
    assert "it was replaced" in next(iter(_read(world).unlisted.values())).hint
    assert _plan(world).removed == 0


def test_a_store_that_fails_half_way_holds_everything() -> None:
    world = _ran()

    class Failing(FakeManifestStore):
        def blobs(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
            yield from super().blobs(ids[:1])
            raise Transient("the server hung up")

    store = Failing(world.remote)
    branch = load_cluster_branch(store, CLUSTER)
    read = read_facts(store, world.keyring, branch, "main", _intent(), {}, cluster=CLUSTER)
    plan = plan_maintenance(read.facts, "main", world.clock.now() + timedelta(days=400))
    assert plan.removed == 0
    assert "the server hung up" in plan.brakes[0]


def test_a_history_that_is_cut_off_holds_everything() -> None:
    world = _ran()

    class Shallow(FakeManifestStore):
        def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
            del limit
            return super().log(branch, limit=2)

    store = Shallow(world.remote)
    branch = load_cluster_branch(store, CLUSTER)
    read = read_facts(store, world.keyring, branch, "main", _intent(), {}, cluster=CLUSTER)
    plan = plan_maintenance(read.facts, "main", world.clock.now() + timedelta(days=400))
    assert plan.removed == 0
    assert "is cut off" in plan.brakes[0]


def test_a_policy_that_is_not_in_git_keeps_what_it_has() -> None:
    world = _ran()
    plan = _plan(world, Intent(retentions={}, frozen={}))
    assert (plan.removed, set(plan.held)) == (0, {"shop"})


def test_an_unknown_repository_is_refused_with_those_that_there_are() -> None:
    world = _ran(1)
    store = FakeManifestStore(world.remote)
    with pytest.raises(Refused, match="a Repository minor") as caught:
        read_facts(
            store, world.keyring, load_cluster_branch(store, CLUSTER), "minor", _intent(), {},
            cluster=CLUSTER,
        )  # fmt: skip
    assert caught.value.hint == "there are: main"


SHOP = """\
apiVersion: backstay.dev/v1alpha1
kind: BackupPolicy
metadata: {name: shop}
spec:
  selector: {namespaces: [shop]}
  schedule: "17 4 * * *"
  retention: {keepDaily: 7}
  volumes: {repository: main, copyMethod: Direct}
---
apiVersion: backstay.dev/v1alpha1
kind: Repository
metadata: {name: main}
spec:
  url: "s3:https://s3.example.org/backups/{cluster}/{namespace}"
  secretRef: {name: restic-main}
"""


def _files(text: str, *, path_found: bool = True, message: str | None = None) -> PolicyFiles:
    return PolicyFiles(
        revision="main@sha1:4",
        descends=Descends.YES,
        files={"policies.yaml": text.encode()},
        path_found=path_found,
        message=message,
    )


def test_what_git_says_of_retention_suspension_and_approval() -> None:
    world = RunWorld()
    digest = "0" * 31 + "f"
    found = read_intent(
        _files(SHOP, message=f"Shorten\n\nBackstay-Approve: {digest}\n"), world.config
    )
    assert found.retentions == {"shop": Retention(keep_daily=7)}
    assert not found.frozen
    assert found.approvals == {digest}
    suspended = SHOP.replace("spec:\n  selector", "spec:\n  suspend: true\n  selector")
    assert set(read_intent(_files(suspended), world.config).frozen) == {"shop"}
    broken = SHOP.replace("keepDaily: 7", "keepDaily: none")
    assert read_intent(_files(broken), world.config).retentions == {}


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="is not in main@sha1:4"):
        read_intent(_files("", path_found=False), RunWorld().config)
