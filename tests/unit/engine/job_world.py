"""A run whose movers are Jobs, worked on by a cluster that goes on whatever becomes of the run."""

from __future__ import annotations

import threading
from typing import Any

from reconciler.adapters.movers import JobMover
from reconciler.engine.context import RunPorts
from reconciler.model import moverprotocol, naming
from reconciler.model.volumes import MoveKind, MoveTask
from tests.fakes import kubelet
from tests.unit.engine.run_world import RunWorld, move_controllers


class JobWorld(RunWorld):
    """While somebody sleeps, Jobs that may run do what their task says, for ``working`` sleeps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.working = 2
        self.ended: list[str] = []
        # Threads that sleep at the same time are one sleep each, and a Job ends once.
        self._turn = threading.Lock()
        self.clock.on_sleep = self.work

    def ports(self, **changed: Any) -> RunPorts:
        """Movers see the cluster through the very ports of the run."""
        reader, writer = (changed.get(name, self.entitled()) for name in ("reader", "writer"))
        return super().ports(**{"mover": JobMover(reader, writer), **changed})

    def work(self) -> None:
        """One sleep's time in the cluster."""
        with self._turn:
            self._work()

    def _work(self) -> None:
        move_controllers(self.cluster)
        if self.working:
            self.working -= 1
            return
        for job in kubelet.jobs(self.cluster):
            result = self.move(self.task_of(job))
            kubelet.end(self.cluster, job, message=moverprotocol.render_result(result))
            self.ended.append(job["metadata"]["annotations"][naming.CLAIM])

    def task_of(self, job: dict[str, Any]) -> MoveTask:
        """What a mover's process knows: its arguments and its keys."""
        metadata = job["metadata"]
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        given = dict(zip(arguments[2::2], arguments[3::2], strict=True))
        url = f"s3:https://s3.example.org/backups/prod-eu/{metadata['namespace']}"
        access = self.keyring.access(
            name="main", secret="restic-main", url=url, namespace=metadata["namespace"]
        )
        return MoveTask(
            kind=MoveKind(arguments[1]),
            run_id=given["--run"],
            policy=given["--policy"],
            namespace=metadata["namespace"],
            claim=given["--claim"],
            access=access,
            host=given["--host"],
            image="",
            snapshot=given.get("--snapshot", ""),
        )

    def await_traces(self, count: int) -> None:
        """Until the movers' thread has come so far; in real time, for no clock moves it."""
        beat = threading.Event()
        for _ in range(6000):
            if len(self.traces()) >= count:
                return
            beat.wait(0.005)
        raise AssertionError(f"never {count} traces of movers: {self.traces()}")

    def traces(self) -> list[str]:
        """Everything of ours in the applications' namespaces."""
        return [
            f"{raw['kind']}/{raw['metadata']['name']}"
            for raw in self.cluster.all()
            if str(raw["metadata"].get("namespace", "")).startswith("shop")
            and naming.COMPONENT in (raw["metadata"].get("labels") or {})
        ]
