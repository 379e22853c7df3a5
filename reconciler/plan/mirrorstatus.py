"""The status of a policy's mirror: what is in force, how it goes, and its conditions. Pure.

Conditions follow kstatus (https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus):
`Ready` always, `Reconciling` and `Stalled` only while they are true, each with the generation it
speaks of. Every reason stands in `Reason`, and docs/status.md says what to do about each.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model.policy import Schedule
from reconciler.plan.cronjob import WantedPolicy
from reconciler.plan.crontimes import next_time
from reconciler.plan.mirrorruns import EndedRun, read_time

Raw = Mapping[str, Any]
Condition = dict[str, Any]
_Make = Callable[[str, str, "Reason", str], Condition]
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_LONGEST = 2000
"""Characters of a condition's message."""


class Reason(enum.StrEnum):
    """Why a condition is as it is: stable words, for programs."""

    APPLIED = "Applied"
    SUSPENDED = "Suspended"
    INVALID_POLICY = "InvalidPolicy"
    BLOCKED = "Blocked"
    DELETION_HELD = "DeletionHeld"
    SOURCE_FAILED = "SourceFailed"
    CYCLE_FAILED = "CycleFailed"
    BRANCH_REWOUND = "BranchRewound"

    @property
    def of_cycle(self) -> bool:
        """Whether it speaks of the whole cycle, not of this policy."""
        return self in (Reason.SOURCE_FAILED, Reason.CYCLE_FAILED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands in the way; ``retried`` where the controller tries again by itself."""

    reason: Reason
    message: str
    retried: bool = False


@dataclass(frozen=True, slots=True)
class Protected:
    """What a run would protect now."""

    namespaces: int
    claims: int
    newest: str = ""
    """When the youngest of them was created, ``2026-11-21T04:17:03Z``; empty where none says."""
    came: tuple[str, ...] = ()
    """The first of those that came since a status was last written, ``claim shop/data``."""
    more: int = 0
    """How many came beside these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One policy as it is after a cycle.

    ``wanted`` is None where its document is broken and no earlier version can be had; ``spec`` is
    that of its CronJob, None where it has none.
    """

    name: str
    wanted: WantedPolicy | None
    spec: Raw | None
    verdict: Verdict | None = None
    runs: Sequence[EndedRun] = ()
    protected: Protected | None = None
    requested: str = ""
    alarm: str | None = ""
    """What a run has found wrong with its branch; None where nobody knows, and it stays."""


def text_of(moment: datetime) -> str:
    """``2026-11-21T04:17:03Z``."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def make_status(
    found: InForce, old: Raw, *, created: datetime, generation: int, now: datetime
) -> dict[str, Any]:
    """The whole status; ``old`` is the one that stands there, ``created`` since when the mirror is.

    What only Jobs tell is kept from ``old`` once they are gone.
    """
    conditions = _conditions(found, old, generation, now)
    wanted = found.wanted
    if wanted is None:
        return {**old, "observedGeneration": generation, "conditions": conditions}
    schedule = _schedule(found)
    coming = None
    if schedule is not None and found.spec is not None and not found.spec.get("suspend"):
        coming = next_time(schedule, now)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": conditions,
        "revision": wanted.revision,
        "source": wanted.source,
        "digest": wanted.digest,
        "schedule": schedule and {"cron": schedule.cron, "timeZone": schedule.time_zone},
        "lastRun": _last_run(found.runs) or old.get("lastRun"),
        "nextRun": coming and text_of(coming),
        "rpo": _rpo(found, wanted.policy.objectives.rpo, old, created, now),
        "protected": old.get("protected"),
        "lastHandledReconcileAt": found.requested or old.get("lastHandledReconcileAt"),
    }
    if found.protected is not None:
        status["protected"] = {
            "namespaces": found.protected.namespaces,
            "claims": found.protected.claims,
        }
        if found.protected.newest:
            status["protected"]["newest"] = found.protected.newest
    return {key: value for key, value in status.items() if value not in (None, "")}


def _schedule(found: InForce) -> Schedule | None:
    """As the CronJob has it, also where somebody else has set it."""
    if found.spec is None:
        return None
    return Schedule(str(found.spec["schedule"]), str(found.spec.get("timeZone") or "Etc/UTC"))


def _last_run(runs: Sequence[EndedRun]) -> dict[str, str] | None:
    if not runs:
        return None
    last = runs[-1]
    return {
        "name": last.name,
        "outcome": str(last.outcome),
        "started": text_of(last.started),
        "finished": text_of(last.finished),
    }


