"""Runs whose remote is away in the end: their commits wait in restic and are delivered in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from reconciler.capture import message, record
from reconciler.engine import bundling
from reconciler.engine.bundling import NotPushed, Waiting, waiting_in, waiting_of
from reconciler.engine.clusterbranch import ClusterBranch, load_cluster_branch
from reconciler.engine.context import cluster_branch
from reconciler.engine.delivering import Deliverer, Delivery
from reconciler.engine.patience import Patience
from reconciler.engine.run import RunResult, execute_run
from reconciler.engine.verifying import BranchWalk, Snapshots
from reconciler.engine.waiting import PolicyBundles, Unasked, find_bundles
from reconciler.model.doctor import Level
from reconciler.model.errors import PushRejected, Refused, Transient
from reconciler.model.run import Outcome
from reconciler.plan.verify import Verdict
from reconciler.ports import VolumeBackend
from tests.fakes.gitstore import FakeManifestStore
from tests.fakes.volumebackend import FakeVolumeBackend, Node
from tests.unit.engine.doctor_world import DoctorWorld
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, RunWorld, manifest

URL = f"s3:https://s3.example.org/backups/{CLUSTER}/_cluster"


class Away(FakeManifestStore):
    """A remote that is not there any more when the policy's branch is to be pushed."""

    def push(self, tips: Mapping[str, str]) -> None:
        """As the port says."""
        if BRANCH in tips:
            raise Transient("connection refused", hint="look at the server")
        super().push(tips)


def away(world: RunWorld, number: int, **changed: Any) -> RunResult:
    """A run that could fetch, and not push."""
    return execute_run(world.request(number), world.ports(store=Away(world.remote), **changed))


def vault(world: RunWorld) -> VolumeBackend:
    access = world.keyring.access(name="main", secret="restic-main", url=URL, namespace="_cluster")
    return FakeVolumeBackend(access, world.storage)


def _waiting(world: RunWorld) -> list[str]:
    return [one.run_id for one in waiting_in(vault(world), CLUSTER, "shop")]


def _deliver(
    world: RunWorld, waiting: tuple[Waiting, ...] | None = None, **changed: Any
) -> Delivery:
    store = changed.pop("store", None) or FakeManifestStore(world.remote)
    deliverer = Deliverer(
        store, vault(world), world.log, cluster=CLUSTER,
        uid=changed.pop("uid", world.cluster.identity().uid), policy="shop", now=world.clock.now,
        **changed,
    )  # fmt: skip
    patience = Patience(
        what="delivering", clock=world.clock, reporter=world.log, deadline=world.clock.now()
    )
    found = waiting if waiting is not None else waiting_in(vault(world), CLUSTER, "shop")
    return deliverer.deliver(found, check=lambda: None, patience=patience)


def _runs(world: RunWorld) -> list[str]:
    """Newest commit first."""
    return [
        message.parse_trailers(commit.message).get(message.RUN, "") for commit in world.commits()
    ]


def _change(world: RunWorld, value: str) -> None:
    world.cluster.put(manifest("ConfigMap", "settings", "shop") | {"data": {"a": value}})


def _verify(world: RunWorld) -> list[tuple[str, Verdict, tuple[str, ...]]]:
    walk = BranchWalk(
        FakeManifestStore(world.remote), CLUSTER, "shop", shallow=False, snapshots=Snapshots()
    )
    return [(one.name, one.verdict, one.problems) for one in walk.walk().checks]


def _is_proven(world: RunWorld) -> bool:
    return all(verdict is Verdict.PROVEN for _, verdict, _ in _verify(world))


def test_a_run_that_can_not_push_keeps_its_commit_and_says_where() -> None:
    world = RunWorld()
    first = world.run()
    late = away(world, 2)
    assert isinstance(late.error, NotPushed)
    assert late.error.exit_code == 3
    assert late.commit == ""
    assert world.remote.heads[BRANCH] == first.commit
    (snapshot,) = [
        found for found in world.repository("_cluster").snapshots
        if found.paths == (bundling.BUNDLE_PATH,)
    ]  # fmt: skip
    assert snapshot.tags == ("bundle", "policy:shop", f"run:{RUN_IDS[1]}")
    assert f"{URL}, snapshot {snapshot.id[:8]}" in late.error.message
    assert "connection refused" in late.error.message
    assert "backstay deliver shop" in late.error.hint
    assert _waiting(world) == [RUN_IDS[1]]
    assert world.mover.leftovers("shop") == ()


