"""Keeps the `BackupPolicy` objects in the cluster as what is in force, at the end of each cycle.

Also after a cycle that failed, so that `kubectl get backuppolicies` says since when. Written under
the controller's Lease, and only where something changed (I7); each write is of the very version
that was looked at, so two controllers, or a hand at the same moment, never mix. And only while the
schedules are as the cycle left them: another controller may have brought a newer revision since.
Trouble here never stops the schedules: it is told with the cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler import ports
from reconciler.capture.message import make_run_id
from reconciler.engine import observe
from reconciler.engine.applying import Applier, Hold
from reconciler.engine.counting import Counting
from reconciler.engine.keeper import StoodBack
from reconciler.engine.refusals import Refusals
from reconciler.engine.storageclasses import StorageOnce
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model import kinds
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import Config
from reconciler.model.errors import BackstayError, Interrupted, NotServed, Refused, Waiting
from reconciler.model.plan import Action
from reconciler.plan.entries import Entry
from reconciler.plan.mirror import MirrorChange, MirrorPlan, plan_mirrors, plan_status
from reconciler.plan.mirrorcover import Counter, Marks, base_of, marks_of
from reconciler.plan.mirrorevents import MirrorEvent, make_event
from reconciler.plan.mirrorfacts import Outcome, Signs, find_in_force, may_delete, requested_at
from reconciler.plan.mirrorruns import ended_runs
from reconciler.plan.mirrorstatus import Protected

Raw = Mapping[str, Any]
Pair = tuple[Sequence[Namespace], Sequence[Claim]]
Known = Callable[[], Pair | None]
"""What a watch knows of the cluster; None where it knows nothing for sure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The mirrors as a cycle found them when it began; None where ``why`` kept it from looking."""

    mirrors: tuple[Raw, ...] | None = None
    why: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """What came of the mirrors in one cycle."""

    written: int = 0
    foreign: tuple[str, ...] = ()
    """BackupPolicy objects that are not Backstay's, by name."""
    why: str = ""
    """What kept them from being right; empty where nothing did."""
    hint: str = ""


def look(reader: ports.ClusterReader, namespace: str) -> Look:
    """What is there when a cycle begins: what is asked for later, the next cycle answers."""
    try:
        found = observe.read_all(reader, kinds.BACKUP_POLICIES, dict, namespace=namespace)
    except NotServed:
        return Look(
            why="the cluster does not serve BackupPolicy objects; schedules are kept all the same",
            hint="kubectl apply --server-side -f deploy/base/crd-backuppolicies.yaml",
        )
    except Interrupted:
        raise
    except BackstayError as error:
        return Look(why=error.message, hint=error.hint)
    return Look(mirrors=tuple(found))


