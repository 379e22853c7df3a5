"""What a policy's runs say of it: how the last one ended, and whether one was missed. Pure.

Due times are those of the CronJob: five fields in a time zone. A time that was due before the
CronJob was there, or while it was suspended for all we know, is not missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.model.policy import BackupPolicy, Schedule
from reconciler.model.run import Outcome
from reconciler.plan import moverstatus
from reconciler.plan.podlife import moment_of
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.plan.runtimes import runs_between

Raw = Mapping[str, Any]
GRACE = timedelta(minutes=15)
"""How late a run may begin before it counts as missed."""
_EARLY = timedelta(minutes=1)
_MOST_MISSED = 100
_LEVELS = {
    Outcome.COMPLETED: Level.OK,
    Outcome.SKIPPED: Level.OK,
    Outcome.PARTIALLY_FAILED: Level.WARNING,
    Outcome.FAILED_VALIDATION: Level.PROBLEM,
    Outcome.FAILED: Level.PROBLEM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What is known of a policy's runs. ``points`` newest first, None where its branch could not be
    read; ``jobs`` are (run id, Job)."""

    policy: BackupPolicy
    namespace: str
    cron_job: Raw | None
    points: Sequence[RecoveryPoint] | None
    jobs: Sequence[tuple[str, Raw]] = ()
    pods: Sequence[Raw] = ()
    reasons: tuple[str, ...] = ()
    """Why the newest recorded run is not Completed."""


def judge_runs(runs: Runs, now: datetime) -> Iterator[Finding]:
    """The schedule, the last run and what was missed."""
    yield _schedule(runs)
    if runs.points is None:
        for check in ("last-run", "overdue"):
            yield _finding(
                runs, check, Level.UNKNOWN, "its branch could not be read",
                "see git/manifests and git/branches",
            )  # fmt: skip
        return
    yield _last_run(runs, runs.points)
    yield _overdue(runs, runs.points, now)


def _finding(runs: Runs, check: str, level: Level, message: str, hint: str = "") -> Finding:
    where = f"policy {runs.policy.name}"
    return Finding(id=f"policies/{check}", level=level, where=where, message=message, hint=hint)


def _schedule(runs: Runs) -> Finding:
    schedule = runs.policy.schedule
    told = f"{schedule.cron} ({schedule.time_zone})"
    name = naming.cronjob_name(runs.policy.name)
    if runs.cron_job is None:
        return _finding(
            runs, "schedule", Level.WARNING,
            f"CronJob {runs.namespace}/{name} is not there: nothing runs it",
            "the controller makes it; see installation/controller",
        )  # fmt: skip
    if runs.policy.suspend:
        return _finding(
            runs, "schedule", Level.INFO, "suspended in Git", "it runs once `suspend` is gone"
        )
    if (runs.cron_job.get("spec") or {}).get("suspend"):
        return _finding(
            runs, "schedule", Level.WARNING,
            f"somebody suspended CronJob {runs.namespace}/{name}",
            f"kubectl -n {runs.namespace} patch cronjob {name}"
            " -p '{\"spec\":{\"suspend\":false}}'",
        )  # fmt: skip
    return _finding(runs, "schedule", Level.OK, told)


def _last_run(runs: Runs, points: Sequence[RecoveryPoint]) -> Finding:
    recorded = {point.run_id for point in points}
    newest = points[0] if points else None
    jobs = sorted(runs.jobs, key=lambda one: str(one[1]["metadata"]["creationTimestamp"]))
    for run_id, job in reversed(jobs[-1:]):
        end = moverstatus.end_of(job)
        if run_id in recorded or end is None or end.complete:
            break
        name = job["metadata"]["name"]
        return _finding(
            runs, "last-run", Level.PROBLEM,
            f"run {run_id} failed and left no record: {_said(job, runs.pods) or end.message}",
            f"kubectl -n {runs.namespace} logs job/{name}",
        )  # fmt: skip
    if newest is None:
        return _finding(
            runs, "last-run", Level.INFO, "has no recorded run yet",
            f"it comes by schedule; at once: backstay run {runs.policy.name}",
        )  # fmt: skip
    level = _LEVELS[newest.outcome]
    message = f"{newest.run_id} {newest.outcome}"
    if level is Level.OK:
        return _finding(runs, "last-run", level, message)
    why = "; ".join(runs.reasons[:3])
    more = f"; and {len(runs.reasons) - 3} more" if len(runs.reasons) > 3 else ""
    return _finding(
        runs, "last-run", level, f"{message}: {why}{more}" if why else message,
        f"backstay show run {newest.run_id}",
    )  # fmt: skip


