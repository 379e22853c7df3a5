"""Readers honour what maintenance wrote down: what expired is told, and no time means it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.capture import retained
from reconciler.capture.retained import HeldRun
from reconciler.engine.expiries import Expiries
from reconciler.engine.history import read_points
from reconciler.engine.verifying import BranchWalk, Snapshots, check_snapshots
from reconciler.model.errors import Refused
from reconciler.model.store import Write
from reconciler.plan.expiry import Promise
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.plan.verify import Check, Verdict
from reconciler.report.history import log_document, render_log, render_run
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, HOME, RUN_IDS, RunWorld
from tests.unit.engine.test_maintain_killed import FILE, Killed, Life, maintain, ran


def points(world: RunWorld) -> tuple[RecoveryPoint, ...]:
    store = FakeManifestStore(world.remote)
    return read_points(store, BRANCH, Expiries(store, CLUSTER))


def promises(world: RunWorld) -> list[Promise]:
    """Newest first."""
    return [point.promise() for point in points(world)]


def write(world: RunWorld, text: bytes, path: str = FILE) -> None:
    store = FakeManifestStore(world.remote)
    home = world.remote.heads[HOME]
    sha = store.commit(HOME, home, [Write(path, text)], "Mine\n", when=world.clock.now())
    store.push({HOME: sha})


def kept(world: RunWorld, **changed: object) -> None:
    """Maintenance, and then something else in what it wrote."""
    maintain(world)
    found = retained.parse_retained(world.tree(HOME)[FILE], where=FILE)
    write(world, retained.render_retained(replace(found, **changed)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expired() -> RunWorld:
    """Three runs of which only the newest is held."""
    world = ran()
    maintain(world)
    return world


def test_without_maintenance_all_is_held() -> None:
    world = ran()
    assert promises(world) == [Promise.HELD] * 3
    assert all(point.expiry is None for point in points(world))


def test_what_is_not_held_has_expired_and_what_came_later_is_held(expired: RunWorld) -> None:
    assert promises(expired) == [Promise.HELD, Promise.EXPIRED, Promise.EXPIRED]
    world = ran()
    maintain(world)
    world.run(4)
    assert promises(world) == [Promise.HELD, Promise.HELD, Promise.EXPIRED, Promise.EXPIRED]


def test_log_and_show_tell_it(expired: RunWorld) -> None:
    found = points(expired)
    lines = render_log(found).splitlines()
    assert ["expired" in line for line in lines] == [False, False, True, True]
    assert "Completed, expired" in lines[2]
    runs = log_document("shop", found)["runs"]
    assert [run.get("promise") for run in runs] == [None, "expired", "expired"]
    text = render_run(expired.record(), "c" * 40, {"shop": Promise.EXPIRED})
    assert "Data     of shop: expired; Git has its manifests\n" in text


def test_after_a_purge_nobody_knows_what_was_below() -> None:
    world = ran()
    kept(world, tip="f" * 40)
    assert promises(world) == [Promise.HELD, Promise.PERHAPS, Promise.PERHAPS]


def test_a_namespace_of_a_run_may_expire_alone() -> None:
    world = ran()
    kept(world, held=(HeldRun(RUN_IDS[2], ("shop",)), HeldRun(RUN_IDS[1], ("other",))))
    found = points(world)
    assert [point.promise(["shop"]) for point in found] == [
        *(Promise.HELD, Promise.EXPIRED, Promise.EXPIRED)
    ]
    assert found[1].promise() is Promise.HELD
    assert found[1].promise(["shop", "other"]) is Promise.EXPIRED
    world.lose_shop()
    with pytest.raises(Refused, match="has expired for shop, and 1 snapshots"):
        world.restore(RUN_IDS[1]).plan()


@pytest.mark.parametrize(
    ("text", "path"), [(b"{", FILE), (b"", FILE), (None, "_retained/other.yaml")]
)
def test_what_cannot_be_read_expires_nothing_and_is_told(text: bytes | None, path: str) -> None:
    world = ran()
    maintain(world)
    write(world, world.tree(HOME)[FILE] if text is None else text, path)
    store = FakeManifestStore(world.remote)
    expiries = Expiries(store, CLUSTER)
    found = read_points(store, BRANCH, expiries)
    assert len(expiries.doubts) == 1
    wanted = Promise.HELD if text is not None else Promise.EXPIRED
    assert found[2].promise() is wanted


def test_a_policy_without_a_file_expires_nothing(expired: RunWorld) -> None:
    store = FakeManifestStore(expired.remote)
    assert Expiries(store, CLUSTER).of("crm", [("a", "b")]) is None


# A restore


def test_no_time_means_what_expired() -> None:
    world = ran()
    store = FakeManifestStore(world.remote)
    middle = read_points(store, BRANCH)[1]
    maintain(world)
    world.lose_shop()
    plan = world.restore().plan()
    assert (plan.run_id, plan.notes) == (RUN_IDS[2], ())
    at = f"{middle.started:%Y-%m-%d}T23:00:00Z"
    with pytest.raises(Refused, match=r"no recovery point.*; 2 recovery points have expired"):
        world.restore("2026-11-21T02:00:00Z").plan()
    assert world.restore(at).plan().run_id == RUN_IDS[2]


def test_the_one_before_is_taken_and_that_is_told() -> None:
    world = ran()
    # The older one is held, as a monthly would be.
    kept(world, held=(HeldRun(RUN_IDS[0], ("shop",)),))
    plan = world.restore().plan()
    assert plan.run_id == RUN_IDS[0]
    assert plan.notes[0] == (
        f"run {RUN_IDS[2]}, which latest means, has expired: this is the one before it of which"
        " all is held"
    )


def test_one_that_is_named_and_gone_is_refused_before_anything() -> None:
    world = ran()
    maintain(world)
    world.lose_shop()
    before = len(world.deeds())
    with pytest.raises(Refused, match=r"expired for shop, and 2 snapshots.*are gone; nothing was"):
        world.restore(RUN_IDS[0]).plan()
    assert len(world.deeds()) == before


def test_one_that_is_named_and_still_there_is_restored_with_a_note() -> None:
    world = ran()
    with pytest.raises(Killed):
        maintain(world, Life(1))
    world.lose_shop()
    restore = world.restore(RUN_IDS[0])
    plan = restore.plan()
    told = f"run {RUN_IDS[0]} has expired for shop; its data is still there"
    assert plan.notes[0].startswith(told)
    assert restore.execute(plan).filled == 1


def test_after_a_purge_a_time_still_means_what_perhaps_expired() -> None:
    world = ran()
    with pytest.raises(Killed):
        maintain(world, Life(1))
    found = retained.parse_retained(world.tree(HOME)[FILE], where=FILE)
    write(world, retained.render_retained(replace(found, tip="f" * 40, held=())))
    plan = world.restore().plan()
    assert plan.run_id == RUN_IDS[2]
    assert "has perhaps expired for shop; its data is still there" in plan.notes[0]


def test_what_nobody_vouches_for_hides_no_point(expired: RunWorld) -> None:
    home = expired.remote.heads[HOME]

    def vouch(commit: str) -> None:
        if commit == home:
            raise Refused(f"commit {commit} is not signed")

    plan = expired.restore("2026-11-21T02:00:00Z", vouch=vouch)
    with pytest.raises(Refused) as caught:
        plan.plan()
    assert "expired" not in caught.value.message


# What is proven


def check(world: RunWorld, namespace: str = "shop") -> Check:
    """Of the snapshots of one restic repository."""
    store, snapshots = FakeManifestStore(world.remote), Snapshots()
    promises = Expiries(store, CLUSTER)
    BranchWalk(store, CLUSTER, "shop", shallow=False, snapshots=snapshots, promises=promises).walk()
    checks = check_snapshots(world.keyring, snapshots)
    return next(one for one in checks if one.name.endswith(namespace))


@pytest.mark.parametrize("namespace", ["shop", "_cluster"])
def test_what_expired_need_not_be_there(expired: RunWorld, namespace: str) -> None:
    found = check(expired, namespace)
    told = "1 that records name are there; 2 more have expired"
    assert (found.verdict, found.message) == (Verdict.PROVEN, told)


def test_what_is_held_must_be_there() -> None:
    world = ran()
    maintain(world)
    world.repository("shop").snapshots.clear()
    found = check(world)
    assert (found.verdict, len(found.problems)) == (Verdict.PROBLEM, 1)
    assert RUN_IDS[2] in found.problems[0]


def test_what_perhaps_expired_proves_nothing() -> None:
    world = ran()
    kept(world, tip="f" * 40)
    found = check(world)
    assert (found.verdict, len(found.problems)) == (Verdict.UNPROVEN, 2)
