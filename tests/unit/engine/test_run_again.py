"""A run that was killed, and is started again with the same id; runs that meet each other."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.capture import message
from reconciler.engine.bundling import NotPushed
from reconciler.engine.clusterbranch import adopt_cluster
from reconciler.engine.run import execute_run
from reconciler.model.errors import (
    ForeignCluster,
    Interrupted,
    PushRejected,
    Transient,
)
from reconciler.model.naming import lease_name
from reconciler.model.run import Outcome
from tests.fakes.cluster import FakeCluster
from tests.fakes.faults import FaultyReader
from tests.fakes.gitstore import FakeManifestStore, FakeRemote
from tests.unit.engine.crashing import CrashingMover, holder, kill
from tests.unit.engine.run_world import (
    BRANCH,
    HOME,
    RUN_IDS,
    SYSTEM,
    Crash,
    RunWorld,
    manifest,
    put_shop,
)

LEASE = lease_name("shop")


class CrashingStore(FakeManifestStore):
    """The process dies at a push to the policy's branch: before it, or right after it."""

    def __init__(self, remote: FakeRemote, *, pushed: bool) -> None:
        super().__init__(remote)
        self._pushed = pushed

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says, for other branches."""
        if BRANCH not in tips:
            super().push(tips)
            return
        if self._pushed:
            super().push(tips)
        raise Crash


def run_names(world: RunWorld) -> list[str]:
    """The runs on the branch, newest first."""
    return [message.parse_trailers(commit.message)[message.RUN] for commit in world.commits()]


def test_i11_killed_before_the_movers() -> None:
    world = RunWorld()
    kill(world, mover=CrashingMover(world.mover, 0))
    assert BRANCH not in world.remote.heads
    result = world.run(pod="run-1-b")
    assert result.record.outcome is Outcome.COMPLETED
    assert run_names(world) == [RUN_IDS[0]]
    assert world.mover.begun["shop", "files"] == 1


def test_i11_killed_between_the_movers_copies_nothing_twice() -> None:
    world = RunWorld()
    world.cluster.put(manifest("PersistentVolumeClaim", "more", status={"phase": "Bound"}))
    kill(world, mover=CrashingMover(world.mover, 3))
    result = world.run(pod="run-1-b")
    assert result.record.outcome is Outcome.COMPLETED
    assert set(world.mover.begun.values()) == {1}
    assert len(world.repository("shop").snapshots) == 2
    assert sorted(world.mover.cleaned) == [("shop", "files"), ("shop", "more")]


def test_i11_killed_before_the_push_leaves_no_recovery_point_and_no_second_copy() -> None:
    world = RunWorld()
    kill(world, store=CrashingStore(world.remote, pushed=False))
    assert BRANCH not in world.remote.heads
    result = world.run(pod="run-1-b")
    assert result.record.outcome is Outcome.COMPLETED
    assert run_names(world) == [RUN_IDS[0]]
    assert len(world.repository("shop").snapshots) == 1
    assert len(world.repository("_cluster").snapshots) == 1, "Secrets are adopted too"
    assert len(world.log.of("Secrets are stored already")) == 1


def test_i11_secrets_that_changed_meanwhile_are_stored_anew() -> None:
    world = RunWorld()
    kill(world, store=CrashingStore(world.remote, pushed=False))
    world.cluster.edit(manifest("Secret", "db"), lambda raw: raw["data"].update(more="bW9yZQ=="))
    record = world.run(pod="run-1-b").record
    first, second = world.repository("_cluster").snapshots
    assert record.secrets is not None
    assert record.secrets.snapshot == second.id != first.id


def test_i11_killed_after_the_push_writes_no_second_record() -> None:
    world = RunWorld()
    kill(world, store=CrashingStore(world.remote, pushed=True))
    before = world.remote.heads[BRANCH]
    assert not world.mover.cleaned
    result = world.run(pod="run-1-b")
    assert result.commit == before == world.remote.heads[BRANCH]
    assert result.record == world.record()
    assert world.mover.cleaned == [("shop", "files")]
    assert world.mover.begun["shop", "files"] == 1


def test_i11_killed_after_the_push_and_overtaken_writes_no_second_record() -> None:
    world = RunWorld()
    kill(world, 1, store=CrashingStore(world.remote, pushed=True))
    world.run(2)
    tip = world.remote.heads[BRANCH]
    # The first run's Job is older than what is on top now, and its record is below it.
    result = world.run(1, pod="run-1-b")
    assert result.record.name == RUN_IDS[0]
    assert world.remote.heads[BRANCH] == tip
    assert run_names(world) == [RUN_IDS[1], RUN_IDS[0]]


def test_a_push_whose_answer_was_lost_is_not_repeated_on_top_of_others() -> None:
    world = RunWorld()

    class Deaf(FakeManifestStore):
        """The push arrives, its answer does not, and somebody else pushes meanwhile."""

        def push(self, tips: Mapping[str, str]) -> None:
            super().push(tips)
            if BRANCH in tips and not world.log.of("trying again"):
                commit = self.begin(BRANCH, tips[BRANCH])
                commit.write("README.md", b"by hand\n")
                super().push({BRANCH: commit.finish("By hand\n", when=world.clock.now())})
                raise Transient("the connection was lost")

    result = world.run(store=Deaf(world.remote))
    assert [bool(message.parse_trailers(c.message)) for c in world.commits()] == [False, True]
    assert result.commit == world.commits()[1].sha
    assert result.record.outcome is Outcome.COMPLETED


def test_a_concurrent_commit_is_kept_below() -> None:
    world = RunWorld()
    world.run()
    other = FakeManifestStore(world.remote)
    parent = other.tip(BRANCH)
    moved = other.begin(BRANCH, parent).finish("By hand\n", when=world.clock.now())
    world.remote.commits[moved] = other._find(moved)
    world.remote.before_push.append((BRANCH, moved))
    world.cluster.put(manifest("ConfigMap", "new"))
    store = FakeManifestStore(world.remote)
    result = world.run(2, store=store)
    assert [commit.sha for commit in world.commits()][1:] == [moved, parent]
    assert result.commit == world.remote.heads[BRANCH]
    assert "shop/configmap/new.yaml" in world.tree()
    assert len(world.log.of("push rejected, committing on top")) == 1


def test_a_failed_record_on_top_of_a_concurrent_commit_keeps_its_tree() -> None:
    world = RunWorld()
    world.run()
    other = FakeManifestStore(world.remote)
    newer = other.begin(BRANCH, other.tip(BRANCH))
    newer.write("shop/configmap/new.yaml", b"kind: ConfigMap\n")
    moved = newer.finish("By hand\n", when=world.clock.now())
    world.remote.commits[moved] = other._find(moved)
    world.remote.before_push.append((BRANCH, moved))
    world.storage.failure = Transient("storage away")
    assert world.run(2).record.outcome is Outcome.FAILED
    assert "shop/configmap/new.yaml" in world.tree()
    assert world.changed_paths() == {"_run.yaml"}


def test_endless_rejections_end() -> None:
    world = RunWorld()
    world.run()
    world.remote.failures = []

    class Busy(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            raise PushRejected(f"moved again: {', '.join(tips)}")

    with pytest.raises(PushRejected):
        world.run(2, store=Busy(world.remote))
    assert len(world.log.of("push rejected, committing on top")) < 30


def test_a_remote_that_is_away_is_waited_for() -> None:
    world = RunWorld()
    world.remote.failures = [Transient("connection refused") for _ in range(5)]
    assert world.run().record.outcome is Outcome.COMPLETED
    assert world.clock.slept > 15


def test_a_remote_that_goes_away_after_a_rejection_is_waited_for() -> None:
    world = RunWorld()
    world.run()
    other = FakeManifestStore(world.remote)
    moved = other.begin(BRANCH, other.tip(BRANCH)).finish("By hand\n", when=world.clock.now())
    world.remote.commits[moved] = other._find(moved)

    class Flaky(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            if BRANCH in tips and self.remote.before_push:
                self.remote.failures = []
                try:
                    super().push(tips)
                finally:
                    self.remote.failures = [Transient("connection refused")] * 2
                return
            super().push(tips)

    world.remote.before_push.append((BRANCH, moved))
    result = world.run(2, store=Flaky(world.remote))
    assert result.commit == world.remote.heads[BRANCH]
    assert len(world.log.of("trying again")) == 2


def test_a_remote_that_stays_away_ends_the_run_at_its_deadline() -> None:
    world = RunWorld()
    world.run()

    class Away(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            world.storage.failure = Transient("and so is the storage")
            raise Transient(f"connection refused: {', '.join(tips)}", hint="look at the server")

    begin = world.clock.now()
    with pytest.raises(Transient, match="connection refused") as caught:
        world.run(2, store=Away(world.remote))
    assert f"run {RUN_IDS[1]} is not on its branch" in caught.value.message
    assert "look at the server; its snapshots are named above" in caught.value.hint
    world.storage.failure = None
    (volume,) = world.log.of("volume stored and not recorded")
    assert volume["snapshot"] == world.repository("shop").snapshots[-1].id
    assert (volume["namespace"], volume["claim"]) == ("shop", "files")
    (secrets,) = world.log.of("Secrets stored and not recorded")
    assert secrets["snapshot"] == world.repository("_cluster").snapshots[-1].id
    assert 600 < (world.clock.now() - begin).total_seconds() < 1200
    assert world.mover.leftovers("shop") == (), "no mover and no key stays behind"
    assert holder(world) == ""
    (told,) = world.run(3).record.warnings
    assert told.startswith(f"run {RUN_IDS[1]} is not on the branch")


def test_a_short_job_gives_up_before_its_end() -> None:
    world = RunWorld()
    world.remote.failures = []
    started = world.clock.now()

    class Away(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            if BRANCH in tips:
                raise Transient("connection refused")
            super().push(tips)

    deadline = started + timedelta(seconds=30)
    request = replace(world.request(), started=started, deadline=deadline)
    result = execute_run(request, world.ports(store=Away(world.remote)))
    assert isinstance(result.error, NotPushed)
    assert world.clock.now() - started < timedelta(seconds=60)


def test_a_run_that_is_to_stop_while_the_remote_is_away_stops() -> None:
    world = RunWorld()
    world.remote.failures = [Transient("connection refused") for _ in range(500)]
    with pytest.raises(Interrupted) as caught:
        execute_run(world.request(), world.ports(), stopped=lambda: world.clock.slept > 10)
    assert caught.value.exit_code == 130
    assert world.clock.slept < 13


def test_a_run_that_is_stopped_leaves_its_movers_to_its_successor() -> None:
    world = RunWorld()
    world.mover._looks = 5
    stop = threading.Event()
    world.clock.on_sleep = stop.set
    with pytest.raises(Interrupted):
        execute_run(world.request(), world.ports(), stopped=stop.is_set)
    assert holder(world) == f"{RUN_IDS[0]}/run-1-a", "if none comes, the next run tells of it"
    assert BRANCH not in world.remote.heads
    assert world.mover.cleaned == []
    assert world.run(pod="run-1-b").record.outcome is Outcome.COMPLETED
    assert world.mover.begun["shop", "files"] == 1


def test_a_capture_that_fails_ends_the_movers_and_its_threads() -> None:
    world = RunWorld()
    world.mover._looks = 10_000
    reader = FaultyReader(world.cluster, lambda *_: False)

    def broken(*_: Any, **__: Any) -> Any:
        assert world.mover.any_begun.wait(30)
        raise Transient("HTTP 503", hint="look at the API server")

    reader.discover = broken  # type: ignore[method-assign]
    result = world.run(reader=reader)
    assert result.record.outcome is Outcome.FAILED
    assert isinstance(result.error, Transient)
    assert world.mover.begun["shop", "files"] == 1
    assert world.mover.leftovers("shop") == ()
    assert {thread.name for thread in threading.enumerate()} & {
        "movers",
        "lease",
        "listing",
    } == set()


def test_a_foreign_cluster_writes_nothing_until_it_is_adopted() -> None:
    world = RunWorld()
    world.run()
    before = dict(world.remote.heads)
    other = FakeCluster(uid="ffffffff-0000-4000-8000-000000000002", now=world.clock.now)
    other.put(manifest("Namespace", SYSTEM, ""))
    put_shop(other)
    with pytest.raises(ForeignCluster, match="nothing was written") as caught:
        world.run(2, reader=other, writer=other)
    assert caught.value.exit_code == 4
    assert "backstay adopt" in caught.value.hint
    assert world.remote.heads == before
    assert len(world.repository("shop").snapshots) == 1
    store = FakeManifestStore(world.remote)
    adopt_cluster(store, "prod-eu", other.identity(), now=world.clock.now(), by="jane")
    assert world.run(2, reader=other, writer=other).record.cluster.uid == other.identity().uid
    assert "jane" in world.tree(HOME)["_cluster.yaml"].decode()
    with pytest.raises(ForeignCluster):
        world.run(3)


def test_branches_without_a_marker_are_foreign() -> None:
    world = RunWorld()
    world.run()
    del world.remote.heads[HOME]
    with pytest.raises(ForeignCluster, match="is missing"):
        world.run(2)


def test_another_policys_first_run_beside_ours_is_not_foreign() -> None:
    world = RunWorld()
    world.run()
    home = world.remote.heads.pop(HOME)
    policy = world.remote.heads.pop(BRANCH)

    class Racing(FakeManifestStore):
        """Between the look for the marker and the look for branches, the other run begins."""

        def branches(self, prefix: str) -> Mapping[str, str]:
            self.remote.heads |= {HOME: home, BRANCH.replace("shop", "blog"): policy}
            return super().branches(prefix)

    assert world.run(store=Racing(world.remote)).record.outcome is Outcome.COMPLETED


def test_the_runs_of_two_policies_may_set_up_the_cluster_at_once() -> None:
    world = RunWorld()
    twin = RunWorld(remote=FakeRemote(), clock=world.clock)
    twin.run()
    moved = twin.remote.heads[HOME]
    world.remote.commits |= twin.remote.commits
    world.remote.before_push.append((HOME, moved))
    assert world.run().record.outcome is Outcome.COMPLETED
    assert [commit.sha for commit in world.commits(HOME)][-1] == moved


def test_a_run_that_died_before_it_did_anything_is_named_a_day_later() -> None:
    world = RunWorld()
    kill(world, mover=CrashingMover(world.mover, 0))
    world.storage.repositories.clear()
    world.remote.heads.pop(HOME, None)
    world.clock.advance(24 * 3600)
    record = world.run(2).record
    assert len(world.log.of("taking over the lease of a dead run")) == 1
    (told,) = record.warnings
    assert told.startswith(f"run {RUN_IDS[0]} is not on the branch")
    assert world.run(3).record.warnings == ()
