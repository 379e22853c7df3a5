"""What a run is given: its request, a value, and the ports it may use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler import ports
from reconciler.capture.paths import cluster_branch as cluster_branch
from reconciler.capture.paths import policy_branch as policy_branch
from reconciler.model.config import Config
from reconciler.model.policy import Compiled
from reconciler.model.run import PolicyRef, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One execution of one policy. ``started`` is when its Job was created, UTC."""

    compiled: Compiled
    config: Config
    policy: PolicyRef
    run_id: str
    trigger: Trigger
    started: datetime
    deadline: datetime
    namespace: str
    """Backstay's own namespace."""
    pod: str
    """The pod that executes; a run that goes on after a lost pod has another one."""
    writer: str
    """Program and version."""
    job: str = ""
    """The Job that this run is, so that it can tell whether another pod may come."""

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.config.cluster.name

    @property
    def branch(self) -> str:
        """The policy's branch in the manifest store."""
        return policy_branch(self.cluster, self.compiled.policy.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPorts:
    """The world of a run."""

    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    store: ports.ManifestStore
    mover: ports.VolumeMover
    keyring: ports.Keyring
    reporter: ports.Reporter
    clock: ports.Clock
    sealer: ports.Sealer | None = None
    """None: this process encrypts nothing, and a policy with `secrets: Sops` fails."""
    execute: ports.PodExec | None = None
    """None: this process executes no hooks, and a policy that has some fails."""
