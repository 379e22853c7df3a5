"""What comes next for one volume's copy, told from what the cluster has now. Pure.

Forward: snapshot → its content set to `Delete`, so that nothing outlives it → ready → content and
snapshot in Backstay's own namespace → claim → the mover may mount it. Back: claim, snapshot and
content there, then the one beside the application's claim, whose content goes with it whatever its
class says. Nothing is remembered between two looks, so whoever continues a run goes on.

What has our name and is not ours is never written and never removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model import kinds
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.volumes import CopyKind, MoveTask, VolumeCopy
from reconciler.plan import copyobjects, moverstatus
from reconciler.plan.copyobjects import Mine
from reconciler.plan.moverjob import name_of

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is of one copy; None: it is not there. Of a clone there is a claim only."""

    snapshot: Raw | None = None
    """Beside the claim."""
    bound: Raw | None = None
    """The content that ``snapshot`` names."""
    content: Raw | None = None
    handover: Raw | None = None
    """The snapshot in Backstay's own namespace; none where ``snapshot`` itself is there."""
    claim: Raw | None = None


@dataclass(frozen=True, slots=True)
class Make:
    """Apply this."""

    obj: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unretain:
    """Set this content's deletionPolicy to Delete, if it still has this version."""

    ref: ObjectRef
    version: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete this very object."""

    ref: ObjectRef
    uid: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again later."""

    why: str


@dataclass(frozen=True, slots=True)
class Fail:
    """There will be no copy."""

    why: str


@dataclass(frozen=True, slots=True)
class Mount:
    """The mover may begin. ``cut``: the copy is made; a clone is made when its pod is placed."""

    taken: str
    cut: bool


Step = Make | Unretain | Wait | Fail | Mount
Undo = Unretain | Remove | Wait


def next_step(task: MoveTask, copy: VolumeCopy, seen: Seen, job_uid: str) -> Step:
    """Towards a claim that the mover of Job ``job_uid`` can mount."""
    if copy.method is CopyKind.CLONE:
        return _clone(task, copy, seen, job_uid)
    return _taken(task, copy, seen) or _handed_over(task, copy, seen, job_uid)


def next_undo(one: Mine, seen: Seen, *, patient: bool) -> Undo | None:
    """Towards nothing; None when nothing is left, or nothing that is ours.

    ``patient``: each is waited for before the next goes. Otherwise what is on its way is passed
    over, and the cluster does the rest: a driver refuses to remove what is in use, and is asked
    again.
    """
    order = (
        (kinds.CLAIMS, seen.claim),
        (kinds.SNAPSHOTS, seen.handover),
        (kinds.SNAPSHOT_CONTENTS, seen.content),
        (kinds.SNAPSHOTS, seen.snapshot),
    )
    for resource, raw in order:
        if raw is None or not copyobjects.is_copy_of(one, raw):
            continue
        ref = copyobjects.reference(resource, raw)
        if _is_going(raw):
            if patient:
                return Wait(f"{_named(ref)} is not gone yet")
            continue
        if raw is seen.snapshot and (unretain := _unretain(seen)):
            return unretain
        return Remove(ref, str(raw["metadata"]["uid"]))
    return None


def is_cut(claim: Raw | None) -> bool:
    """Whether a clone is made."""
    return ((claim or {}).get("status") or {}).get("phase") == "Bound"


def is_ready(snapshot: Raw | None) -> bool:
    """Whether a snapshot can be used."""
    return ((snapshot or {}).get("status") or {}).get("readyToUse") is True


def _clone(task: MoveTask, copy: VolumeCopy, seen: Seen, job_uid: str) -> Step:
    claim = seen.claim
    if claim is None:
        return Make(copyobjects.make_claim(task, copy, job_uid))
    return _not_usable(task, kinds.CLAIMS, claim, job_uid) or Mount(
        str(claim["metadata"].get("creationTimestamp") or ""), is_cut(claim)
    )


