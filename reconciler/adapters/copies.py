"""VolumeMover: makes a copy of a volume first where the task wants one, then has that moved.

The mover's Job is there first, suspended, and goes last: whatever kills a run, its Job tells the
next one what may be there. A copy is removed as soon as its mover has ended, before the result is
told, so there are never more of them than movers that work; a Job that was stopped before its time
says why, so the result stays the same for whoever looks next.

What comes next is decided by `reconciler.plan.copysteps`, from what the cluster has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from reconciler import ports
from reconciler.adapters.movers import JobMover
from reconciler.model import kinds, naming
from reconciler.model.errors import NotServed
from reconciler.model.volumes import (
    CopyKind,
    Leftover,
    MoveKind,
    MoveResult,
    MoveState,
    MoveTask,
    VolumeCopy,
)
from reconciler.plan import copyobjects, copysteps, moverjob, moverstatus
from reconciler.plan.begun import policy_of_run
from reconciler.plan.copyobjects import Mine

_MOST_STEPS = 12
"""Of one look; more are left to the next, so that nobody can keep this busy."""
_USUAL = 30.0
"""Seconds that a snapshot or a removal may take without a word."""
_PATIENCE = 300.0
"""Seconds that the removal of one copy may take; then it is a leftover."""

Raw = Mapping[str, Any]


class CopyMover:
    """One Job per task, and where the task wants it one copy of its volume."""

    def __init__(
        self,
        reader: ports.ClusterReader,
        writer: ports.ClusterWriter,
        settings: moverjob.MoverSettings | None = None,
        *,
        home: str,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """As `JobMover`; ``home`` is Backstay's own namespace, whatever a Job or a snapshot says.

        Whoever may make Jobs in another one could otherwise have copies of others removed.
        """
        self._home = home
        self._reader = reader
        self._writer = writer
        self._jobs = JobMover(reader, writer, settings, seconds=seconds)
        self._seconds = seconds
        self._since: dict[tuple[str, str], float] = {}
        """(Job uid, what it waits for) → since when."""

    def ensure(self, task: MoveTask) -> MoveResult:
        """As the port says."""
        copy = task.copy
        if copy is None:
            return self._jobs.ensure(task)
        # Whoever may not make copies leaves no Job behind, in each run another.
        job = self._jobs.hold(task, first=partial(self._see, task, copy))
        if "deletionTimestamp" in job["metadata"]:
            return MoveResult(state=MoveState.RUNNING)
        copy = replace(copy, taken=moverjob.taken_of(job))
        task = replace(task, copy=copy)
        if moverstatus.is_suspended(job) and not moverstatus.ended_because(job):
            return self._prepare(task, copy, job)
        result = moverjob.result_of(job) or self._jobs.ensure(task)
        if result.state is MoveState.RUNNING:
            told = self._waiting(str(_uid(job)), "start", result.message)
            return replace(told, taken=copy.taken if self._is_cut(task, copy) else "")
        return replace(self._put_away(task, copy, job, result) or result, taken=copy.taken)

    def cleanup(self, task: MoveTask) -> None:
        """As the port says; the cluster may take its time with a copy that is still in use."""
        if task.copy is not None:
            self._jobs.drop_keys(task)
            self._undo(task, task.copy, patient=False)
        self._jobs.cleanup(task)

    def leftovers(self, policy: str) -> tuple[Leftover, ...]:
        """As the port says; also snapshots whose Job is gone."""
        found = map(self._at_home, self._jobs.leftovers(policy))
        movers = [left for left in found if left is not None]
        there = {left.name for left in movers if left.copy}
        alone = (left for left in self._alone(policy) if left.name not in there)
        return tuple(sorted((*movers, *alone), key=lambda left: (left.namespace, left.name)))

    def remove(self, left: Leftover) -> bool:
        """As the port says."""
        if left.copy is None:
            return self._jobs.remove(left)
        place = moverjob.place_of(left)
        job = self._reader.get(kinds.JOBS, left.name, namespace=place)
        if _uid(job) != left.uid:
            alone = self._reader.get(kinds.SNAPSHOTS, left.name, namespace=left.namespace)
            if job is not None or _uid(alone) != left.uid:
                return False
        if job is not None:
            self._jobs.drop_keys(left)
        self._undo(left, left.copy, patient=False)
        if job is not None:
            self._jobs.remove(left)
        return True

    def _prepare(self, task: MoveTask, copy: VolumeCopy, job: Raw) -> MoveResult:
        """Makes what is missing; lets the Job go when its claim is there."""
        uid = str(_uid(job))
        for _ in range(_MOST_STEPS):
            step = copysteps.next_step(task, copy, self._see(task, copy), uid)
            match step:
                case copysteps.Make(obj):
                    self._writer.apply(obj)
                case copysteps.Unretain():
                    self._unretain(step)
                case copysteps.Fail(why):
                    return self._fail(task, copy, job, why)
                case copysteps.Wait(why):
                    if self._is_late(uid, "copy", copy.timeout):
                        told = f"not done after {copy.timeout} s: {why}"
                        return self._fail(task, copy, job, told)
                    return self._waiting(uid, "copy", why)
                case copysteps.Mount(taken, cut):
                    self._since.pop((uid, "copy"), None)
                    begun = replace(task, copy=replace(copy, taken=taken))
                    result = self._jobs.ensure(begun)
                    return replace(result, taken=taken if cut else "")
        return MoveResult(state=MoveState.RUNNING)

    def _fail(self, task: MoveTask, copy: VolumeCopy, job: Raw, why: str) -> MoveResult:
        result = self._jobs.stop(task, why)
        if result.state is MoveState.RUNNING:
            return result
        return self._put_away(task, copy, job, result) or result

    def _put_away(
        self, task: MoveTask, copy: VolumeCopy, job: Raw, result: MoveResult
    ) -> MoveResult | None:
        """Removes the copy of a mover that has ended; None when nothing is to be waited for."""
        uid = str(_uid(job))
        if not self._jobs.keep(task, result):
            return MoveResult(state=MoveState.RUNNING)
        why = self._undo(task, copy, patient=True)
        if why and not self._is_late(uid, "removal", _PATIENCE):
            return self._waiting(uid, "removal", f"its copy is being removed: {why}")
        for what in ("copy", "start", "removal"):
            self._since.pop((uid, what), None)
        return None

    def _waiting(self, uid: str, what: str, why: str) -> MoveResult:
        """RUNNING; a reason is worth telling only where it takes longer than usual."""
        told = why if self._is_late(uid, what, _USUAL) else ""
        return MoveResult(state=MoveState.RUNNING, message=told)

    def _undo(self, one: Mine, copy: VolumeCopy, *, patient: bool) -> str:
        """Removes what there is, in the safe order; what it has to wait for."""
        for _ in range(_MOST_STEPS):
            step = copysteps.next_undo(one, self._see_all(one, copy), patient=patient)
            match step:
                case None:
                    return ""
                case copysteps.Wait(why):
                    return why
                case copysteps.Unretain():
                    self._unretain(step)
                case copysteps.Remove(ref, uid):
                    self._writer.delete(ref, uid=uid)
        return "others change it meanwhile"

    def _unretain(self, step: copysteps.Unretain) -> None:
        changes = {"spec": {"deletionPolicy": "Delete"}}
        self._writer.patch(step.ref, changes, version=step.version)

    def _see(self, task: MoveTask, copy: VolumeCopy) -> copysteps.Seen:
        """No more than is needed: before it is ready, nothing is in Backstay's namespace."""
        if copy.method is CopyKind.CLONE:
            return self._see_all(task, copy)
        name = moverjob.name_of(task)
        snapshot = self._reader.get(kinds.SNAPSHOTS, name, namespace=task.namespace)
        if copysteps.is_ready(snapshot):
            return self._see_all(task, copy)
        return copysteps.Seen(snapshot=snapshot, bound=self._bound(snapshot))

    def _see_all(self, one: Mine, copy: VolumeCopy) -> copysteps.Seen:
        name, get = moverjob.name_of(one), self._reader.get
        claim = get(kinds.CLAIMS, name, namespace=moverjob.place_of(one))
        if copy.method is CopyKind.CLONE:
            return copysteps.Seen(claim=claim)
        try:
            snapshot = get(kinds.SNAPSHOTS, name, namespace=one.namespace)
            across = one.namespace != copy.home
            return copysteps.Seen(
                snapshot=snapshot,
                bound=self._bound(snapshot),
                content=get(kinds.SNAPSHOT_CONTENTS, name),
                handover=get(kinds.SNAPSHOTS, name, namespace=copy.home) if across else None,
                claim=claim,
            )
        except NotServed:
            return copysteps.Seen(claim=claim)

    def _bound(self, snapshot: Raw | None) -> Raw | None:
        """The content that a snapshot names; without a name, the one that is its own by its name.

        A status may come late, and whoever writes snapshots may empty it.
        """
        if snapshot is None:
            return None
        named, own = copyobjects.bound_name(snapshot), copyobjects.dynamic_name(snapshot)
        found = self._reader.get(kinds.SNAPSHOT_CONTENTS, named or own)
        if named in ("", own) or (found and copyobjects.is_content_of(snapshot, found)):
            return found
        true = self._reader.get(kinds.SNAPSHOT_CONTENTS, own)
        return true if true and copyobjects.is_content_of(snapshot, true) else found

    def _is_cut(self, task: MoveTask, copy: VolumeCopy) -> bool:
        """A snapshot was ready before its mover began; a clone is made when its pod is placed."""
        if copy.method is CopyKind.SNAPSHOT:
            return True
        place = moverjob.place_of(task)
        return copysteps.is_cut(
            self._reader.get(kinds.CLAIMS, moverjob.name_of(task), namespace=place)
        )

    def _is_late(self, uid: str, what: str, seconds: float) -> bool:
        now = self._seconds()
        return now - self._since.setdefault((uid, what), now) >= seconds

    def _alone(self, policy: str) -> Iterable[Leftover]:
        """Snapshots beside claims, told from those in Backstay's own namespace by what they say."""
        selector = ",".join(
            f"{key}={value}"
            for key, value in naming.labels(copyobjects.COMPONENT_COPY, policy=policy).items()
        )
        try:
            pages = list(self._reader.pages(kinds.SNAPSHOTS, label_selector=selector))
        except NotServed:
            return
        for raw in (raw for page in pages for raw in page):
            left = _leftover(raw)
            if left is None or left.copy is None or left.policy != policy:
                continue
            if left.copy.home == self._home:
                yield left

    def _at_home(self, left: Leftover) -> Leftover | None:
        """A Job counts only where Backstay itself makes it: its namespace is in ``copy.home``."""
        if left.copy is None:
            return left
        place = left.namespace if left.copy.method is CopyKind.CLONE else self._home
        if left.copy.home != place:
            return None
        return replace(left, copy=replace(left.copy, home=self._home))


def _leftover(raw: Raw) -> Leftover | None:
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    told = {key: annotations.get(key, "") for key in (naming.RUN, naming.CLAIM, naming.HOME)}
    left = Leftover(
        kind=MoveKind.BACKUP,
        run_id=told[naming.RUN],
        policy=annotations.get(naming.POLICY, ""),
        namespace=metadata["namespace"],
        claim=told[naming.CLAIM],
        name=metadata["name"],
        uid=metadata["uid"],
        ended=True,
        copy=moverjob.copy_of(raw, home=told[naming.HOME]),
    )
    named = moverjob.kind_of(
        left.name, run_id=left.run_id, namespace=left.namespace, claim=left.claim
    )
    dead = policy_of_run(left.run_id) == left.policy
    ours = dead and named is MoveKind.BACKUP and copyobjects.is_copy_of(left, raw)
    return left if ours and left.copy and left.copy.home else None


def _uid(raw: Raw | None) -> str | None:
    return str(raw["metadata"]["uid"]) if raw else None