def _rpo(
    found: InForce, promised: int | None, old: Raw, created: datetime, now: datetime
) -> dict[str, Any] | None:
    good = [run.good for run in found.runs if run.good is not None]
    kept = read_time((old.get("rpo") or {}).get("lastGood"))
    newest = max([*good, *([kept] if kept and kept <= now else [])], default=None)
    if promised is None and newest is None:
        return None
    told: dict[str, Any] = {"state": "Unknown"}
    if promised is not None:
        late = now - (newest or created) > timedelta(seconds=promised)
        told["promisedSeconds"] = promised
        told["state"] = "Missed" if late else "Met" if newest else "Unknown"
    if newest is not None:
        told["lastGood"] = text_of(newest)
        told["achievedSeconds"] = max(0, int((now - newest).total_seconds()))
    return told


def _conditions(found: InForce, old: Raw, generation: int, now: datetime) -> list[Condition]:
    before = conditions_of(old)

    def make(kind: str, status: str, reason: Reason, message: str) -> Condition:
        was = before.get(kind) or {}
        same = was.get("status") == status
        if same and reason.of_cycle and was.get("reason") == reason:
            message = _still(kind, str(was["message"]), message)
        return {
            "type": kind,
            "status": status,
            "observedGeneration": generation,
            "lastTransitionTime": _since(was["lastTransitionTime"], now) if same else text_of(now),
            "reason": str(reason),
            "message": _plain(message),
        }

    usual = _usual(found, before, make, generation, now)
    stalled = before.get("Stalled") or {}
    alarm = found.alarm
    if alarm is None and stalled.get("reason") == Reason.BRANCH_REWOUND:
        alarm = str(stalled.get("message"))
    if not alarm:
        return usual
    # Whatever else stalls the policy shows in Ready; what stalls the cycle, with other policies.
    others = [one for one in usual if one["type"] != "Stalled"]
    return [*others, make("Stalled", "True", Reason.BRANCH_REWOUND, alarm)]


def _usual(
    found: InForce, before: Mapping[str, Condition], make: _Make, generation: int, now: datetime
) -> list[Condition]:
    """By the schedule and the cycle."""
    verdict = found.verdict
    if verdict is None:
        return [make("Ready", "True", *_fine(found))]
    if not verdict.reason.of_cycle:
        pair = (verdict.reason, verdict.message)
        return [make("Ready", "False", *pair), make("Stalled", "True", *pair)]
    # The cycle failed: of this policy it says nothing new.
    ready = before.get("Ready") or make("Ready", "True", *_fine(found))
    own = before.get("Stalled")
    kept = [own] if own and not _is_of_other(own) else []
    kind = "Reconciling" if verdict.retried else "Stalled"
    told = make(kind, "True", verdict.reason, verdict.message)
    others = [one for one in kept if one["type"] != kind]
    still = [
        {
            **one,
            "observedGeneration": generation,
            "lastTransitionTime": _since(str(one.get("lastTransitionTime")), now),
        }
        for one in (ready, *others)
    ]
    return [*still, told]


def _still(kind: str, before: str, now: str) -> str:
    """What is said of trouble that goes on: the first word of it, so that a cycle writes nothing.

    What a server says of being away is never the same twice; that it is away is. But where somebody
    must act, what is wrong now counts: the key was renewed, and now the host key is another. What
    stands in brackets is the server's own word.
    """
    if kind == "Stalled" and _gist(before) != _gist(_plain(now)):
        return now
    return before


def _gist(message: str) -> str:
    return re.sub(r"\(.*\)", "", message)


def _since(text: str, now: datetime) -> str:
    """A moment of the past; one that is to come is of a clock that was set back."""
    when = read_time(text)
    return text_of(now) if when is None or when > now else text


def _plain(text: str) -> str:
    """Whoever opens a pull request writes parts of it, and a terminal shows it."""
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _is_of_other(condition: Raw) -> bool:
    """Whether it speaks of the cycle or the branch, not of what is in force."""
    others = (Reason.SOURCE_FAILED, Reason.CYCLE_FAILED, Reason.BRANCH_REWOUND)
    return condition.get("reason") in others


def _fine(found: InForce) -> tuple[Reason, str]:
    if found.wanted is not None and found.wanted.policy.suspend:
        return Reason.SUSPENDED, "suspended in Git: no new runs, and nothing is deleted"
    schedule = _schedule(found)
    shown = f"{schedule.cron} ({schedule.time_zone})" if schedule else "none"
    source = found.wanted.source if found.wanted else "an earlier revision"
    return Reason.APPLIED, f"schedule {shown} is in force, from {source}"


def conditions_of(status: Raw) -> dict[str, dict[str, Any]]:
    """Conditions by type."""
    found = status.get("conditions") or ()
    return {str(one.get("type")): dict(one) for one in found if isinstance(one, Mapping)}


def same_status(wanted: Raw, found: Raw) -> bool:
    """Whether nothing changed but the age of what is there."""
    return _ageless(wanted) == _ageless(found)


def _ageless(status: Raw) -> dict[str, Any]:
    rpo = {k: v for k, v in (status.get("rpo") or {}).items() if k != "achievedSeconds"}
    return {**status, "rpo": rpo}
