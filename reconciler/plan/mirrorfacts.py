"""What is in force after a cycle, policy by policy, from what the cycle knows. Pure.

A cycle that failed knows little: then what the cluster holds is in force, and the failure is told
beside it. Nothing is taken for gone by such a cycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import naming
from reconciler.model.errors import BackstayError, Transient, Waiting
from reconciler.model.plan import Action, Change, Desired, History, Observed, Plan
from reconciler.plan.entries import Entry, find_entries, last_good, ours_by_name, policy_of
from reconciler.plan.mirrorruns import EndedRun
from reconciler.plan.mirrorstatus import InForce, Protected, Reason, Verdict

Raw = Mapping[str, Any]
_SOURCE_STEPS = frozenset({"fetch", "parse"})
REQUESTED_AT = f"{naming.GROUP}/requestedAt"
_LONGEST_REQUEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a cycle came to. Without a plan it failed, and ``trouble`` says how."""

    observed: Observed
    desired: Desired | None = None
    history: History | None = None
    plan: Plan | None = None
    refused: Mapping[str, BackstayError] = field(default_factory=dict)
    """Policy → what the API server said to a change of it."""
    trouble: Verdict | None = None
    alarms: Callable[[str], str] | None = lambda _: ""
    """Policy → what is wrong with its branch, empty where nothing is; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of policies beside their schedules, each by policy."""

    runs: Mapping[str, tuple[EndedRun, ...]] = field(default_factory=dict)
    requested: Mapping[str, str] = field(default_factory=dict)
    protected: Callable[[Entry], Protected | None] = lambda _: None


def find_in_force(outcome: Outcome, signs: Signs) -> Iterator[InForce]:
    """Every policy of the revision, and every schedule that is still there."""
    specs = _specs(outcome)
    held: dict[str, Change] = {}
    for change in outcome.plan.changes if outcome.plan else ():
        if change.action is Action.SKIPPED:
            held.setdefault(change.policy, change)
    entries = _entries(outcome)
    names = set(entries) | set(specs)
    config_maps = ours_by_name(outcome.observed.config_maps)
    cron_jobs = {policy_of(raw): raw for raw in ours_by_name(outcome.observed.cron_jobs).values()}
    for name in sorted(names):
        entry = entries.get(name)
        if entry is None:
            entry = Entry(name=name, source="", wanted=last_good(cron_jobs[name], config_maps))
        wanted = entry.wanted
        if not entry.held and name in cron_jobs and (name in held or name in outcome.refused):
            # What Git asks for did not get through: what was there is in force.
            wanted = last_good(cron_jobs[name], config_maps) or wanted
        yield InForce(
            name=name,
            wanted=wanted,
            spec=specs.get(name),
            verdict=_verdict(entry, name in entries, outcome, held.get(name)),
            runs=signs.runs.get(name, ()),
            protected=signs.protected(entry),
            requested=signs.requested.get(name, ""),
            alarm=outcome.alarms(name) if outcome.alarms is not None else None,
        )


def trouble_of(step: str, error: BackstayError) -> Verdict:
    """A cycle's failure as every policy's condition; what is in force stays so."""
    reason = Reason.SOURCE_FAILED if step in _SOURCE_STEPS else Reason.CYCLE_FAILED
    message = f"step {step}: {error.message}; what is in force stays, and runs go on"
    return Verdict(reason, _sentence(message, error.hint), isinstance(error, Transient | Waiting))


def may_delete(outcome: Outcome) -> bool:
    """Whether a mirror without a schedule and without a policy may go.

    Its schedule has gone already, with all brakes; this is for what a killed cycle left, so only
    the brakes that say "the policy may be there and not be seen" count.
    """
    desired, history = outcome.desired, outcome.history
    if desired is None or history is None or outcome.plan is None or outcome.trouble:
        return False
    if any(one.action is Action.DELETED and one.object.kind == "CronJob" for one in _done(outcome)):
        return True
    return history.path_found and not desired.problems and bool(desired.parsed.policies)


def _done(outcome: Outcome) -> Iterator[Change]:
    for change in outcome.plan.changes if outcome.plan else ():
        if change.changes and change.policy not in outcome.refused:
            yield change


def _entries(outcome: Outcome) -> dict[str, Entry]:
    if outcome.plan is None or outcome.desired is None or outcome.history is None:
        return {}
    return find_entries(outcome.desired, outcome.observed, outcome.history)


def _specs(outcome: Outcome) -> dict[str, Raw]:
    """Policy → the spec of its CronJob as it is after what was done."""
    specs = {
        policy_of(raw): raw["spec"]
        for raw in ours_by_name(outcome.observed.cron_jobs).values()
        if policy_of(raw)
    }
    for change in _done(outcome):
        if change.object.kind != "CronJob":
            continue
        if change.action is Action.DELETED:
            specs.pop(change.policy, None)
        elif change.body is not None:
            specs[change.policy] = change.body["spec"]
    return specs


def _verdict(
    entry: Entry, asked_for: bool, outcome: Outcome, held: Change | None
) -> Verdict | None:
    if outcome.trouble is not None or outcome.plan is None:
        return outcome.trouble
    name = entry.name
    if name in outcome.refused:
        error = outcome.refused[name]
        return Verdict(Reason.BLOCKED, _sentence(error.message, error.hint))
    if entry.held:
        if entry.wanted is None:
            return Verdict(Reason.INVALID_POLICY, entry.held)
        version = entry.wanted.revision or "an earlier revision"
        return Verdict(
            Reason.INVALID_POLICY, f"{entry.held}; its last good version, of {version}, stays"
        )
    if held is not None:
        reason = Reason.BLOCKED if asked_for else Reason.DELETION_HELD
        return Verdict(reason, _sentence(held.reason, held.hint))
    return None


def _sentence(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message


def requested_at(mirrors: tuple[Raw, ...]) -> dict[str, str]:
    """Policy → the value with which somebody asks for a cycle."""
    found = {}
    for raw in mirrors:
        value = (raw["metadata"].get("annotations") or {}).get(REQUESTED_AT)
        if value:
            found[raw["metadata"]["name"]] = str(value)[:_LONGEST_REQUEST]
    return found
