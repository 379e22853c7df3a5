"""Bundles that hold what no run writes: set aside, told, kept; the later ones are delivered."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.engine import bundling
from reconciler.engine.bundling import waiting_in
from reconciler.model.errors import OverFetched
from reconciler.model.store import Write
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, RunWorld
from tests.unit.engine.test_bundles import _change as change
from tests.unit.engine.test_bundles import _deliver as deliver
from tests.unit.engine.test_bundles import _is_proven as is_proven
from tests.unit.engine.test_bundles import _runs as runs
from tests.unit.engine.test_bundles import _verify as verified
from tests.unit.engine.test_bundles import _waiting as still_waiting
from tests.unit.engine.test_bundles import away, vault


def _bundled(world: RunWorld, run_id: str, store: FakeManifestStore | None = None) -> str:
    """The commit that a bundle holds; ``store`` takes it over."""
    store = store or FakeManifestStore(world.remote)
    (one,) = [one for one in waiting_in(vault(world), CLUSTER, "shop") if one.run_id == run_id]
    return store.unbundle(vault(world).read_file(one.snapshot, bundling.BUNDLE_PATH))


def test_a_bundle_that_is_too_large_is_set_aside_and_those_after_it_are_delivered() -> None:
    world = RunWorld()
    world.run()
    for number in (2, 3, 4):
        change(world, str(number))
        away(world, number)
    large = _bundled(world, RUN_IDS[2])
    world.remote.oversized[large] = "has more than 1 MiB"
    found = deliver(world)
    assert found.delivered == (RUN_IDS[1], RUN_IDS[3])
    assert found.kept == {RUN_IDS[2]: f"commit {large} has more than 1 MiB"}
    assert runs(world) == [RUN_IDS[3], RUN_IDS[1], RUN_IDS[0]]
    assert b'a: "4"' in world.tree()["shop/configmap/settings.yaml"]
    assert still_waiting(world) == [RUN_IDS[2]], "kept in restic, and asked for again"
    assert is_proven(world), verified(world)
    fifth = world.run(5)
    (told,) = fifth.record.warnings
    assert told.startswith(f"run {RUN_IDS[2]} waits as a bundle and can't be delivered: commit")
    assert runs(world)[0] == RUN_IDS[4]


@pytest.mark.parametrize("newer", [False, True])
def test_with_nothing_but_too_large_bundles_nothing_is_pushed(newer: bool) -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    world.remote.oversized[_bundled(world, RUN_IDS[1])] = "has more than 1 MiB"
    if newer:
        world.run(3)
    before = dict(world.remote.heads)
    found = deliver(world)
    assert (found.delivered, list(found.kept)) == ((), [RUN_IDS[1]])
    assert (found.tip, world.remote.heads) == (before[BRANCH], before)
    del world.remote.heads[BRANCH]
    assert deliver(world).tip is None


def test_a_large_file_of_a_bundle_counts_where_it_must_be_read() -> None:
    world = RunWorld()
    world.run()
    change(world, "large")
    away(world, 2)
    store = FakeManifestStore(world.remote)
    sha = store.tree(_bundled(world, RUN_IDS[1], store))["shop/configmap/settings.yaml"]
    world.remote.oversized[sha] = "has 68157440 bytes"
    readme = [Write("README.md", b"by hand")]
    tip = store.commit(BRANCH, store.tip(BRANCH), readme, "README", when=world.clock.now())
    store.push({BRANCH: tip})
    assert deliver(world).kept == {RUN_IDS[1]: f"the file {sha} has 68157440 bytes"}
    world.remote.oversized.clear()
    assert deliver(world).delivered == (RUN_IDS[1],)


class _Greedy(FakeManifestStore):
    """The server sends too much where the tip's own files are asked for."""

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]:
        """Fails for the tip."""
        if commit == self.remote.heads[BRANCH]:
            raise OverFetched("the server sends more than 2048 MiB at once")
        return super().tree(commit, prefix)


def test_what_the_server_sends_is_no_bundles_fault() -> None:
    world = RunWorld()
    world.run()
    away(world, 2)
    readme = [Write("README.md", b"by hand")]
    store = _Greedy(world.remote)
    tip = store.commit(BRANCH, store.tip(BRANCH), readme, "README", when=world.clock.now())
    store.push({BRANCH: tip})
    with pytest.raises(OverFetched):
        deliver(world, store=store)
    assert deliver(world).delivered == (RUN_IDS[1],)


def test_bundles_of_one_delivery_have_a_bound_together() -> None:
    world = RunWorld()
    world.run()
    for number in (2, 3, 4):
        change(world, str(number))
        away(world, number)
    sizes = [
        len(b"".join(vault(world).read_file(one.snapshot, bundling.BUNDLE_PATH)))
        for one in waiting_in(vault(world), CLUSTER, "shop")
    ]
    found = deliver(world, room=sizes[0] + sizes[1] - 1)
    why = "there is no room for it beside the bundles before it"
    assert found.delivered[0] == RUN_IDS[1]
    assert set(found.kept.values()) == {why}
    assert set(still_waiting(world)) == set(found.kept)
    second = deliver(world, room=sizes[0] + sizes[1] - 1)
    assert second.delivered
    third = deliver(world)
    assert not third.kept
    assert runs(world) == [RUN_IDS[3], RUN_IDS[2], RUN_IDS[1], RUN_IDS[0]]
    assert is_proven(world), verified(world)


def test_a_refused_bundle_counts_and_one_without_room_does_not() -> None:
    world = RunWorld()
    world.run()
    for number in (2, 3):
        change(world, "x" * 100 * number)
        away(world, number)
    first, second = (
        len(b"".join(vault(world).read_file(one.snapshot, bundling.BUNDLE_PATH)))
        for one in waiting_in(vault(world), CLUSTER, "shop")
    )
    assert first < second
    refused = deliver(world, uid="another", room=second)
    assert "it is of cluster" in refused.kept[RUN_IDS[1]]
    assert "no room" in refused.kept[RUN_IDS[2]]
    assert deliver(world, room=first - 1).delivered == ()
    assert deliver(world, room=first).delivered == (RUN_IDS[1],)
