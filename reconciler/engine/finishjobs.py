"""The controller's part in ending hooks that a dead run has left open (invariant I5).

Comes after each cycle, whatever kept that from its end: an application must not stay quiesced
because Git is away. Asks nothing where no policy that the cycle knows of has hooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler import ports
from reconciler.engine import observe
from reconciler.engine.hookleases import HookLeases
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model import kinds, naming
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError
from reconciler.model.policy import BackupPolicy
from reconciler.plan.cronjob import COMPONENT_POLICY, POLICY_KEY, Place
from reconciler.plan.entries import labels_of
from reconciler.plan.finishjob import find_dead, finish_name, make_finish_job

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJobs:
    """Starts one Job per Lease whose run is over."""

    config: Config
    place: Place
    holder: str
    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    reporter: ports.Reporter
    clock: ports.Clock

    def start(self) -> None:
        """Raises nothing: what keeps it from looking is told, and the next cycle looks again."""
        try:
            self._start()
        except BackstayError as error:
            self.reporter.warning("open hooks not looked for", why=error.message, hint=error.hint)
        except Exception as error:  # noqa: BLE001 - told as a bug; the cycle has its own result
            explain_unexpected(error, self.reporter, ended="the look for open hooks")

    def _start(self) -> None:
        leases = HookLeases(
            reader=self.reader,
            writer=self.writer,
            clock=self.clock,
            namespace=self.place.namespace,
            holder=self.holder,
        )
        found = leases.list(self._tell)
        if not found:
            return
        # Asked after the Leases: a run that began meanwhile is among them.
        jobs = observe.read_all(self.reader, kinds.JOBS, dict, namespace=self.place.namespace)
        for lease in find_dead(found, jobs):
            _, created = self.writer.create(make_finish_job(lease, self.config, self.place))
            if created:
                self.reporter.warning(
                    "a dead run has left hooks open: starting a Job that ends them",
                    run=lease.run_id, namespace=lease.pod.namespace, pod=lease.pod.pod,
                    job=finish_name(lease),
                )  # fmt: skip

    def _tell(self, error: BackstayError) -> None:
        self.reporter.warning("hook's lease not understood", why=error.message, hint=error.hint)


def have_hooks(
    mirrors: Iterable[Raw], policies: Iterable[BackupPolicy], config_maps: Iterable[Raw]
) -> bool:
    """Whether a policy has hooks: its object in the cluster, its file, or what was compiled of one.

    A compiled policy stays for days after its last use, so one that was deleted is known as well.
    """
    return (
        any((raw.get("spec") or {}).get("hooks") for raw in mirrors)
        or any(policy.hooks for policy in policies)
        or any(
            labels_of(raw).get(naming.COMPONENT) == COMPONENT_POLICY
            and '"hooks"' in ((raw.get("data") or {}).get(POLICY_KEY) or "")
            for raw in config_maps
        )
    )