def test_the_next_run_delivers_it_first_and_goes_on_from_there() -> None:
    world = RunWorld()
    world.run()
    _change(world, "late")
    away(world, 2)
    _change(world, "now")
    third = world.run(3)
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]
    assert third.record.outcome is Outcome.COMPLETED
    assert third.record.warnings == ()
    late = world.commits()[1]
    assert b"late" in late.files["shop/configmap/settings.yaml"]
    assert record.parse_record(late.files["_run.yaml"]).name == RUN_IDS[1]
    assert message.parse_trailers(late.message)["Backstay-Delivered"]
    assert _waiting(world) == []
    assert _is_proven(world), _verify(world)


def test_what_is_late_goes_below_what_is_newer_in_one_push() -> None:
    world = RunWorld()
    world.run()
    _change(world, "late")
    away(world, 2)
    late = waiting_in(vault(world), CLUSTER, "shop")
    newer = _without_bundles(world, 3, "newer")
    world.remote.calls.clear()
    delivery = _deliver(world, late)
    assert delivery.delivered == (RUN_IDS[1],)
    assert [call for call in world.remote.calls if call.startswith("push")] == [f"push {BRANCH}"]
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[2], RUN_IDS[0]]
    tip, below, before, _ = world.commits()
    assert tip.files == before.files
    assert before.sha == newer.commit
    assert b"late" in below.files["shop/configmap/settings.yaml"]
    assert _is_proven(world), _verify(world)


@contextmanager
def unseen(world: RunWorld) -> Iterator[None]:
    """The storage does not tell which snapshots are bundles."""
    held = world.repository("_cluster")
    tags = {found.id: found.tags for found in held.snapshots if bundling.TAG in found.tags}
    held.snapshots = [
        replace(found, tags=()) if found.id in tags else found for found in held.snapshots
    ]
    yield
    held.snapshots = [
        replace(found, tags=tags.get(found.id, found.tags)) for found in held.snapshots
    ]


def _without_bundles(world: RunWorld, number: int, value: str) -> RunResult:
    """A run that does not see the bundles."""
    _change(world, value)
    with unseen(world):
        return world.run(number)


def test_several_go_in_the_order_of_their_runs() -> None:
    world = RunWorld()
    world.run()
    for number in (2, 4):
        _change(world, f"late {number}")
        # Both began on the same tip: neither knew of the other.
        with unseen(world):
            away(world, number)
    _without_bundles(world, 3, "between")
    assert _waiting(world) == [RUN_IDS[1], RUN_IDS[3]]
    assert _deliver(world).delivered == (RUN_IDS[1], RUN_IDS[3])
    assert _runs(world) == [RUN_IDS[3], RUN_IDS[2], RUN_IDS[1], RUN_IDS[2], RUN_IDS[0]]
    assert b"late 4" in world.tree()["shop/configmap/settings.yaml"]
    assert _is_proven(world), _verify(world)


def test_a_first_run_is_delivered_to_a_branch_that_is_not_there() -> None:
    world = RunWorld()
    away(world, 1)
    assert BRANCH not in world.remote.heads
    assert _deliver(world).delivered == (RUN_IDS[0],)
    assert _runs(world) == [RUN_IDS[0]]
    assert _is_proven(world), _verify(world)


def test_a_late_run_that_failed_brings_its_record_and_nothing_else() -> None:
    world = RunWorld()
    world.run()
    result = away(world, 2, keyring=_Keyless(world))
    assert result.record.outcome is Outcome.FAILED
    assert _waiting(world) == [RUN_IDS[1]]
    _without_bundles(world, 3, "newer")
    before = world.tree()
    _deliver(world)
    assert world.tree() == before
    tip, failed, _, _ = world.commits()
    assert {path for path in failed.files if failed.files[path] != tip.files[path]} == {"_run.yaml"}
    assert _is_proven(world), _verify(world)


