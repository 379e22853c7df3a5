"""Leases of pods with open hooks: written before a command starts, gone after the last has ended.

Each change is read, decided and written under the version that was read: of two who want the same
pod one gets it, and who has lost a Lease notices before it executes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler import ports
from reconciler.model import kinds
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.plan.hooklease import (
    ANYBODY,
    HOOKS,
    SELECTOR,
    HookLease,
    OpenHook,
    QuietPod,
    give_up,
    make_lease,
    read_lease,
    render_pod,
    set_aside,
    take_over,
)

_RACES = 10
_POLL = 2.0


class PodBusy(BackstayError):
    """Another run has hooks open in this pod."""

    reason = "PodBusy"


class NotOurs(BackstayError):
    """Somebody else sees to this pod now; nothing may be executed for it here."""

    reason = "NotOurs"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookLeases:
    """The Leases as one holder sees them."""

    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    clock: ports.Clock
    namespace: str
    """Backstay's own."""
    holder: str
    policy: str = ""
    run_id: str = ""
    job: str = ""

    def find(self, name: str) -> HookLease | None:
        """The Lease of this name; raises Refused where it is another's."""
        raw = self.reader.get(kinds.LEASES, name, namespace=self.namespace)
        return None if raw is None else read_lease(raw)

    def list(self, tell: Callable[[BackstayError], object]) -> tuple[HookLease, ...]:
        """All that can be read, by name; ``tell`` hears of the others."""
        pages = self.reader.pages(kinds.LEASES, namespace=self.namespace, label_selector=SELECTOR)
        return read_leases((raw for page in pages for raw in page), tell)

    def is_same(self, lease: HookLease) -> bool:
        """Whether it is there still, and has not changed since it was read.

        Asked by a list: the controller may get no Lease but its own.
        """
        found = self.list(lambda _: None)
        return (lease.name, lease.version) in {(one.name, one.version) for one in found}

    def open(
        self,
        pod: QuietPod,
        hook: OpenHook,
        *,
        until: datetime,
        stopped: Callable[[], bool],
        tell: Callable[[HookLease], object],
    ) -> None:
        """Says that a hook is open there; from its return on it must be closed.

        Waits while another holds the pod, tells of it once, and raises PodBusy from ``until`` on.
        So it does where a dead run's Lease is ours by now: what is open in it must be ended, and
        is nobody's again, so that the controller sees to it. One that is over makes room.
        """
        told = False
        while True:
            lease = self._create(pod.with_open(hook))
            if lease is None:
                return
            if lease.is_over:
                self._set_aside(lease)
                continue
            if self._is_own(lease):
                if _says(lease.pod, hook):
                    return
                if self._change(lease.name, lambda now: now.with_open(hook)):
                    return
                continue  # it is gone, or another's by now
            self.hand_back(lease.name)
            if not told:
                told = True
                tell(lease)
            if self.clock.now() >= until:
                raise PodBusy(
                    f"pod {pod.namespace}/{pod.pod} has open hooks of policy {lease.policy}"
                    f" (run {lease.run_id})",
                    hint=f"look at Lease {self.namespace}/{lease.name}, or at: backstay doctor",
                )
            if stopped():
                raise Interrupted("stopped while waiting for a pod that another run quiesces")
            self.clock.sleep(_POLL)

    def note(self, pod: QuietPod, hook: OpenHook) -> None:
        """Writes what is known of an open hook now: until when a command of it may be at work.

        Raises NotOurs where the Lease is gone, or another holds the pod and did not give it away.
        """
        if not self._change(pod.lease, lambda now: now.with_open(hook), given=hook):
            raise NotOurs(f"Lease {self.namespace}/{pod.lease} is gone, or another's by now")

    def check(self, pod: QuietPod, hook: OpenHook, *, own: bool = False) -> bool:
        """Whether it is written there that this hook is open; not where somebody deleted that.

        Raises NotOurs where another holds the pod: it sees to it. ``own``: we have opened it, so in
        a Lease that another has made it is not, and nobody sees to it there.
        """
        lease = self.find(pod.lease)
        if lease is None or (own and lease.opener != self.holder):
            return False
        if self.holder not in (lease.holder, lease.given_to(hook)):
            raise NotOurs(f"the hooks in pod {pod.namespace}/{pod.pod} are ended by {lease.holder}")
        return hook in lease.pod.open

    def give_away(self, pod: QuietPod, left: Sequence[OpenHook]) -> None:
        """What is ``left`` there is nobody's, so that the controller sees to it now.

        With the Lease, where nothing else is open in it; else by a word in it. In the same write
        as the moments until when commands of it may be at work.
        """
        for _ in range(_RACES):
            lease = self.find(pod.lease)
            if lease is None or lease.holder != self.holder:
                return
            new = [one for one in left if one in lease.pod.open and not lease.given_to(one)]
            now = lease.pod
            for hook in new:
                now = now.with_open(hook)
            if all(one in left for one in now.open):
                done = self._give_up(lease, self.run_id, now)
            else:
                done = not new or self._write(lease, now.with_given(new, ANYBODY))
            if done:
                return
        raise Transient(f"Lease {self.namespace}/{pod.lease} is changed again and again by another")

    def hand_back(self, name: str) -> None:
        """A dead run's Lease, where it is ours by now: nobody's again, with all that is open."""
        for _ in range(_RACES):
            lease = self.find(name)
            if lease is None or lease.holder != self.holder or self._is_own(lease):
                return
            if self._give_up(lease, lease.run_id, lease.pod):
                return
        raise Transient(f"Lease {self.namespace}/{name} is changed again and again by another")

    def withdraw(self, pod: QuietPod, hook: OpenHook) -> None:
        """Takes back what `open` may have written; not what a dead run has left there."""
        lease = self.find(pod.lease)
        if lease is not None and self._is_own(lease):
            self._change(pod.lease, lambda now: now.without(hook))

    def close(self, pod: QuietPod, hook: OpenHook) -> None:
        """Says that it is open no more; the last one takes the Lease away."""
        self._change(pod.lease, lambda now: now.without(hook), given=hook)

    def fail(self, pod: QuietPod, hook: OpenHook, why: str) -> None:
        """Says how its post command went wrong: it is not executed again, and stays to be told."""
        self._change(pod.lease, lambda now: now.with_open(replace(hook, failed=why)), given=hook)

    def forget(self, lease: HookLease) -> None:
        """What failed was told: takes a Lease away that is over, and that we took from another.

        Of what is over in one that we made, others know: we gave it away.
        """
        if lease.is_over and lease.holder == self.holder and not self._is_own(lease):
            # By its uid: nothing is opened in it any more.
            self.writer.delete(replace(lease.ref, namespace=self.namespace), uid=lease.uid)

    def take(self, lease: HookLease, *, seconds: int = 0) -> HookLease | None:
        """The Lease of a holder that is dead, now ours; None where it has changed meanwhile.

        ``seconds`` is for how long at most, where no pod tells whether its holder lives.
        """
        if lease.holder == self.holder:
            return lease
        changes = take_over(self.holder, seconds=seconds, now=self.clock.now())
        if any(hook.given for hook in lease.pod.open):
            pod = lease.pod.with_given(lease.pod.open, "")
            changes |= {"metadata": {"annotations": {HOOKS: render_pod(pod)}}}
        ref = replace(lease.ref, namespace=self.namespace)
        raw = self.writer.patch(ref, changes, version=lease.version)
        return None if raw is None else read_lease(raw)

    def accept(self, lease: HookLease) -> bool:
        """Says that we are at what was given away in it; False where it has changed meanwhile."""
        return self._write(lease, lease.pod.with_given(lease.given, self.holder))

    def _is_own(self, lease: HookLease) -> bool:
        """Whether all that is open in it was opened by us, and not by a run that is dead."""
        return lease.holder == self.holder == lease.opener

    def _write(self, lease: HookLease, pod: QuietPod) -> bool:
        """False where it has changed meanwhile."""
        ref = replace(lease.ref, namespace=self.namespace)
        changes = {"metadata": {"annotations": {HOOKS: render_pod(pod)}}}
        return self.writer.patch(ref, changes, version=lease.version) is not None

    def _give_up(self, lease: HookLease, run_id: str, pod: QuietPod) -> bool:
        ref = replace(lease.ref, namespace=self.namespace)
        changes = give_up(run_id, pod, self.clock.now())
        return self.writer.patch(ref, changes, version=lease.version) is not None

    def _set_aside(self, lease: HookLease) -> None:
        """Keeps what is to be told of it, and frees its pod."""
        self.writer.create(set_aside(lease, namespace=self.namespace, now=self.clock.now()))
        self.writer.delete(replace(lease.ref, namespace=self.namespace), uid=lease.uid)

    def _create(self, pod: QuietPod) -> HookLease | None:
        """None where it was created now; the one that has the name."""
        raw, created = self.writer.create(
            make_lease(
                pod,
                namespace=self.namespace,
                holder=self.holder,
                policy=self.policy,
                run_id=self.run_id,
                job=self.job,
                now=self.clock.now(),
            )
        )
        return None if created else read_lease(raw)

    def _change(
        self, name: str, change: Callable[[QuietPod], QuietPod], given: OpenHook | None = None
    ) -> bool:
        """False where it is not ours any more, nor is ``given`` given away in it."""
        for _ in range(_RACES):
            lease = self.find(name)
            if lease is None:
                return False
            if self.holder not in (lease.holder, lease.given_to(given) if given else ""):
                return False
            pod = change(lease.pod)
            if not pod.open:
                # By its uid: its holder alone adds to it, and opens none where one is given away.
                self.writer.delete(replace(lease.ref, namespace=self.namespace), uid=lease.uid)
                return True
            if self._write(lease, pod):
                return True
        raise Transient(f"Lease {self.namespace}/{name} is changed again and again by another")


def read_leases(
    raws: Iterable[Mapping[str, Any]], tell: Callable[[BackstayError], object]
) -> tuple[HookLease, ...]:
    """Of these Leases all that can be read, by name; ``tell`` hears of the others."""
    found = []
    for raw in raws:
        try:
            found.append(read_lease(raw))
        except BackstayError as error:
            tell(error)
    return tuple(sorted(found, key=lambda lease: lease.name))


def _says(pod: QuietPod, hook: OpenHook) -> bool:
    """Whether it is open there with the same moment."""
    return any(one == hook and one.until == hook.until for one in pod.open)