def _taken(task: MoveTask, copy: VolumeCopy, seen: Seen) -> Step | None:
    """Until the snapshot beside the claim is ready."""
    snapshot = seen.snapshot
    if snapshot is None:
        return Make(copyobjects.make_snapshot(task, copy))
    where = f"snapshot {task.namespace}/{snapshot['metadata']['name']}"
    if bad := _not_usable(task, kinds.SNAPSHOTS, snapshot):
        return bad
    source = ((snapshot.get("spec") or {}).get("source") or {}).get("persistentVolumeClaimName")
    if source != task.claim:
        return Fail(f"{where} is not of claim {task.claim}: somebody made another one of its name")
    if seen.bound is not None and not copyobjects.is_content_of(snapshot, seen.bound):
        name = copyobjects.bound_name(snapshot)
        return Fail(f"{where} names VolumeSnapshotContent {name}, which is another snapshot's")
    if unretain := _unretain(seen):
        return unretain
    if not is_ready(snapshot) or seen.bound is None or not copyobjects.handle_of(seen.bound):
        return Wait(f"{where} is not ready{_error(snapshot, seen.bound)}")
    return None


def _handed_over(task: MoveTask, copy: VolumeCopy, seen: Seen, job_uid: str) -> Step:
    """From the ready snapshot to the claim in Backstay's own namespace."""
    snapshot = seen.snapshot or {}
    # Of a claim of Backstay's own namespace the snapshot is there already.
    if task.namespace != copy.home and (step := _across(task, copy, seen, job_uid)):
        return step
    status = snapshot.get("status") or {}
    if seen.claim is None:
        size = str(status.get("restoreSize") or "")
        return Make(copyobjects.make_claim(task, copy, job_uid, restore_size=size))
    return _not_usable(task, kinds.CLAIMS, seen.claim, job_uid) or Mount(
        str(status.get("creationTime") or snapshot["metadata"]["creationTimestamp"]), cut=True
    )


def _across(task: MoveTask, copy: VolumeCopy, seen: Seen, job_uid: str) -> Step | None:
    """Until Backstay's own namespace has a snapshot with the same handle that is ready."""
    bound = seen.bound or {}
    if seen.content is None:
        return Make(copyobjects.make_content(task, copy, bound))
    if bad := _not_usable(task, kinds.SNAPSHOT_CONTENTS, seen.content):
        return bad
    held = ((seen.content.get("spec") or {}).get("source") or {}).get("snapshotHandle")
    if held != copyobjects.handle_of(bound):
        return Fail(f"VolumeSnapshotContent {name_of(task)} is of another snapshot")
    if seen.handover is None:
        return Make(copyobjects.make_handover(task, copy, job_uid))
    if bad := _not_usable(task, kinds.SNAPSHOTS, seen.handover, job_uid):
        return bad
    if not is_ready(seen.handover):
        name = f"{copy.home}/{name_of(task)}"
        return Wait(f"snapshot {name} is not ready{_error(seen.handover, seen.content)}")
    return None


def _not_usable(task: MoveTask, resource: Resource, raw: Raw, job_uid: str = "") -> Step | None:
    """Why an object of our name is not the one that is needed."""
    ref = copyobjects.reference(resource, raw)
    if not copyobjects.is_copy_of(task, raw):
        return Fail(f"{_named(ref)} is not Backstay's: somebody made one of this name; delete it")
    if _is_going(raw):
        return Wait(f"{_named(ref)} is being removed")
    owners = {owner.get("uid") for owner in raw["metadata"].get("ownerReferences") or ()}
    if job_uid and job_uid not in owners:
        return Wait(f"{_named(ref)} is of an earlier Job, and goes with it")
    return None


def _unretain(seen: Seen) -> Unretain | None:
    """The snapshot's own content, where it would outlive it."""
    snapshot, bound = seen.snapshot, seen.bound
    if snapshot is None or bound is None or not copyobjects.is_content_of(snapshot, bound):
        return None
    if (bound.get("spec") or {}).get("deletionPolicy") != "Retain" or _is_going(bound):
        return None
    ref = copyobjects.reference(kinds.SNAPSHOT_CONTENTS, bound)
    return Unretain(ref, str(bound["metadata"]["resourceVersion"]))


def _error(*found: Raw | None) -> str:
    for raw in found:
        error = ((raw or {}).get("status") or {}).get("error") or {}
        if error.get("message"):
            return f": {moverstatus.cut(error['message'])}"
    return ""


def _is_going(raw: Raw) -> bool:
    return "deletionTimestamp" in raw["metadata"]


def _named(ref: ObjectRef) -> str:
    return f"{ref.kind} {f'{ref.namespace}/' if ref.namespace else ''}{ref.name}"
