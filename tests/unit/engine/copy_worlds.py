"""A run whose movers read copies, on a cluster that goes on whatever becomes of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler.adapters.copies import CopyMover
from reconciler.engine.context import RunPorts
from reconciler.model import moverprotocol, naming
from reconciler.model.policy import CopyMethod, VolumeRule
from reconciler.model.volumes import MoveTask
from reconciler.plan.rights import RUN
from tests.fakes import kubelet
from tests.fakes.entitled import granted
from tests.fakes.snapshots import DRIVER, SNAPSHOT_CLASS, FakeSnapshots
from tests.unit.engine.job_world import JobWorld
from tests.unit.engine.run_world import SYSTEM, manifest, move_controllers

COMPONENT = Path(__file__).parents[3] / "deploy/components/copies/rbac.yaml"


class CopyWorld(JobWorld):
    """The policy says `Snapshot`; class ``local`` is a CSI driver's that has a snapshot class."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs = (*RUN, *granted(COMPONENT))
        self.csi = FakeSnapshots(self.cluster, policy="Retain")
        self.cluster.put(
            manifest("storage.k8s.io/v1/StorageClass", "local", "", provisioner=DRIVER)
        )
        self.say(CopyMethod.SNAPSHOT)

    def say(self, method: CopyMethod, *rules: VolumeRule) -> None:
        """What the policy wants."""
        volumes = replace(self.policy.volumes, copy_method=method, rules=rules)
        self.policy = replace(self.policy, volumes=volumes)

    def put_class(self, name: str = SNAPSHOT_CLASS) -> None:
        """A VolumeSnapshotClass of the driver."""
        api = "snapshot.storage.k8s.io/v1/VolumeSnapshotClass"
        self.cluster.put(manifest(api, name, "", driver=DRIVER, deletionPolicy="Retain"))

    def ports(self, **changed: Any) -> RunPorts:
        """Movers see the cluster through the very ports of the run."""
        reader, writer = (changed.get(name, self.entitled()) for name in ("reader", "writer"))
        mover = CopyMover(reader, writer, home=SYSTEM, seconds=self.seconds)
        return super().ports(**{"mover": mover, **changed})

    def seconds(self) -> float:
        """Time as movers count it: a look a second would be many looks."""
        return self.clock.slept * 60

    def _work(self) -> None:
        move_controllers(self.cluster)
        self.csi.work()
        if self.working:
            self.working -= 1
            return
        for job in kubelet.jobs(self.cluster):
            result = self.move(self.task_of(job))
            kubelet.end(self.cluster, job, message=moverprotocol.render_result(result))
            self.ended.append(job["metadata"]["annotations"][naming.CLAIM])

    def task_of(self, job: dict[str, Any]) -> MoveTask:
        """The keys are those of the claim's namespace, wherever the Job is."""
        metadata = job["metadata"]
        source = metadata["annotations"].get(naming.NAMESPACE, metadata["namespace"])
        return super().task_of({**job, "metadata": {**metadata, "namespace": source}})

    def left(self) -> list[str]:
        """Everything of any copy or mover that is there, after the cluster has had its time."""
        for _ in range(6):
            self.csi.work()
        ours = [
            f"{raw['kind']} {raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"
            for raw in self.cluster.all()
            if raw["kind"] in ("Job", "Secret", "PersistentVolumeClaim")
            and naming.COMPONENT in (raw["metadata"].get("labels") or {})
        ]
        return [*self.csi.left(), *ours]
