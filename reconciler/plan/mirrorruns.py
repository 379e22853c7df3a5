"""What the Jobs of a policy's runs tell of how they went: no Git and no further request. Pure.

A Job says less than a record. It can't tell a run that was left out, because another was at work,
from one that did its work: both ended well. So of runs that overlap none counts as a recovery point
on its own word, and what can't be told is told as the worse of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from reconciler.model import naming
from reconciler.model.run import Outcome
from reconciler.plan.cronjob import COMPONENT_RUN
from reconciler.plan.entries import labels_of, policy_of

Raw = Mapping[str, Any]
MakeRunId = Callable[[str, datetime, str], str]
"""(policy, creation of its Job, the Job's uid) → run id; raises ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run whose Job ended. ``good``: since when its recovery point holds, None without one."""

    name: str
    started: datetime
    finished: datetime
    outcome: Outcome
    good: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    name: str
    started: datetime
    finished: datetime | None
    outcome: Outcome

    def overlaps(self, other: _Span) -> bool:
        return _until(self) >= other.started and _until(other) >= self.started


def ended_runs(jobs: Sequence[Raw], make_run_id: MakeRunId) -> dict[str, tuple[EndedRun, ...]]:
    """Policy → its runs that ended, oldest first."""
    spans: dict[str, list[_Span]] = {}
    for job in jobs:
        policy = policy_of(job)
        span = _span(job, policy, make_run_id)
        if policy and span is not None and labels_of(job).get(naming.COMPONENT) == COMPONENT_RUN:
            spans.setdefault(policy, []).append(span)
    return {policy: tuple(_judge_all(found)) for policy, found in spans.items()}


def _judge_all(spans: list[_Span]) -> list[EndedRun]:
    spans.sort(key=lambda span: (span.started, span.name))
    judged = [_judge(span, [other for other in spans if other is not span]) for span in spans]
    return [run for run in judged if run is not None]


def _judge(span: _Span, others: Sequence[_Span]) -> EndedRun | None:
    if span.finished is None:
        return None
    met = [other for other in others if span.overlaps(other)]
    outcome, good = span.outcome, None
    if outcome is Outcome.COMPLETED:
        ends = (span.finished, span.name)
        if any(o.started <= span.started and (_until(o), o.name) > ends for o in met):
            outcome = Outcome.SKIPPED
        elif all(other.outcome is Outcome.COMPLETED and other.finished for other in met):
            good = min([span.started, *(other.started for other in met)])
    return EndedRun(
        name=span.name, started=span.started, finished=span.finished, outcome=outcome, good=good
    )


def _until(span: _Span) -> datetime:
    return span.finished or datetime.max.replace(tzinfo=UTC)


def _span(job: Raw, policy: str, make_run_id: MakeRunId) -> _Span | None:
    metadata = job["metadata"]
    started = read_time(metadata.get("creationTimestamp"))
    if started is None:
        return None
    try:
        name = make_run_id(policy, started, str(metadata.get("uid", "")))
    except ValueError:
        return None
    outcome, finished = _end(job.get("status") or {})
    return _Span(name=name, started=started, finished=finished, outcome=outcome)


def _end(status: Raw) -> tuple[Outcome, datetime | None]:
    for condition in status.get("conditions") or ():
        if condition.get("status") != "True":
            continue
        when = read_time(condition.get("lastTransitionTime"))
        if condition.get("type") == "Complete":
            return Outcome.COMPLETED, read_time(status.get("completionTime")) or when
        if condition.get("type") == "Failed":
            return _failed(str(condition.get("message", ""))), when
    return Outcome.FAILED, None


def _failed(message: str) -> Outcome:
    """By the exit code, which the Job's controller quotes: "… failed with exit code 3 matching"."""
    _, _, rest = message.partition("failed with exit code ")
    code = rest.split(" ", 1)[0]
    return {"3": Outcome.PARTIALLY_FAILED, "4": Outcome.FAILED_VALIDATION}.get(code, Outcome.FAILED)


def read_time(text: object) -> datetime | None:
    """A time as the API server writes it; None for anything else."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