def _said(job: Raw, pods: Sequence[Raw]) -> str:
    """The end of what the Job's last pod said."""
    uid = job["metadata"].get("uid", "")
    texts = []
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or ()
        if not any(owner.get("uid") == uid for owner in owners):
            continue
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = (container.get("state") or {}).get("terminated") or {}
            lines = str(ended.get("message") or "").strip().splitlines()
            errors = [line for line in lines if line.startswith("error: ")]
            code = f"exit code {ended.get('exitCode')}"
            texts.append(errors[-1].removeprefix("error: ")[:300] if errors else code)
    return texts[-1] if texts else ""


def _overdue(runs: Runs, points: Sequence[RecoveryPoint], now: datetime) -> Finding:
    policy = runs.policy
    if broken := _broken_promise(runs, points, now):
        return _finding(
            runs, "overdue", Level.PROBLEM, broken,
            f"look at policies/last-run; at once: backstay run {policy.name}",
        )  # fmt: skip
    missed = missed_times(runs, points, now)
    if not missed:
        return _finding(runs, "overdue", Level.OK, "no run was missed")
    count = f"{len(missed)} runs were" if len(missed) > 1 else "1 run was"
    return _finding(
        runs, "overdue", Level.PROBLEM if len(missed) > 1 else Level.WARNING,
        f"{count} missed, the first at {missed[0]:%Y-%m-%dT%H:%M:%SZ}",
        f"kubectl -n {runs.namespace} describe cronjob {naming.cronjob_name(policy.name)}; at once:"
        f" backstay run {policy.name}",
    )  # fmt: skip


def _broken_promise(runs: Runs, points: Sequence[RecoveryPoint], now: datetime) -> str:
    """What ``objectives.rpo`` promises and is not so, or an empty string."""
    rpo = runs.policy.objectives.rpo
    good = next((point for point in points if point.outcome is Outcome.COMPLETED), None)
    made = moment_of(((runs.cron_job or {}).get("metadata") or {}).get("creationTimestamp"))
    since = good.started if good else min((p.started for p in points), default=made)
    if rpo is None or since is None or (now - since).total_seconds() <= rpo:
        return ""
    found = (
        f"the newest complete recovery point is {age_text(now - since)} old"
        if good
        else "there is no complete recovery point"
    )
    return f"{found}, and objectives.rpo promises {age_text(timedelta(seconds=rpo))}"


def missed_times(
    runs: Runs, points: Sequence[RecoveryPoint], now: datetime
) -> tuple[datetime, ...]:
    """Due times since the newest run at which none began, oldest first, at most 100.

    Before the CronJob was last written, runs were due by another schedule, or it was suspended.
    """
    cron_job = runs.cron_job
    if cron_job is None or runs.policy.suspend or (cron_job.get("spec") or {}).get("suspend"):
        return ()
    started = [point.started for point in points[:1]]
    created = [moment_of(job["metadata"].get("creationTimestamp")) for _, job in runs.jobs]
    last = (cron_job.get("status") or {}).get("lastScheduleTime")
    known = [*created, *_written(cron_job), moment_of(last)]
    since = max((one for one in (*started, *known) if one is not None), default=None)
    if since is None:
        return ()
    return tuple(due_times(runs.policy.schedule, since + _EARLY, now - GRACE))


def _written(cron_job: Raw) -> Iterator[datetime | None]:
    """When it was made, and when somebody last wrote it; controllers write its status only."""
    metadata = cron_job["metadata"]
    yield moment_of(metadata.get("creationTimestamp"))
    for entry in metadata.get("managedFields") or ():
        if entry.get("subresource") != "status":
            yield moment_of(entry.get("time"))


def due_times(schedule: Schedule, since: datetime, until: datetime) -> Iterator[datetime]:
    """Times of a compiled schedule in (since, until], UTC, as CronJob has them; at most 100."""
    return islice(runs_between(schedule, since, until), _MOST_MISSED)


def age_text(length: timedelta) -> str:
    """``3 d 2 h``, ``26 h``, ``40 min``."""
    minutes = int(length.total_seconds()) // 60
    hours = minutes // 60
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h" if hours >= 2 else f"{minutes} min"
