"""Executes a plan of schedules, once, under the controller's Lease.

A cycle that changes nothing never comes here, so it writes nothing, not even the Lease (I7): it
is taken for the first write and given back after the last. Two controllers may both look; they
never write at the same time. A plan is executed only under the Lease under which it was made: what
was planned before could undo what another controller has written since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconciler import ports
from reconciler.engine.keeper import Keeper
from reconciler.model import naming
from reconciler.model.errors import BackstayError, Interrupted, Stalled, Waiting
from reconciler.model.plan import Action, Change, Plan
from reconciler.model.store import parse_revision
from reconciler.plan.compare import differences

LEASE = "backstay-controller"
LEASE_SECONDS = 180
"""Longer than a list or a write takes on a machine with far too much to do: a Lease that runs out
meanwhile ends the cycle before its next write. Git may be slower, and is never asked under it."""
_ASK_AGAIN = 30.0
STATE = "backstay-state"
_RENEW_AFTER = timedelta(seconds=20)
Hold = Callable[[], None]
"""Renews the Lease when it is time; raises Waiting once it is not ours any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A change that was tried; ``error`` is None where it succeeded."""

    change: Change
    error: BackstayError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """The world that a plan is applied to."""

    writer: ports.ClusterWriter
    reporter: ports.Reporter
    clock: ports.Clock
    keeper: Keeper
    """Who we are, with our holder's name in the Lease: a pod, or a process of a machine."""
    stopped: Callable[[], bool]

    @property
    def holder(self) -> str:
        """Who we are in the Lease."""
        return self.keeper.holder

    def apply(self, plan: Plan, hold: Hold, memory: Memory) -> tuple[Done, ...]:
        """Every pending change, in order, and then the revision is remembered.

        ``hold`` is that of the `lease` under which ``plan`` was made and ``memory`` was read: where
        another Config is in force there, ours is noted first. What the API server refuses is told
        and left, with what depends on it; the rest goes on. Anything else ends it, and the next
        cycle plans again. Raises Waiting once the Lease is lost, Interrupted between two changes
        once it is time to stop.
        """
        done: list[Done] = []
        failed: set[str] = set()
        keeps = memory.keeper.config in ("", self.keeper.config)
        if plan.pending and (plan.approved or not keeps):
            hold()
            self.writer.apply(
                make_state(plan.namespace, plan.last, self.keeper, plan.revision, plan.approved)
            )
        for change in plan.pending:
            if self.stopped():
                raise Interrupted("asked to stop; the next cycle goes on")
            if change.policy in failed or change.heir in failed:
                # Its ConfigMap is not there: a CronJob without one would only fail. And an old
                # schedule is all that a renamed policy has until the new one is there.
                continue
            hold()
            error = self._execute(change)
            if error is not None:
                failed.add(change.policy)
            done.append(Done(change=change, error=error))
            self._tell(done[-1])
        if plan.remember and not failed:
            hold()
            self.writer.apply(make_state(plan.namespace, plan.remember, self.keeper))
        return tuple(done)

    def _execute(self, change: Change) -> BackstayError | None:
        try:
            if change.action is Action.DELETED:
                self.writer.delete(change.object, uid=change.uid, orphan=True)
            elif change.body is not None:
                self._compare(change, self.writer.apply(change.body))
        except Stalled as error:
            return error
        return None

    def _compare(self, change: Change, stored: ports.KubeObject) -> None:
        """A webhook that rewrites our fields makes every cycle write again: it must be known."""
        left = differences(change.body or {}, stored)
        if left:
            self.reporter.warning(
                "the cluster stored something else",
                object=f"{change.object.kind}/{change.object.name}",
                fields=tuple(str(one) for one in left),
                hint="look for a mutating webhook, and let it leave Backstay's namespace alone",
            )

    def _tell(self, done: Done) -> None:
        # At once, not at the end: what happened stays told when the next change ends the cycle.
        fields = describe(done.change)
        if done.error is None:
            self.reporter.event(str(done.change.action), **fields)
        else:
            fields |= {"error": done.error.message, "hint": done.error.hint}
            self.reporter.warning("refused", **fields)

    @contextmanager
    def lease(self, namespace: str) -> Iterator[Hold]:
        """Holds the Lease. Raises Waiting while another controller has it."""
        renewed: datetime | None = None

        def hold() -> None:
            nonlocal renewed
            now = self.clock.now()
            if renewed is not None and timedelta() <= now - renewed < _RENEW_AFTER:
                return  # a clock that was set back tells no age: then it is renewed at once
            if renewed is not None and now - renewed >= timedelta(seconds=LEASE_SECONDS):
                # Free again, maybe, and ours for the asking. But the plan is from before.
                raise Waiting(
                    "the Lease ran out before everything was written",
                    hint="the next cycle goes on; this one was held up for minutes",
                    retry_after=1,
                )
            owner = self.writer.acquire_lease(namespace, LEASE, self.holder, seconds=LEASE_SECONDS)
            if owner != self.holder:
                raise Waiting(
                    f"another controller, {owner}, is writing",
                    hint=f"one controller per namespace is enough; see Lease {namespace}/{LEASE}",
                    retry_after=_ASK_AGAIN,
                )
            renewed = now

        hold()
        try:
            yield hold
        finally:
            try:
                self.writer.release_lease(namespace, LEASE, self.holder)
            except BackstayError as error:
                # It ends by itself in three minutes.
                self.reporter.warning("lease not released", lease=LEASE, why=error.message)


def describe(change: Change) -> dict[str, object]:
    """A change as the fields of a log line."""
    return {
        "object": f"{change.object.kind}/{change.object.name}",
        "policy": change.policy,
        "source": change.source,
        "why": change.reason,
        "fields": change.fields,
    }


def make_state(
    namespace: str,
    revision: str,
    keeper: Keeper,
    approving: str = "",
    approved: Sequence[str] = (),
) -> dict[str, Any]:
    """The ConfigMap that remembers the last revision, for the brake on rewritten histories, and who
    wrote last by which Config (`reconciler.engine.keeper`).

    While deletions are executed that the revision ``approving`` approved, it remembers them too:
    killed in between, a cycle leaves fewer of them, which is another plan than was approved.
    """
    data = {"revision": revision, "keeper": keeper.holder, "config": keeper.config}
    if approved:
        data |= {"approving": approving, "approved": " ".join(approved)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": STATE, "namespace": namespace, "labels": naming.labels("state")},
        "data": data,
    }


@dataclass(frozen=True, slots=True)
class Memory:
    """What `make_state` wrote."""

    revision: str = ""
    approving: str = ""
    approved: frozenset[str] = frozenset()
    keeper: Keeper = field(default_factory=Keeper)

    def approved_by(self, revision: str) -> frozenset[str]:
        """The policies whose deletion this revision approved, where that was begun."""
        return self.approved if revision == self.approving else frozenset()


def read_state(state: ports.KubeObject | None) -> Memory:
    """What is remembered; nothing where there is none, or where it can't be what we wrote."""
    data = (state or {}).get("data") or {}
    last = str(data.get("revision", ""))
    try:
        parse_revision(last)
    except ValueError:
        last = ""
    names = frozenset(str(data.get("approved", "")).split())
    keeper = Keeper(str(data.get("keeper", "")), str(data.get("config", "")))
    return Memory(last, str(data.get("approving", "")), names, keeper)
