"""Many runs wait as bundles: one push, few fetches, few processes; whatever their number."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.capture import message
from reconciler.engine import bundling
from reconciler.engine.delivering import Deliverer
from reconciler.engine.patience import Patience
from reconciler.model.store import FileChange, Write
from tests.fakes.volumebackend import FakeVolumeBackend
from tests.integration.git.conftest import Executed, MakeStore
from tests.integration.git.late_runs import HOST, later, put_run, vault_access
from tests.unit.engine.run_world import BRANCH, CLUSTER, RunWorld

OBJECTS = 2_000
RUNS = 12
FOLDERS = 50
PER_BUNDLE = 8
"""Processes: take it over, read its record, list its files, compare trees, make its commit."""
ONCE = 30
"""Processes whatever the number of bundles."""
LONG = 280.0


def _everything() -> Iterator[FileChange]:
    for found in range(OBJECTS):
        yield Write(f"ns-{found % FOLDERS}/configmap/o-{found}.yaml", b"data: '%d'\n" % found)


def _ten(number: int) -> Iterator[FileChange]:
    """Ten objects change with each run."""
    for found in range(10):
        yield Write(f"ns-{found}/configmap/o-{found}.yaml", b"data: '%d/%d'\n" % (number, found))


def test_many_bundles_are_one_push_and_a_few_fetches(
    make_store: MakeStore, executed: Executed
) -> None:
    world = RunWorld()
    like = world.run().record
    vault = FakeVolumeBackend(vault_access(world), world.storage)
    first = make_store(deadline=LONG)
    start = put_run(first, None, like, _everything())
    first.push({BRANCH: start})
    runs = make_store(deadline=LONG)
    assert runs.tip(BRANCH) == start
    sizes = []
    for number in range(1, RUNS + 1):
        made = later(like, number)
        data = b"".join(runs.bundle(BRANCH, put_run(runs, start, made, _ten(number)), start))
        sizes.append(len(data))
        tags = (bundling.TAG, "policy:shop", f"run:{made.name}")
        vault.backup_stream(iter([data]), host=HOST, path=bundling.BUNDLE_PATH, tags=tags)
    assert max(sizes) < OBJECTS * 60, "all trees and ten files, not all files"
    newer = later(like, RUNS + 1)
    other = make_store(deadline=LONG)
    other.push({BRANCH: put_run(other, other.tip(BRANCH), newer, _ten(RUNS + 1))})
    waiting = bundling.waiting_in(vault, CLUSTER, "shop")
    assert len(waiting) == RUNS
    store = make_store(deadline=LONG)
    executed()
    deliverer = Deliverer(
        store, vault, world.log,
        cluster=CLUSTER, uid=like.cluster.uid, policy="shop", now=world.clock.now,
    )  # fmt: skip
    patience = Patience(
        what="delivering", clock=world.clock, reporter=world.log, deadline=world.clock.now()
    )
    done = deliverer.deliver(waiting, check=lambda: None, patience=patience)
    commands = executed()
    assert (len(done.delivered), done.kept) == (RUNS, {})
    assert len([argv for argv in commands if "push" in argv]) == 1
    # The tip, twice, the history, and what only an old commit has.
    assert len([argv for argv in commands if "fetch" in argv]) <= 4
    assert len(commands) <= RUNS * PER_BUNDLE + ONCE
    log = [commit.trailers[message.RUN] for commit in make_store().log(BRANCH)]
    assert log == [
        newer.name, *(one.run_id for one in reversed(waiting)), newer.name, like.name,
    ]  # fmt: skip
