"""Runs of the run's own code over a real API server, with Git and restic as fakes.

No pod of a run is started: what is captured, compared and recorded is a run's, and costs a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.kube import KubeClient
from reconciler.engine.reading import Wanted, changed_objects
from reconciler.engine.run import execute_run
from reconciler.model.policy import NamespaceSelector, Selector
from reconciler.model.run import Outcome, RunRecord
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, RunWorld


@dataclass
class Runs:
    """One policy's runs, each with its commit."""

    client: KubeClient
    namespace: str
    world: RunWorld = field(default_factory=RunWorld)
    number: int = 0

    def __post_init__(self) -> None:
        selector = Selector(namespaces=NamespaceSelector(names=(self.namespace,)))
        self.world.policy = replace(self.world.policy, selector=selector)

    def run(self) -> str:
        """A run that is Completed; returns its commit."""
        record = self.record()
        assert record.outcome is Outcome.COMPLETED, record
        return self.tip

    def record(self) -> RunRecord:
        """A run, however it ends."""
        self.number += 1
        now = datetime.now(UTC)
        request = replace(
            self.world.request(),
            run_id=f"shop-{now:%Y%m%d-%H%M%S}-{self.number:05x}",
            started=now,
            deadline=now + timedelta(hours=1),
            namespace=self.namespace,
            pod=f"run-{self.number}",
        )
        ports = self.world.ports(reader=self.client, writer=self.client, clock=SystemClock())
        return execute_run(request, ports).record

    @property
    def tip(self) -> str:
        """The newest commit."""
        return self.world.remote.heads[BRANCH]

    def files(self, commit: str) -> dict[str, bytes]:
        """The tree of a commit."""
        return dict(self.world.remote.commits[commit].files)

    def difference(self, old: str, new: str) -> list[str]:
        """Objects and fields, as `backstay diff` tells them."""
        store = FakeManifestStore(self.world.remote)
        found = []
        for change in changed_objects(store, old, new, Wanted()):
            found += [f"{change} {one.field}" for one in change.fields]
            found += [] if change.fields else [f"{change.kind} {change}"]
        return found

    def touched(self, old: str, new: str) -> set[str]:
        """Files, the record among them."""
        before, after = (self.files(sha) for sha in (old, new))
        return {path for path in {*before, *after} if before.get(path) != after.get(path)}
