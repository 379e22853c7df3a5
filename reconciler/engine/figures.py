"""Gathers what the controller measures from what a cycle saw. Asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from reconciler.engine.controller import Cycle
from reconciler.model import naming
from reconciler.model.cronhash import compile_schedule
from reconciler.model.errors import Interrupted, Waiting
from reconciler.model.figures import MOST_POLICIES, Figures, PolicyFigures
from reconciler.model.plan import Observed
from reconciler.model.policy import BackupPolicy
from reconciler.plan.crontimes import next_time

Raw = Mapping[str, Any]
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
        found = sorted(cycle.policies, key=lambda policy: policy.name)
        policies = _policies(found[:MOST_POLICIES], cycle.observed, cluster, now)
        count = len(found)
    return Figures(
        policies=policies,
        policy_count=count,
        unprotected=before.unprotected,
        revision_seen=seen,
        revision_in_force=_in_force(cycle) or before.revision_in_force,
        problems=problems,
    )


def _in_force(cycle: Cycle) -> str:
    """The revision that the cluster remembers after this cycle."""
    whole = cycle.error is None and not any(done.error for done in cycle.done)
    if whole and cycle.plan is not None and cycle.plan.remember:
        return cycle.plan.remember
    return cycle.last


def _policies(
    policies: Iterable[BackupPolicy], observed: Observed, cluster: str, now: datetime
) -> tuple[PolicyFigures, ...]:
    cron_jobs = {_policy_of(raw): raw for raw in observed.cron_jobs if _policy_of(raw)}
    good: dict[str, list[Raw]] = {}
    for job in observed.jobs:
        if _is_complete(job):
            for owner in job["metadata"].get("ownerReferences") or ():
                good.setdefault(str(owner.get("uid")), []).append(job)
    return tuple(
        _figures(policy, cron_jobs.get(policy.name), good, cluster, now) for policy in policies
    )


def _figures(
    policy: BackupPolicy,
    cron_job: Raw | None,
    good: Mapping[str, list[Raw]],
    cluster: str,
    now: datetime,
) -> PolicyFigures:
    ended: datetime | None = None
    began: datetime | None = None
    if cron_job is not None:
        ended = moment_of((cron_job.get("status") or {}).get("lastSuccessfulTime"))
        for job in good.get(str(cron_job["metadata"].get("uid")), ()):
            status = job["status"]
            began = _later(began, moment_of(status.get("startTime")))
            ended = _later(ended, moment_of(status.get("completionTime")))
    return PolicyFigures(
        name=policy.name,
        suspended=policy.suspend,
        last_success=ended,
        recovery_point=began or ended,
        next_run=None if policy.suspend else next_time(compile_schedule(policy, cluster), now),
        rpo=policy.objectives.rpo,
    )


def _policy_of(raw: Raw) -> str:
    return str((raw["metadata"].get("annotations") or {}).get(naming.POLICY, ""))


def _is_complete(job: Raw) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Complete" and c.get("status") == "True" for c in conditions)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment), default=None)


def moment_of(text: object) -> datetime | None:
    """A time as Kubernetes writes it; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