class _Keyless:
    """Opens repositories, and has no key for fingerprints: such a run fails."""

    def __init__(self, world: RunWorld) -> None:
        self._inner = world.keyring

    def access(self, **names: str) -> Any:
        """As the port says."""
        return self._inner.access(**names)

    def backend(self, access: Any) -> Any:
        """As the port says."""
        return self._inner.backend(access)

    def fingerprint_key(self, *, secret: str, url: str) -> bytes:
        """Not to be had."""
        raise PushRejected(f"no key {secret} for {url}")


def test_delivering_again_changes_nothing() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    late = waiting_in(vault(world), CLUSTER, "shop")
    first = _deliver(world, late)
    tip = world.remote.heads[BRANCH]
    assert first.tip == tip
    # As if nobody had marked it: the branch itself says that it is there.
    assert _deliver(world, late) == replace(first, tip=tip)
    assert world.remote.heads[BRANCH] == tip


def test_two_who_deliver_at_once_put_it_there_once() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    late = waiting_in(vault(world), CLUSTER, "shop")

    class Late(FakeManifestStore):
        """The other one is quicker, right before this one's push."""

        def push(self, tips: Mapping[str, str]) -> None:
            if not others:
                others.append(_deliver(world, late))
            super().push(tips)

    others: list[Delivery] = []
    mine = _deliver(world, late, store=Late(world.remote))
    assert mine.delivered == others[0].delivered == (RUN_IDS[1],)
    assert mine.tip == world.remote.heads[BRANCH]
    assert _runs(world) == [RUN_IDS[1], RUN_IDS[0]]


def test_who_was_quicker_with_something_else_is_built_on() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    late = waiting_in(vault(world), CLUSTER, "shop")

    class Late(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            if not others:
                others.append(_without_bundles(world, 3, "newer"))
            super().push(tips)

    others: list[RunResult] = []
    _deliver(world, late, store=Late(world.remote))
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[2], RUN_IDS[0]]
    assert b"newer" in world.tree()["shop/configmap/settings.yaml"]


def _tamper(world: RunWorld, data: bytes) -> None:
    held = world.repository("_cluster")
    (bundle,) = [found for found in held.snapshots if found.paths == (bundling.BUNDLE_PATH,)]
    held.trees[bundle.id] = {"run.bundle": Node("file", 0o644, data)}


def test_a_damaged_bundle_waits_is_told_and_in_nobodys_way() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    _tamper(world, b"rubbish")
    third = world.run(3)
    assert third.record.outcome is Outcome.COMPLETED
    (told,) = third.record.warnings
    assert told.startswith(f"run {RUN_IDS[1]} waits as a bundle and can't be delivered: ")
    assert "no Git bundle" in told
    assert _waiting(world) == [RUN_IDS[1]]
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[0]]


def test_a_bundle_of_another_cluster_is_not_delivered() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    found = _deliver(world, uid="another")
    assert found.delivered == ()
    assert found.kept[RUN_IDS[1]].startswith(f"it is of cluster {CLUSTER} with uid")
    assert _waiting(world) == [RUN_IDS[1]]


def test_a_bundle_under_another_runs_name_is_not_delivered() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    (one,) = waiting_in(vault(world), CLUSTER, "shop")
    found = _deliver(world, (replace(one, run_id=RUN_IDS[3]),))
    assert found.kept == {RUN_IDS[3]: f"it holds run {RUN_IDS[1]} of policy shop"}


def test_a_bundle_whose_parent_is_gone_for_good_is_not_delivered() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    del world.remote.heads[BRANCH]
    world.remote.commits = {
        sha: world.remote.commits[sha]
        for head in world.remote.heads.values()
        for sha in [one.sha for one in world.remote.history(head)]
    }
    found = _deliver(world)
    assert "does not have any more" in found.kept[RUN_IDS[1]]
    assert _waiting(world) == [RUN_IDS[1]]


def test_a_mark_that_can_not_be_set_is_set_the_next_time() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    late = waiting_in(vault(world), CLUSTER, "shop")

    class Then(FakeManifestStore):
        def push(self, tips: Mapping[str, str]) -> None:
            super().push(tips)
            world.storage.failure = Transient("the storage is away")

    _deliver(world, late, store=Then(world.remote))
    world.storage.failure = None
    assert _waiting(world) == [RUN_IDS[1]]
    third = world.run(3)
    assert third.record.warnings == ()
    assert _waiting(world) == []
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]


