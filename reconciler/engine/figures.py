"""Gathers what the controller measures from what a cycle saw. Asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.capture.message import make_run_id
from reconciler.engine.controller import Cycle
from reconciler.engine.inforce import policies_in_force
from reconciler.model.cronhash import compile_schedule
from reconciler.model.errors import Interrupted, Waiting
from reconciler.model.figures import MOST_POLICIES, Figures, PolicyFigures
from reconciler.model.plan import Observed
from reconciler.model.policy import BackupPolicy
from reconciler.plan.crontimes import next_time
from reconciler.plan.entries import policy_of
from reconciler.plan.mirror import is_mirror
from reconciler.plan.mirrorruns import ended_runs, read_time

OUTCOMES = ("done", "problems", "waiting", "interrupted", "failed")


def outcome_of(cycle: Cycle) -> str:
    """One of `OUTCOMES`."""
    if isinstance(cycle.error, Interrupted):
        return "interrupted"
    if isinstance(cycle.error, Waiting):
        return "waiting"
    if cycle.error is not None or any(done.error for done in cycle.done):
        return "failed"
    return "problems" if cycle.problems else "done"


def figures_of(before: Figures, cycle: Cycle, *, cluster: str, now: datetime) -> Figures:
    """What ``cycle`` saw, and of what it did not come to, what was known ``before``."""
    seen, problems, policies, count = (
        before.revision_seen,
        before.problems,
        before.policies,
        before.policy_count,
    )
    if cycle.files is not None:
        seen = cycle.files.revision
    if cycle.desired is not None:
        problems = len(cycle.problems)
    if cycle.desired is not None and cycle.observed is not None:
        policies = _schedules(cycle, before.policies, cluster, now)
        policies = _with_runs(policies, cycle, cycle.observed, before.policies, now)
        count = len(cycle.policies)
    return Figures(
        policies=policies,
        policy_count=count,
        unprotected=before.unprotected,
        revision_seen=seen,
        revision_in_force=revision_in_force(cycle) or before.revision_in_force,
        problems=problems,
        source_read=now if cycle.files else before.source_read and min(before.source_read, now),
    )


def revision_in_force(cycle: Cycle) -> str:
    """The revision that the cluster remembers after this cycle; empty where nobody knows."""
    whole = cycle.error is None and not any(done.error for done in cycle.done)
    if whole and cycle.plan is not None and cycle.plan.remember:
        return cycle.plan.remember
    return cycle.last


def _schedules(
    cycle: Cycle, before: tuple[PolicyFigures, ...], cluster: str, now: datetime
) -> tuple[PolicyFigures, ...]:
    """What is in force, and what Git asks for beside it, which no schedule runs."""
    in_force = policies_in_force(cycle)
    if in_force is None:
        return before
    found = {policy.name: policy for policy in cycle.policies} | in_force

    def figures(policy: BackupPolicy) -> PolicyFigures:
        runs = policy.name in in_force and not policy.suspend
        return PolicyFigures(
            name=policy.name,
            suspended=policy.suspend,
            next_run=next_time(compile_schedule(policy, cluster), now) if runs else None,
            rpo=policy.objectives.rpo,
        )

    return tuple(figures(found[name]) for name in sorted(found)[:MOST_POLICIES])


def _with_runs(
    policies: Iterable[PolicyFigures],
    cycle: Cycle,
    observed: Observed,
    before: Iterable[PolicyFigures],
    now: datetime,
) -> tuple[PolicyFigures, ...]:
    """What a Job tells goes with it: what was known before, here or by mirrors, stays known."""
    runs = ended_runs(observed.jobs, make_run_id)
    known = {policy.name: policy for policy in before}
    told = {
        policy_of(raw): read_time(((raw.get("status") or {}).get("rpo") or {}).get("lastGood"))
        for raw in cycle.look.mirrors or ()
        if is_mirror(raw)
    }

    def figures(policy: PolicyFigures) -> PolicyFigures:
        old = known.get(policy.name, policy)
        good = [run for run in runs.get(policy.name, ()) if run.good is not None]
        points = (old.recovery_point, told.get(policy.name))
        return replace(
            policy,
            last_success=_newest(now, (old.last_success,), (run.finished for run in good)),
            recovery_point=_newest(now, points, (run.good for run in good)),
        )

    return tuple(map(figures, policies))


def _newest(
    now: datetime, remembered: Iterable[datetime | None], seen: Iterable[datetime | None]
) -> datetime | None:
    """What is remembered of times to come is of a clock that was set back."""
    kept = [moment for moment in remembered if moment is not None and moment <= now]
    return max([*kept, *(moment for moment in seen if moment is not None)], default=None)
