"""The last recovery points of policies: few records are read, and none is invented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.capture import message, paths, record
from reconciler.engine.lastrecords import FARTHEST, MOST_RECORDS, read_last_records
from reconciler.model.run import (
    ClusterRef,
    Counts,
    NamespaceRecord,
    Outcome,
    PolicyRef,
    RunRecord,
    Trigger,
    VolumeRecord,
)
from reconciler.model.store import Write
from tests.fakes.gitstore import FakeManifestStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def run(
    store: FakeManifestStore,
    number: int,
    *claims: str,
    policy: str = "shop",
    outcome: Outcome = Outcome.COMPLETED,
    text: bytes | None = None,
) -> str:
    """Records a run, the higher the number the later; its name."""
    started = NOON + timedelta(hours=number)
    name = message.make_run_id(policy, started, f"{number:05x}")
    volumes = tuple(
        VolumeRecord(
            claim=claim,
            copy_method="Direct",
            why="w",
            outcome=Outcome.FAILED if claim.startswith("!") else Outcome.COMPLETED,
            taken=started,
            snapshot=None if claim.startswith("!") else "0" * 64,
        )
        for claim in claims
    )
    made = RunRecord(
        name=name,
        policy=PolicyRef(name=policy, digest="sha256:0", revision=f"main@sha1:{'0' * 40}"),
        cluster=ClusterRef(name="prod-eu", uid="u", version="v1"),
        trigger=Trigger.SCHEDULE,
        started=started,
        finished=started,
        outcome=outcome,
        namespaces=(
            NamespaceRecord(
                name="shop", outcome=outcome, captured=started, objects=Counts(), volumes=volumes
            ),
        ),
    )
    branch = f"clusters/prod-eu/{policy}"
    files = [Write(paths.RECORD_PATH, text or record.render_record(made))]
    told = message.render_message(made)
    store.push({branch: store.commit(branch, store.tip(branch), files, told, when=started)})
    return name


def read(store: FakeManifestStore, *claims: str, policy: str = "shop") -> list[str]:
    """Names of the runs that were read for these claims of the namespace shop."""
    found = read_last_records(store, "prod-eu", {policy: [("shop", one) for one in claims]})
    return [point.run for point in found.points]


def test_the_newest_run_is_enough_where_it_holds_everything() -> None:
    store = FakeManifestStore()
    run(store, 1, "data")
    last = run(store, 2, "data")
    found = read_last_records(store, "prod-eu", {"shop": [("shop", ""), ("shop", "data")]})
    (point,) = found.points
    assert (point.run, point.namespaces) == (last, {"shop": Outcome.COMPLETED})
    assert point.claims == {"shop": ("data",)}
    assert found.older == {"shop": 1}


def test_older_runs_are_read_for_what_the_newest_lacks() -> None:
    store = FakeManifestStore()
    run(store, 0, "data")
    older = run(store, 1, "data")
    partly = run(store, 2, "!data", "other", outcome=Outcome.PARTIALLY_FAILED)
    run(store, 3, "data", outcome=Outcome.FAILED)
    assert read(store, "data", "other") == [older, partly]
    assert read(store, "other", "") == [partly]


def test_only_so_many_are_read() -> None:
    store = FakeManifestStore()
    for number in range(MOST_RECORDS + 5):
        run(store, number, "data")
    found = read_last_records(store, "prod-eu", {"shop": [("shop", "new")]})
    assert len(found.points) == MOST_RECORDS
    assert found.older == {"shop": 5}
    assert found.points[-1].started == NOON + timedelta(hours=MOST_RECORDS + 4)


def test_a_policy_that_never_ran_has_none() -> None:
    store = FakeManifestStore()
    run(store, 1, "data", policy="crm")
    assert read(store, "data") == []


def test_a_record_that_somebody_else_wrote_is_no_recovery_point() -> None:
    store = FakeManifestStore()
    good = run(store, 1, "data")
    run(store, 2, "data", text=b"kind: Run\n")
    assert read(store, "data") == [good]


@pytest.fixture(scope="module")
def hourly() -> FakeManifestStore:
    """A policy with more runs than are ever read."""
    store = FakeManifestStore()
    for number in range(FARTHEST + 5):
        run(store, number, "other")
    return store


@pytest.mark.parametrize(("hours", "read"), [(19, 20), (20, 21), (26, 27), (1000, FARTHEST)])
def test_where_the_newest_do_not_reach_back_as_far_as_was_promised_more_are_read(
    hourly: FakeManifestStore, hours: int, read: int
) -> None:
    newest = NOON + timedelta(hours=FARTHEST + 4)
    wanted = {"shop": [("shop", "data")]}
    reach = {"shop": newest - timedelta(hours=hours)}
    found = read_last_records(hourly, "prod-eu", wanted, reach=reach)
    assert len(found.points) == read
    assert found.older == {"shop": FARTHEST + 5 - read}
