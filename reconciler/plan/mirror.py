"""Which `BackupPolicy` objects the cluster should hold, and what to write so that it does. Pure.

A mirror shows what is in force; it is never read as intent. It is Backstay's whole, so an edit by
hand is put back, whoever made it; an object without our label is somebody else's and is not
touched. A mirror goes only after its CronJob has, so the brakes of that are its own (I1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.model import naming
from reconciler.model.kinds import BACKUP_POLICIES
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action
from reconciler.plan.compare import FIELD_MANAGER, all_differences, differences, foreign_owner
from reconciler.plan.cronjob import COMPONENT_POLICY, WantedPolicy
from reconciler.plan.entries import is_ours, policy_of
from reconciler.plan.mirrorevents import MirrorEvent, hand_edit, return_events, status_events
from reconciler.plan.mirrorruns import read_time
from reconciler.plan.mirrorspec import render_spec
from reconciler.plan.mirrorstatus import InForce, make_status, same_status

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorChange:
    """What is written of one mirror, but for its status, which follows from what is stored then."""

    action: Action
    policy: str
    reason: str
    object: ObjectRef
    found: InForce | None = None
    live: Raw | None = field(default=None, repr=False)
    body: Raw | None = field(default=None, repr=False)
    """What is created."""
    patch: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """JSON merge patch of labels, annotations and spec; empty where only the status changes."""
    events: tuple[MirrorEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusWrite:
    """JSON merge patch of a status, and what is told of it before."""

    patch: Mapping[str, Any]
    events: tuple[MirrorEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPlan:
    """What to write, in order; ``foreign`` are objects that are not Backstay's, by name.

    ``failed``: policies whose object can't be compared, with what came of trying.
    """

    changes: tuple[MirrorChange, ...] = ()
    foreign: tuple[str, ...] = ()
    failed: tuple[tuple[str, Exception], ...] = ()


def plan_mirrors(
    in_force: Iterable[InForce],
    mirrors: Sequence[Raw],
    *,
    namespace: str,
    may_delete: bool,
    now: datetime,
) -> MirrorPlan:
    """``may_delete``: whether what is not in force is gone from Git for sure."""
    live = {raw["metadata"]["name"]: raw for raw in mirrors}
    wanted = {found.name: found for found in in_force}
    changes: list[MirrorChange] = []
    failed: list[tuple[str, Exception]] = []
    for name in sorted(wanted):
        try:
            change = _change(wanted[name], live.get(name), namespace, now)
        except Exception as error:  # noqa: BLE001 - handed back; one odd object costs one policy
            failed.append((name, error))
            continue
        if change is not None:
            changes.append(change)
    foreign = sorted(name for name, raw in live.items() if not is_mirror(raw))
    gone = sorted(name for name, raw in live.items() if is_mirror(raw) and name not in wanted)
    if may_delete:
        changes += [_deletion(live[name], namespace) for name in gone]
    return MirrorPlan(changes=tuple(changes), foreign=tuple(foreign), failed=tuple(failed))


def is_mirror(raw: Raw) -> bool:
    """Whether the controller made it; a copy under another name is not its own."""
    return is_ours(raw) and policy_of(raw) == raw["metadata"]["name"]


def _ref(namespace: str, name: str) -> ObjectRef:
    return ObjectRef(
        group=BACKUP_POLICIES.group, kind=BACKUP_POLICIES.kind, namespace=namespace, name=name
    )


def _deletion(raw: Raw, namespace: str) -> MirrorChange:
    name = raw["metadata"]["name"]
    return MirrorChange(
        action=Action.DELETED,
        policy=name,
        reason=f"policy {name} is not in force any more; runs and recovery points stay",
        object=_ref(namespace, name),
        live=raw,
    )


def _change(found: InForce, live: Raw | None, namespace: str, now: datetime) -> MirrorChange | None:
    """None where nothing is to be written, or nothing may be."""
    ref = _ref(namespace, found.name)
    if live is None:
        if found.wanted is None:
            return None
        return MirrorChange(
            action=Action.CREATED,
            policy=found.name,
            reason=f"policy {found.name} has no such object yet",
            object=ref,
            found=found,
            body=make_mirror(found.wanted, namespace),
        )
    if not is_mirror(live):
        return None
    patch = _patch(found.wanted, live, namespace) if found.wanted else {}
    if not patch and plan_status(found, live, now) is None:
        return None
    edited = _edited(found, live) if "spec" in patch else ()
    return MirrorChange(
        action=Action.CONFIGURED,
        policy=found.name,
        reason="it was changed by hand" if edited else "what is in force changed",
        object=ref,
        found=found,
        live=live,
        patch=patch,
        events=edited,
    )


def make_mirror(wanted: WantedPolicy, namespace: str) -> dict[str, Any]:
    """The object, without its status."""
    name = wanted.policy.name
    return {
        "apiVersion": BACKUP_POLICIES.api_version,
        "kind": BACKUP_POLICIES.kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": naming.labels(COMPONENT_POLICY, policy=name),
            "annotations": wanted.annotations,
        },
        "spec": render_spec(wanted.policy),
    }


def _patch(wanted: WantedPolicy, live: Raw, namespace: str) -> dict[str, Any]:
    body = make_mirror(wanted, namespace)
    metadata: dict[str, dict[str, Any]] = {}
    for block in ("labels", "annotations"):
        # Whoever removes the last annotation removes the block.
        found = live["metadata"].get(block) or {}
        for one in differences(body["metadata"][block], found):
            metadata.setdefault(block, {})[one.path[0]] = one.wanted
    spec = merge_patch(live.get("spec") or {}, body["spec"])
    return ({"metadata": metadata} if metadata else {}) | ({"spec": spec} if spec else {})


def _edited(found: InForce, live: Raw) -> tuple[MirrorEvent, ...]:
    """What is told of a spec that another has changed since our last word on it."""
    seen = (live.get("status") or {}).get("observedGeneration")
    if found.wanted is None or seen in (None, live["metadata"].get("generation")):
        return ()
    changed = all_differences(render_spec(found.wanted.policy), live.get("spec") or {})
    paths = [("spec", *one.path) for one in changed]
    return (hand_edit(_fields(paths), _who(live, paths)),)


def plan_status(found: InForce, live: Raw, now: datetime) -> StatusWrite | None:
    """The status of a mirror as it is stored now; None where it is right already."""
    old = live.get("status") or {}
    metadata = live["metadata"]
    status = make_status(
        found,
        _trusted(live, old),
        created=read_time(metadata.get("creationTimestamp")) or now,
        generation=int(metadata.get("generation", 1)),
        now=now,
    )
    if same_status(status, old):
        return None
    foreign = [
        ("status", *one.path)
        for one in all_differences(status, old)
        if foreign_owner(live, ("status", *one.path))
    ]
    told = (hand_edit(_fields(foreign), _who(live, foreign)),) if foreign else ()
    came = return_events(found.name, found.protected, old, status)
    return StatusWrite(
        patch={"status": merge_patch(old, status)},
        events=(*told, *status_events(old, status), *came),
    )


def _trusted(live: Raw, old: Raw) -> dict[str, Any]:
    """A status without what somebody else has put into it."""
    return {
        key: value
        for key, value in old.items()
        if key in ("conditions", "protected") or not foreign_owner(live, ("status", key))
    }


def _fields(paths: Sequence[tuple[str, ...]]) -> str:
    return ", ".join(sorted({".".join(path[:3]) for path in paths}))


def _who(live: Raw, paths: Sequence[tuple[str, ...]]) -> str:
    found = {owner for path in paths if (owner := foreign_owner(live, path))}
    if not found:  # only removed something, and owns nothing
        entries: Iterator[Raw] = iter(live["metadata"].get("managedFields") or ())
        found = {str(one.get("manager")) for one in entries} - {FIELD_MANAGER}
    return " and ".join(sorted(found)) or "somebody"


def merge_patch(old: Raw, new: Raw) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes ``new`` of ``old``; empty if they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = merge_patch(before, value)
            if inner:
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