def test_a_remote_that_is_away_again_leaves_all_as_it_is() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    before = world.remote.heads[BRANCH]
    with pytest.raises(Transient):
        _deliver(world, store=Away(world.remote))
    assert world.remote.heads[BRANCH] == before
    late = away(world, 3)
    assert isinstance(late.error, NotPushed), "the run goes on"
    assert _waiting(world) == [RUN_IDS[1], RUN_IDS[2]]
    assert any("could not be delivered" in told for told in late.record.warnings)
    fourth = world.run(4)
    assert fourth.record.outcome is Outcome.COMPLETED
    assert _runs(world) == [RUN_IDS[3], RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]
    assert _is_proven(world), _verify(world)


def test_a_pod_killed_after_its_bundle_is_recorded_by_its_successor() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    again = world.run(2, pod="run-2-b")
    assert again.commit == world.remote.heads[BRANCH]
    assert _runs(world) == [RUN_IDS[1], RUN_IDS[0]]
    world.run(3)
    assert _waiting(world) == []
    assert _runs(world) == [RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]


def test_only_what_a_run_stored_counts_as_a_bundle() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    backend = vault(world)
    host = f"{CLUSTER}/_cluster"
    backend.backup_stream(iter([b"x"]), host=host, path="/x", tags=("bundle", "policy:shop"))
    odd = ("bundle", "policy:shop", "run:blog-20261121-041703-00001")
    backend.backup_stream(iter([b"x"]), host=host, path=bundling.BUNDLE_PATH, tags=odd)
    backend.backup_stream(iter([b"x"]), host=host, path=bundling.BUNDLE_PATH, tags=("bundle",))
    assert _waiting(world) == [RUN_IDS[1]]
    (one,) = waiting_of(backend.snapshots())
    assert one.started == datetime.fromisoformat("2026-11-21T02:17:03+00:00")


def test_the_plan_of_a_delivery_says_what_waits_where() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    store = FakeManifestStore(world.remote)
    branch = load_cluster_branch(store, CLUSTER)
    (found,) = find_bundles(world.keyring, branch, CLUSTER)
    assert isinstance(found, PolicyBundles)
    assert (found.policy, found.url) == ("shop", URL)
    assert [one.run_id for one in found.waiting] == [RUN_IDS[1]]
    assert list(find_bundles(world.keyring, branch, CLUSTER, "blog")) == []
    empty = ClusterBranch(None, None, ())
    with pytest.raises(Refused, match="ever made a repository"):
        list(find_bundles(world.keyring, empty, CLUSTER))


def test_a_repository_that_can_not_be_asked_hides_no_other() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    branch = load_cluster_branch(FakeManifestStore(world.remote), CLUSTER)
    (entry,) = [one for one in branch.entries if one.namespace == "_cluster"]
    moved = replace(entry, repository="old", url="s3:https://old.example.org/b", secret="gone")
    both = replace(branch, entries=(moved, entry))
    unasked, found = find_bundles(world.keyring, both, CLUSTER)
    assert isinstance(unasked, Unasked)
    assert (unasked.url, unasked.error.message) == (
        "s3:https://old.example.org/b",
        "Secret backstay-system/gone does not exist",
    )
    assert isinstance(found, PolicyBundles)
    assert [one.run_id for one in found.waiting] == [RUN_IDS[1]]


def test_doctor_lists_what_waits_and_not_what_was_delivered() -> None:
    world = DoctorWorld()
    execute_run(world.request(2), world.ports(store=Away(world.remote)))
    (found,) = [one for one in world.doctor().findings if one.id == "leftovers/bundles"]
    assert found.level is Level.WARNING
    assert RUN_IDS[1] in found.message
    assert "backstay deliver shop" in found.hint
    assert "restic forget " in found.hint
    orphans = [one for one in world.doctor().findings if one.id == "leftovers/snapshots"]
    assert [one.level for one in orphans] == [Level.OK]
    world.run(3)
    (found,) = [one for one in world.doctor().findings if one.id == "leftovers/bundles"]
    assert (found.level, found.message) == (Level.OK, "none")


def test_nothing_of_a_bundle_is_on_the_clusters_branch() -> None:
    world = RunWorld()
    world.run()
    tip = world.remote.heads[cluster_branch(CLUSTER)]
    away(world, 2)
    world.run(3)
    assert world.remote.heads[cluster_branch(CLUSTER)] == tip
