"""The controller's part in ending hooks that a dead run has left open (invariant I5).

Comes after each cycle, whatever kept that from its end: an application must not stay quiesced
because Git is away, or because its policy has no hooks any more: the Leases are listed in each
cycle. Asks nothing more where there is none and no policy that the cycle knows of has hooks. Who
looks at a policy's object in the cluster sees it there, as an Event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler import ports
from reconciler.engine import observe
from reconciler.engine.hookleases import HookLeases, read_leases
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model import kinds, naming
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError
from reconciler.model.policy import BackupPolicy
from reconciler.plan.cronjob import COMPONENT_POLICY, POLICY_KEY, Place
from reconciler.plan.entries import labels_of
from reconciler.plan.finishjob import finish_name, make_finish_job
from reconciler.plan.finishturns import Turn, find_dead, find_failed
from reconciler.plan.hooklease import HookLease, is_hook_lease
from reconciler.plan.mirror import is_mirror
from reconciler.plan.mirrorevents import EventReason, MirrorEvent, make_event

Raw = Mapping[str, Any]
_TOLD_FOR = timedelta(hours=1)
"""How long after its end a Job that failed is told of: as long as clusters keep an Event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJobs:
    """Starts a Job per Lease whose holder is dead; tells of those in which a command failed.

    Leases are never removed here, for which a controller has no right: a Job that fails tells what
    went wrong, and the policy's next run records that and removes them.
    """

    config: Config
    place: Place
    holder: str
    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    reporter: ports.Reporter
    clock: ports.Clock
    mirrors: Sequence[Raw] = ()
    """The policies' objects, as the cycle found them."""
    leases: Sequence[Raw] | None = None
    """The Leases as the cycle has listed them, those of hooks among them; None: they are listed."""
    hooks_known: bool = True
    """Whether a policy has hooks: then Jobs are looked at also where no Lease is left."""

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
        unread: list[BackstayError] = []
        if self.leases is None:
            found = leases.list(unread.append)
        else:
            found = read_leases(filter(is_hook_lease, self.leases), unread.append)
        for error in unread:
            self.reporter.warning("hook's lease not understood", why=error.message, hint=error.hint)
        if not (found or unread or self.hooks_known):
            return
        # Asked after the Leases: a pod that began meanwhile is among them.
        jobs = observe.read_all(self.reader, kinds.JOBS, dict, namespace=self.place.namespace)
        pods: list[Raw] = []
        if found:
            pods += observe.read_all(self.reader, kinds.PODS, dict, namespace=self.place.namespace)
        for lease, turn in find_dead(found, jobs, pods, self.clock.now()):
            try:
                # The run may have ended since they were listed, and its Lease with it.
                if self.leases is None or leases.is_same(lease):
                    self._create(lease, turn)
            except BackstayError as error:
                # The Leases after this one are other applications'.
                self.reporter.warning(
                    "Job not started", lease=lease.name, run=lease.run_id, why=error.message,
                    hint=error.hint,
                )  # fmt: skip
        self._tell_failed(jobs)

    def _create(self, lease: HookLease, turn: Turn) -> None:
        job = make_finish_job(
            lease, self.config, self.place, number=turn.number, now=self.clock.now()
        )
        _, created = self.writer.create(job)
        if not created:
            return
        name, pod = finish_name(lease, turn.number), f"{lease.pod.namespace}/{lease.pod.pod}"
        if lease.is_over:
            self.reporter.warning(
                "a post command failed, and no Job has told of it: starting one that does",
                run=lease.run_id, namespace=lease.pod.namespace, pod=lease.pod.pod, job=name,
            )  # fmt: skip
            return
        self.reporter.warning(
            "a dead run has left hooks open: starting a Job that ends them", run=lease.run_id,
            namespace=lease.pod.namespace, pod=lease.pod.pod, job=name, before=turn.before,
            why=turn.why,
        )  # fmt: skip
        told = f"run {lease.run_id} has left pod {pod} quiesced; Job {name} ends that"
        if turn.before:
            told += f". Job {turn.before} failed: {turn.why}"
        self._announce(lease.policy, MirrorEvent(EventReason.HOOKS_LEFT_OPEN, told, True, True))

    def _tell_failed(self, jobs: Iterable[Raw]) -> None:
        """Said again in each cycle for a while: an Event of its name is there only once."""
        since = self.clock.now() - _TOLD_FOR
        for one in find_failed(jobs):
            if one.ended is not None and one.ended >= since:
                told = (
                    f"a post command in pod {one.pod} failed after run {one.run_id} had left it"
                    f" quiesced; it may still be: kubectl -n {self.place.namespace}"
                    f" logs job/{one.job}"
                )
                event = MirrorEvent(EventReason.HOOK_POST_FAILED, told, True, True)
                if self._announce(one.policy, event):
                    self.reporter.warning("hooks of a dead run ended badly", job=one.job, why=told)

    def _announce(self, policy: str, told: MirrorEvent) -> bool:
        """Whether it was news. Where there is no such object, or no right, the log has to do."""
        for raw in self.mirrors:
            if raw["metadata"]["name"] != policy or not is_mirror(raw):
                continue
            try:
                return self.writer.announce(
                    make_event(told, raw, instance=self.holder, now=self.clock.now())
                )
            except BackstayError as error:
                self.reporter.warning(
                    "event not written", reason=told.reason, why=error.message, hint=error.hint
                )
        return False


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
