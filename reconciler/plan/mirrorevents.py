"""Which Events a change of a mirror is worth: one for each change of state, none without. Pure.

An Event's name is made of what it says and of the version of the object that it speaks of: said
again, after a controller was killed, it is the same one.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.model import naming
from reconciler.plan.mirrorstatus import Protected, Reason, conditions_of

Raw = Mapping[str, Any]
CONTROLLER = f"{naming.GROUP}/controller"
_LONGEST_NOTE = 1024
_LONGEST_PREFIX = 200


class EventReason(enum.StrEnum):
    """Reasons of Events beside those of conditions (`Reason`)."""

    RECOVERED = "Recovered"
    RESUMED = "Resumed"
    PUT_BACK = "PutBack"
    RPO_MISSED = "RpoMissed"
    RPO_MET = "RpoMet"
    RUN_PARTIALLY_FAILED = "RunPartiallyFailed"
    RUN_FAILED = "RunFailed"
    RUN_FAILED_VALIDATION = "RunFailedValidation"
    PROTECTED = "Protected"
    PROTECTION_LOST = "ProtectionLost"
    CANNOT_PROTECT = "CannotProtect"
    HOOKS_LEFT_OPEN = "HooksLeftOpen"
    HOOK_POST_FAILED = "HookPostFailed"


@dataclass(frozen=True, slots=True)
class MirrorEvent:
    """One Event, before it has an object."""

    reason: str
    note: str
    warning: bool = False
    once: bool = False
    """Said once of its object, in whatever version that is by then."""


def hand_edit(fields: str, who: str) -> MirrorEvent:
    """Somebody changed what is Backstay's."""
    return MirrorEvent(
        EventReason.PUT_BACK,
        f"{fields} changed by {who}; being put back: this object shows what is in force; to change"
        " it, change the policy in Git",
        warning=True,
    )


def status_events(old: Raw, new: Raw) -> tuple[MirrorEvent, ...]:
    """What to tell when one status follows another; an empty one is that of a new object."""
    return (*_in_force(old, new), *_stalled(old, new), *_rpo(old, new), *_run(old, new))


def _in_force(old: Raw, new: Raw) -> Iterator[MirrorEvent]:
    before, after = (conditions_of(one).get("Ready") or {} for one in (old, new))
    if new.get("digest") and new.get("digest") != old.get("digest"):
        schedule = new.get("schedule") or {}
        yield MirrorEvent(
            Reason.APPLIED,
            f"{new.get('source')} of {new.get('revision')} is in force: {schedule.get('cron')}"
            f" ({schedule.get('timeZone')})",
        )
    was, is_now = (one.get("reason") == Reason.SUSPENDED for one in (before, after))
    if is_now and not was:
        yield MirrorEvent(Reason.SUSPENDED, str(after.get("message")))
    if was and after.get("reason") == Reason.APPLIED:
        yield MirrorEvent(EventReason.RESUMED, f"next run {new.get('nextRun', 'unknown')}")


def _stalled(old: Raw, new: Raw) -> Iterator[MirrorEvent]:
    before, after = (_own_trouble(one) for one in (old, new))
    was_lost, lost = (_alarm(one) for one in (old, new))
    if lost and lost != was_lost:
        yield MirrorEvent(Reason.BRANCH_REWOUND, lost, warning=True, once=True)
    if after and after != before:
        yield MirrorEvent(*after, warning=True)
    ready = conditions_of(new).get("Ready") or {}
    if (before or was_lost) and not (after or lost) and ready.get("status") == "True":
        yield MirrorEvent(EventReason.RECOVERED, str(ready.get("message")))


def _own_trouble(status: Raw) -> tuple[str, str] | None:
    """What stalls the policy itself; a Git server that is away would be told of each policy."""
    ready = conditions_of(status).get("Ready") or {}
    if ready.get("status") != "False":
        return None
    return str(ready.get("reason")), str(ready.get("message"))


def _alarm(status: Raw) -> str:
    """What is wrong with the policy's branch."""
    stalled = conditions_of(status).get("Stalled") or {}
    return str(stalled.get("message")) if stalled.get("reason") == Reason.BRANCH_REWOUND else ""


def _rpo(old: Raw, new: Raw) -> Iterator[MirrorEvent]:
    before, after = ((one.get("rpo") or {}) for one in (old, new))
    state = after.get("state")
    if state == before.get("state"):
        return
    if state == "Missed":
        newest = after.get("lastGood", "never")
        yield MirrorEvent(
            EventReason.RPO_MISSED,
            f"newest good recovery point: {newest}; promised one every"
            f" {after.get('promisedSeconds')} s",
            warning=True,
        )
    elif state == "Met" and before.get("state") == "Missed":
        yield MirrorEvent(EventReason.RPO_MET, f"recovery point of {after.get('lastGood')}")


def _run(old: Raw, new: Raw) -> Iterator[MirrorEvent]:
    before, after = ((one.get("lastRun") or {}) for one in (old, new))
    reason = f"Run{after.get('outcome')}"
    if after.get("name") != before.get("name") and reason in set(EventReason):
        yield MirrorEvent(
            reason, f"{after.get('name')}: backstay show run {after.get('name')}", warning=True
        )


def return_events(name: str, found: Protected | None, old: Raw, new: Raw) -> Iterator[MirrorEvent]:
    """What came while no controller looked, in one Event; ``old`` may be another's newer word."""
    if found is None or not found.came:
        return
    if (old.get("protected") or {}).get("newest") == found.newest:
        return
    told = ", ".join(found.came) + (f" and {found.more} more" if found.more else "")
    coming = new.get("nextRun")
    suspended = (conditions_of(new).get("Ready") or {}).get("reason") == Reason.SUSPENDED
    why = "is suspended" if suspended else "has no next run"
    ends = (
        f"protected by {name} from its next run at {coming}"
        if coming
        else f"unprotected: policy {name} would protect them and {why}"
    )
    yield MirrorEvent(
        EventReason.PROTECTED if coming else EventReason.CANNOT_PROTECT,
        f"new at the controller's return: {told}: {ends}",
        warning=not coming,
        once=True,
    )


def make_event(told: MirrorEvent, live: Raw, *, instance: str, now: datetime) -> dict[str, Any]:
    """The Event (events.k8s.io/v1) about a mirror as it is stored now."""
    metadata = live["metadata"]
    version = "" if told.once else metadata["resourceVersion"]
    said = "\0".join((metadata["uid"], version, told.reason, told.note))
    name = metadata["name"][:_LONGEST_PREFIX]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{name}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "regarding": {
            "apiVersion": live["apiVersion"],
            "kind": live["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if told.warning else "Normal",
        "reason": told.reason,
        "action": "Reconcile",
        "note": _cut(told.note),
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
    }


def _cut(text: str) -> str:
    """The API server takes 1 kB of a note."""
    raw = text.encode()
    if len(raw) <= _LONGEST_NOTE:
        return text
    return raw[: _LONGEST_NOTE - 3].decode(errors="ignore") + "…"