@dataclass(slots=True)
class Absence:
    """Of this process, kept between its cycles: what came before its first good one is told by it.

    What comes later, `reconciler.engine.noticing` tells at once. One moment parts the two, so that
    each application is told by one of them: ``base`` is what there was then.
    """

    over: bool = False
    """Whether it was told."""
    base: Pair | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """The world that mirrors live in."""

    config: Config
    namespace: str
    reader: ports.ClusterReader
    applier: Applier
    as_left: Callable[[], bool] = lambda: True
    """Whether the schedules are still as the cycle left them; asked under the Lease."""
    may_write: Callable[[], None] = lambda: None
    """Raises StoodBack where another controller keeps them by another Config; asked before it."""
    known: Known = lambda: None
    refusals: Refusals = field(default_factory=Refusals)
    absence: Absence = field(default_factory=Absence)

    def mirror(self, seen: Look, outcome: Outcome) -> Mirrored:
        """Writes what differs. Raises Interrupted only."""
        if seen.mirrors is None:
            return Mirrored(why=seen.why, hint=seen.hint)
        try:
            told = self._mirror(seen.mirrors, outcome)
        except Interrupted:
            raise
        except StoodBack as error:
            return Mirrored(why=error.message, hint=error.hint)
        except Waiting:
            # Another controller is writing: its mirrors are as good as ours, and newer.
            return Mirrored()
        except BackstayError as error:
            return Mirrored(why=error.message, hint=error.hint)
        self.absence.over = self.absence.over or outcome.trouble is None
        return told

    def _mirror(self, seen: tuple[Raw, ...], outcome: Outcome) -> Mirrored:
        untold: list[str] = []
        protected, why = self._protected(
            {} if self.absence.over else marks_of(seen), untold, good=outcome.trouble is None
        )
        signs = Signs(
            runs=ended_runs(outcome.observed.jobs, make_run_id),
            requested=requested_at(seen),
            protected=protected,
        )
        in_force = tuple(find_in_force(outcome, signs))
        why = why or "".join(untold[:1])

        def plan(mirrors: Sequence[Raw]) -> MirrorPlan:
            return plan_mirrors(
                in_force,
                mirrors,
                namespace=self.namespace,
                may_delete=may_delete(outcome),
                now=self.applier.clock.now(),
            )

        planned = plan(seen)
        told = Mirrored(foreign=planned.foreign, why=why)
        for name, error in planned.failed:
            bug = explain_unexpected(
                error, self.applier.reporter, ended=f"the mirroring of policy {name}"
            )
            told = replace(told, why=bug.message, hint=bug.hint)
        changes, refused = self.refusals.standing(planned.changes, self.applier.clock.now())
        if refused is not None:
            told = replace(told, why=refused.message, hint=refused.hint)
        if not changes:
            return told
        self.may_write()
        with self.applier.lease(self.namespace) as hold:
            if not self.as_left():
                raise Waiting("the schedules were changed by another since this cycle looked")
            again = look(self.reader, self.namespace)
            if again.mirrors is None:
                return replace(told, why=again.why, hint=again.hint)
            return self._write(plan(again.mirrors).changes, hold, told)

    def _write(self, changes: Sequence[MirrorChange], hold: Hold, told: Mirrored) -> Mirrored:
        now = self.applier.clock.now()
        for change in self.refusals.standing(changes, now)[0]:
            if self.applier.stopped():
                raise Interrupted("asked to stop; the next cycle goes on")
            hold()
            try:
                written = self._execute(change)
            except Refused as error:
                self.refusals.note(change, error, now)
                told = replace(told, why=error.message, hint=error.hint)
            else:
                self.refusals.forget(change)
                told = replace(told, written=told.written + written)
        return told

    def _execute(self, change: MirrorChange) -> bool:
        """The object first, then what is told of it, then its status: see `mirrorevents`.

        False where it was changed since it was looked at, and nothing was written: the next cycle
        looks again.
        """
        writer, dropped = self.applier.writer, False
        if change.action is Action.DELETED and change.live is not None:
            gone = writer.delete(change.object, uid=change.live["metadata"]["uid"])
            if gone:
                self._log("mirror deleted", change)
            return gone
        live = change.live
        if change.body is not None:
            live, created = writer.create(change.body)
            if not created:
                return False  # somebody else's, made just now
            self._log("mirror created", change)
        elif change.patch and live is not None:
            self._announce(change.events, live)
            live = writer.patch(
                change.object, change.patch, version=live["metadata"]["resourceVersion"]
            )
            dropped = _is_same(live, change.live)
            if live is not None and not dropped:
                self._log("mirror configured", change)
        if live is None or change.found is None:
            return False
        status = plan_status(change.found, live, self.applier.clock.now())
        stored: Raw | None = None
        if status is not None:
            self._announce(status.events, live)
            version = live["metadata"]["resourceVersion"]
            stored = writer.patch(change.object, status.patch, version=version, status=True)
        if dropped or _is_same(stored, live):
            raise _dropped(change.object.name, "spec" if dropped else "status")
        return bool(change.body or change.patch) or stored is not None

    def _announce(self, events: Sequence[MirrorEvent], live: Raw) -> None:
        """Before the write that makes it true: a killed cycle's successor says the same again."""
        for told in events:
            reporter = self.applier.reporter
            tell = reporter.warning if told.warning else reporter.event
            name = live["metadata"]["name"]
            tell("policy event", policy=name, reason=told.reason, note=told.note)
            event = make_event(
                told, live, instance=self.applier.holder, now=self.applier.clock.now()
            )
            try:
                self.applier.writer.announce(event)
            except Refused as error:
                reporter.warning(
                    "event not written", reason=told.reason, why=error.message, hint=error.hint
                )

    def _log(self, message: str, change: MirrorChange) -> None:
        self.applier.reporter.event(message, policy=change.policy, why=change.reason)

    def _protected(
        self, marks: Marks, untold: list[str], *, good: bool
    ) -> tuple[Callable[[Entry], Protected | None], str]:
        """A function that counts, and why it can't where it can't.

        ``untold`` gets why it can't count what a policy protects that leaves its methods open.
        """
        found = self.known()
        try:
            found = found or (
                observe.observe_namespaces(self.reader),
                observe.observe_claims(self.reader),
            )
        except Refused as error:
            return (lambda _: None), error.message
        if good and not self.absence.over and self.absence.base is None:
            self.absence.base = found
        counter = Counter(
            *found,
            self.config,
            own_namespace=self.namespace,
            base=base_of(*self.absence.base) if marks and self.absence.base else None,
        )
        return Counting(counter, StorageOnce(self.reader), marks, untold).count, ""


def _is_same(stored: Raw | None, before: Raw | None) -> bool:
    """Whether a patch has changed nothing, though something was to be changed."""
    if stored is None or before is None:
        return False
    return bool(stored["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"])


def _dropped(name: str, what: str) -> Refused:
    return Refused(
        f"patch BackupPolicy/{name}: the cluster keeps nothing of what was written: {what}",
        hint="its definition is of another version: "
        "kubectl apply --server-side -f deploy/base/crd-backuppolicies.yaml",
    )
