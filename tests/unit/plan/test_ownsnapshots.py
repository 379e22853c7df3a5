"""Which snapshots are taken for a run's of ours: whatever differs is a stranger's, and stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.engine import bundling, secretstore
from reconciler.plan import ownsnapshots
from tests.unit.plan.maintenance_world import NOW, World, days, line_of, run_id
from tests.unit.plan.test_maintenance import four_days

STRANGERS: dict[str, Callable[[World, str], str]] = {
    "another cluster's": lambda w, run: w.store(
        "shop", "/data/files", ("policy:shop", f"run:{run}", "claim:files"), days(99), cluster="b"
    ),
    "one tag more": lambda w, run: w.store(
        "shop", "/data/files", ("policy:shop", f"run:{run}", "claim:files", "keep"), days(99)
    ),
    "no tags": lambda w, _: w.store("shop", "/data/files", (), days(99)),
    "two runs": lambda w, run: w.store(
        "shop", "/data/files", ("policy:shop", f"run:{run}", "run:x", "claim:files"), days(99)
    ),
    "another path": lambda w, run: w.store(
        "shop", "/srv/mine", ("policy:shop", f"run:{run}", "claim:files"), days(99)
    ),
    "another policy's run": lambda w, run: w.store(
        "shop", "/data/files", ("policy:other", f"run:{run}", "claim:files"), days(99)
    ),
    "no run id": lambda w, _: w.store(
        "shop", "/data/files", ("policy:shop", "run:shop-1", "claim:files"), days(99)
    ),
    "no such date": lambda w, _: w.store(
        "shop", "/data/files", ("policy:shop", "run:shop-20269999-041703-aaaaa", "claim:files"),
        days(99),
    ),
    "a volume in _cluster": lambda w, run: w.store(
        "_cluster", "/data/files", ("policy:shop", f"run:{run}", "claim:files"), days(99)
    ),
    "Secrets in a namespace": lambda w, run: w.store(
        "shop", "/secrets.jsonl", ("policy:shop", f"run:{run}"), days(99)
    ),
    "a file of somebody's in _cluster": lambda w, run: w.store(
        "_cluster", "/notes.txt", ("policy:shop", f"run:{run}"), days(99)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STRANGERS)
def test_brake_snapshots_of_unknown_tags_hosts_and_paths_are_never_touched(name: str) -> None:
    world, runs = four_days()
    stranger = STRANGERS[name](world, run_id("shop", days(4)))
    assert world.removed() == {*runs[0], *runs[1]}
    line = line_of(world.plan(), stranger)
    assert (line.keep, line.own) == (True, None)


def test_a_snapshot_in_the_repository_of_another_namespace_is_a_strangers() -> None:
    world, runs = four_days()
    tags = ("policy:shop", f"run:{run_id('shop', days(99))}", "claim:files")
    strange = world.store("other", "/data/files", tags, days(99))
    world.stored["main", "shop"] += world.stored.pop(("main", "other"))
    assert world.removed() == {*runs[0], *runs[1]}
    assert "its host is prod/other" in line_of(world.plan(), strange).reasons[0]


def test_the_names_are_those_that_runs_write() -> None:
    assert ownsnapshots.SECRETS_PATH == secretstore.SECRETS_PATH
    assert ownsnapshots.BUNDLE_PATH == bundling.BUNDLE_PATH
    assert ownsnapshots.DELIVERED_PATH == bundling.DELIVERED_PATH
    assert ownsnapshots.BUNDLE_TAG == bundling.TAG
    assert ownsnapshots.began(run_id("a-b", NOW)) == NOW
