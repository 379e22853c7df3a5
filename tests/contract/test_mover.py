"""The fake mover, and Jobs on the fake cluster, keep what VolumeMover promises."""

from __future__ import annotations

import pytest

from reconciler.adapters.copies import CopyMover
from reconciler.adapters.movers import JobMover
from reconciler.model import moverprotocol
from reconciler.model.volumes import CopyKind, MoveResult, MoveState, MoveTask, VolumeCopy
from tests.contract.mover_suite import RESULTS, JobContract, MoverContract, MoverWorld
from tests.fakes import kubelet
from tests.fakes.cluster import FakeCluster
from tests.fakes.mover import FakeMover
from tests.fakes.snapshots import SNAPSHOT_CLASS, STORAGE_CLASS, FakeSnapshots

NAMESPACE = "shop"


class TestFake(MoverContract):
    """The fake."""

    @pytest.fixture
    def mover_world(self) -> MoverWorld:
        """Return a fake mover that knows how each claim ends."""
        mover = FakeMover({(NAMESPACE, claim): result for claim, result in RESULTS.items()})

        def settle(task: MoveTask) -> MoveResult:
            while (result := mover.ensure(task)).state is MoveState.RUNNING:
                pass
            return result

        return MoverWorld(
            mover=mover,
            namespace=NAMESPACE,
            image="backstay:test",
            settle=settle,
            count=lambda task: mover.begun[task.namespace, task.claim],
            traces=lambda: [left.claim for left in mover.leftovers("shop")],
        )


class TestJobsOnFakeCluster(MoverContract, JobContract):
    """Jobs, moved along by hand."""

    @pytest.fixture
    def mover_world(self) -> MoverWorld:
        """Return Jobs on a fake cluster whose pods end as the suite says."""
        cluster = FakeCluster()
        cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        mover = JobMover(cluster, cluster)

        def settle(task: MoveTask) -> MoveResult:
            while (result := mover.ensure(task)).state is MoveState.RUNNING:
                for job in kubelet.jobs(cluster):
                    _end(cluster, job)
            return result

        def traces() -> list[str]:
            kinds = ("Job", "Secret", "Pod")
            return [raw["kind"] for kind in kinds for raw in cluster.all(kind)]

        return MoverWorld(
            mover=mover,
            namespace=NAMESPACE,
            image="backstay:test",
            settle=settle,
            count=lambda _: len(cluster.all("Pod")) // max(len(cluster.all("Job")), 1),
            traces=traces,
        )


class TestCopiesOnFakeCluster(MoverContract, JobContract):
    """Copies of volumes, each with its Job."""

    @pytest.fixture(params=list(CopyKind), ids=lambda kind: kind.value)
    def mover_world(self, request: pytest.FixtureRequest) -> MoverWorld:
        """Return movers of copies on a fake cluster with CSI volumes."""
        cluster = FakeCluster()
        storage = FakeSnapshots(cluster)
        for name in (NAMESPACE, "backstay-system"):
            metadata = {"name": name}
            cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        mover = CopyMover(cluster, cluster, home="backstay-system")

        def settle(task: MoveTask) -> MoveResult:
            while (result := mover.ensure(task)).state is MoveState.RUNNING:
                storage.work()
                for job in kubelet.jobs(cluster):
                    _end(cluster, job)
            return result

        def traces() -> list[str]:
            for _ in range(6):
                storage.work()
            kinds = ("Job", "Secret", "Pod")
            return [*storage.left(), *(raw["kind"] for kind in kinds for raw in cluster.all(kind))]

        def begun() -> int:
            return sum((verb, ref.kind) == ("create", "Pod") for verb, ref in cluster.writes)

        copy = VolumeCopy(
            method=request.param,
            home="backstay-system",
            snapshot_class=SNAPSHOT_CLASS,
            storage_class=STORAGE_CLASS,
            size=1 << 30,
        )
        return MoverWorld(
            mover=mover,
            namespace=NAMESPACE,
            image="backstay:test",
            settle=settle,
            count=lambda _: begun() // max(len(cluster.all("Job")), 1),
            traces=traces,
            copy=copy,
        )


def _end(cluster: FakeCluster, job: dict[str, object]) -> None:
    metadata = job["metadata"]
    assert isinstance(metadata, dict)
    claim = metadata["annotations"]["backstay.dev/claim"]
    if claim not in RESULTS:
        kubelet.end(cluster, job, exit_code=4, reason="Error")
        return
    result = RESULTS[claim]
    text = moverprotocol.render_result(result)
    kubelet.end(cluster, job, message=text, exit_code=result.exit_code)
