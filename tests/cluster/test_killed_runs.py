"""A run gets SIGKILL at each of its steps, truly: what is left, what its successor does, the end.

Each point is held by the gate (a process of the run's pod, or of a mover's, that waits for leave)
or by the storage's proxy, so that the run can't be past it. tests/unit/engine/test_run_killed.py
does the same at every call of a run, on fakes; this proves that the fakes are right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from reconciler.model.run import Outcome
from tests.cluster.test_faults import VOLUMES, assert_whole
from tests.rig.gate import Gate
from tests.rig.proxies import S3Proxy
from tests.rig.stage import Stage, faults
from tests.rig.stage.runs import Run, run_again
from tests.rig.stage.stage import NAMESPACE

RUN = "fault-"
"""How the names of the run's own pods begin."""
AGAIN = "this run is on the branch already"


class Hold(Protocol):
    """What keeps the run where it is."""

    def wait(self, seconds: float = ...) -> Any:
        """Returns when it does."""
        ...


@dataclass(frozen=True, slots=True)
class Servers:
    """What can hold a run back."""

    gate: Gate
    s3: S3Proxy

    def copied(self) -> int:
        """How many movers have stored their volume."""
        return faults.copied(self.gate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place to die, and what is there right afterwards."""

    name: str
    held: Callable[[Servers], AbstractContextManager[Hold]]
    volumes: tuple[int, int]
    """At least and at most so many volumes of the run are in restic."""
    secrets: tuple[int, int]
    ready: Callable[[Servers], bool] = lambda _: True
    """What must be so before it is killed, while the rest of it is held."""
    movers: bool = True
    """Whether it has Jobs in the application's namespace."""
    recorded: bool = False
    says: str = "capturing"
    """What only its successor tells, or it again."""


ALL = len(VOLUMES)
POINTS = (
    Point(
        name="select",
        held=lambda s: s.gate.held("restic", pod=RUN),
        volumes=(0, 0), secrets=(0, 0), movers=False,
    ),
    Point(
        name="before the Secrets are stored",
        held=lambda s: s.gate.held("restic", "backup", pod=RUN),
        volumes=(0, ALL), secrets=(0, 0),
    ),
    Point(
        name="after the Secrets are stored",
        held=lambda s: s.gate.held("restic", "backup", at="after", pod=RUN),
        volumes=(0, ALL), secrets=(1, 1), says="Secrets are stored already",
    ),
    Point(
        name="between two movers",
        held=lambda s: s.gate.held("restic", "backup", pod=faults.MOVER),
        volumes=(ALL - 1, ALL - 1), secrets=(0, 1), ready=lambda s: s.copied() == ALL - 1,
    ),
    Point(
        name="during restic in a mover",
        held=lambda s: s.s3.held("PUT|POST", "/shop/snapshots/"),
        volumes=(0, ALL - 1), secrets=(0, 1),
    ),
    Point(
        name="after the movers",
        held=lambda s: s.gate.held("restic", "snapshots", pod=RUN, nth=3),
        volumes=(ALL, ALL), secrets=(1, 1), ready=lambda s: s.copied() == ALL,
        says="Secrets are stored already",
    ),
    Point(
        name="after the commit",
        held=lambda s: s.gate.held("git", "push", pod=RUN),
        volumes=(ALL, ALL), secrets=(1, 1), says="Secrets are stored already",
    ),
    Point(
        name="between push and verify",
        held=lambda s: s.gate.held("git", "push", at="after", pod=RUN),
        volumes=(ALL, ALL), secrets=(1, 1), recorded=True, says=AGAIN,
    ),
)  # fmt: skip


@pytest.fixture
def before(gated_stage: Stage) -> Iterator[Run]:
    """Return the newest run, which is good; check the order in which a test leaves things."""
    newest = Run(gated_stage)
    if newest.record.outcome is not Outcome.COMPLETED:  # the test before this one failed
        newest = run_again(gated_stage)
    yield newest
    gated_stage.wait("nothing of ours is left", lambda: not faults.leftovers(gated_stage))
    assert newest.commit in Run(gated_stage).history()


@pytest.fixture
def servers(gate: Gate, s3_proxy: S3Proxy) -> Servers:
    """Return what holds runs back; calls are counted from here."""
    gate.forget()
    return Servers(gate, s3_proxy)


def kill_at(stage: Stage, servers: Servers, point: Point) -> tuple[faults.Started, str]:
    """Starts a run and kills it there; the run, and the name of its dead pod."""
    with point.held(servers) as hold:
        started = faults.start_run(stage)
        hold.wait(400)
        stage.wait("the rest of it is as far", lambda: point.ready(servers), seconds=300)
        run_id = started.run_id
        # Its next pod comes within seconds, and works on: it waits until all has been looked at.
        with servers.gate.held("backstay", "run", pod=RUN):
            killed = started.kill()
            assert_left(stage, point, run_id)
    return started, killed


def assert_left(stage: Stage, point: Point, run_id: str) -> None:
    """What a dead run has left behind, while whatever was held still is."""
    most = len(faults.snapshots(stage, "shop", run_id))
    assert point.volumes[0] <= most <= point.volumes[1]
    kept = len(faults.snapshots(stage, "_cluster", run_id))
    assert point.secrets[0] <= kept <= point.secrets[1]
    jobs = [name for name in faults.leftovers(stage) if name.startswith("Job/")]
    assert bool(jobs) is point.movers
    assert (Run(stage).record.name == run_id) is point.recorded


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_i11_a_run_is_killed_and_its_pod_comes_again(
    gated_stage: Stage, servers: Servers, before: Run, point: Point
) -> None:
    started, killed = kill_at(gated_stage, servers, point)
    assert started.finish().code == 0
    starts = started.events("run starts")
    assert [line["run"] for line in starts] == [started.run_id] * 2
    (taken,) = started.events("taking over the lease of a dead run")
    assert taken["holder"] == f"{started.run_id}/{killed}"
    assert started.events(point.says)
    assert bool(started.events(AGAIN)) is point.recorded
    after = Run(gated_stage)
    assert_whole(gated_stage, after, started.run_id)
    assert after.record.warnings == ()
    assert after.history()[1] == before.commit


def test_i11_a_run_is_killed_for_good_and_the_next_one_cleans_up(
    gated_stage: Stage, servers: Servers, before: Run
) -> None:
    with faults.last_mover_held(gated_stage, servers.gate, ALL) as started:
        dead = started.run_id
        # Its Job goes first: nobody starts it again.
        gated_stage.kubectl(
            "-n", NAMESPACE, "delete", "job", started.job, "--cascade=orphan", "--wait=true"
        )
        pod = started.kill()
        # Until its node has told that it ended, another run would be Skipped.
        gated_stage.wait(
            "it has ended",
            lambda: started.pods()[-1]["status"]["phase"] in ("Failed", "Succeeded"),
        )
        second = faults.start_run(gated_stage)
        removed = second.wait_for("mover of a dead run removed", ALL)
        assert removed["run"] == dead
    assert second.finish().code == 0
    gated_stage.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--ignore-not-found")
    after = Run(gated_stage)
    assert_whole(gated_stage, after, second.run_id)
    assert dead not in after.recorded()
    (told,) = after.record.warnings
    assert told.startswith(f"run {dead} is not on the branch: it died before it could record")
    kept = faults.snapshots(gated_stage, "shop", dead)
    assert len(kept) == ALL - 1
    assert all(f"shop/{found['id'][:8]}" in told for found in kept)
    assert run_again(gated_stage).record.warnings == (), "said once"


def test_a_run_whose_job_is_deleted_takes_its_movers_away(
    gated_stage: Stage, servers: Servers, before: Run
) -> None:
    """It is told to end, and sees that no other pod can go on with it."""
    with faults.last_mover_held(gated_stage, servers.gate, ALL) as started:
        stopped = started.run_id
        gated_stage.kubectl("-n", NAMESPACE, "delete", "job", started.job, "--wait=false")
        gated_stage.wait(
            "its movers and their keys are gone", lambda: not faults.leftovers(gated_stage)
        )
        gated_stage.wait("its pod is gone", lambda: not started.pods())
    after = run_again(gated_stage)
    assert_whole(gated_stage, after, after.record.name)
    assert after.history()[1] == before.commit
    (told,) = after.record.warnings
    assert told.startswith(f"run {stopped} is not on the branch")
