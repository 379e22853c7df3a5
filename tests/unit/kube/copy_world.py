"""Movers of copies on a fake cluster with CSI volumes that is moved along by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.adapters.copies import CopyMover
from reconciler.model import moverprotocol
from reconciler.model.volumes import CopyKind, MoveResult, MoveState, MoveTask, VolumeCopy
from reconciler.plan.moverjob import mover_name
from tests.fakes import kubelet
from tests.fakes.cluster import FakeCluster
from tests.fakes.snapshots import SNAPSHOT_CLASS, STORAGE_CLASS, FakeSnapshots
from tests.unit.kube.test_moverprotocol import task

HOME = "backstay-system"
GIB = 1 << 30
DONE = MoveResult(state=MoveState.COMPLETED, snapshot="a" * 64, files=3, size=99, took=2)
SNAPSHOT = VolumeCopy(
    method=CopyKind.SNAPSHOT,
    home=HOME,
    snapshot_class=SNAPSHOT_CLASS,
    storage_class=STORAGE_CLASS,
    size=GIB,
)
CLONE = replace(SNAPSHOT, method=CopyKind.CLONE)
TASKS = {copy.method.value: replace(task(), copy=copy) for copy in (SNAPSHOT, CLONE)}
NAME = mover_name(TASKS["Snapshot"])


class CopyWorld:
    """``mover`` is the process that lives now; `reborn` is the next one."""

    def __init__(self, *, policy: str = "Delete", restore_size: str = "1Gi") -> None:
        self.cluster = FakeCluster()
        self.storage = FakeSnapshots(self.cluster, policy=policy, restore_size=restore_size)
        for name in ("shop", "other", HOME):
            metadata = {"name": name}
            self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.seconds = 0.0
        self.read: list[str] = []
        """What movers found on what they mounted."""
        self.mover = self.reborn()

    def reborn(self, writer: Any = None) -> CopyMover:
        """Another process."""
        writer = writer or self.cluster
        self.mover = CopyMover(self.cluster, writer, home=HOME, seconds=lambda: self.seconds)
        return self.mover

    def turn(self, *, end: bool = True) -> None:
        """What the cluster does meanwhile."""
        self.storage.work()
        if end:
            for job in kubelet.jobs(self.cluster):
                self.end(job)

    def end(self, job: dict[str, Any]) -> None:
        """Its mover reads what it mounts, and ends; it waits for a claim that is not bound."""
        place = job["metadata"]["namespace"]
        (volume, *_) = job["spec"]["template"]["spec"]["volumes"]
        name = volume["persistentVolumeClaim"]["claimName"]
        for raw in self.cluster.all("PersistentVolumeClaim"):
            uid = raw["metadata"]["uid"]
            if (raw["metadata"]["namespace"], raw["metadata"]["name"]) == (place, name):
                if uid not in self.storage.volumes:
                    return
                self.read.append(self.storage.volumes[uid])
                text = moverprotocol.render_result(DONE)
                kubelet.end(self.cluster, job, message=text)

    def settle(self, wanted: MoveTask, *, looks: int = 40) -> MoveResult:
        """Looks until it has ended."""
        for _ in range(looks):
            result = self.mover.ensure(wanted)
            if result.state is not MoveState.RUNNING:
                return result
            self.turn()
        raise AssertionError(f"never ended: {result}, {self.storage.left()}")

    def rest(self) -> None:
        """Time for what was asked to go."""
        for _ in range(6):
            self.turn(end=False)

    def keys(self) -> list[str]:
        """Namespaces that hold keys of a repository now."""
        return [raw["metadata"]["namespace"] for raw in self.cluster.all("Secret")]

    def left(self) -> list[str]:
        """All that is there of any copy."""
        jobs = [f"{raw['kind']}" for kind in ("Job", "Secret") for raw in self.cluster.all(kind)]
        return [*self.storage.left(), *jobs]
