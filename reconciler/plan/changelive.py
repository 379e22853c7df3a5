"""What must not be missed in a plan against a cluster, in the form of a change's findings."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.plan import Action, Change, Coverage, Plan
from reconciler.plan.changegrants import NOT_GRANTED, not_granted
from reconciler.plan.changepolicies import IMPOSSIBLE, REMOVED

REFUSED = "deletion-refused"
SKIPPED = "change-skipped"
NOTHING = "selects-nothing"
MISSED = "hook-not-run"
LIVE_ONLY = frozenset({REFUSED, SKIPPED, NOTHING, MISSED})
"""Ids that only a plan against a cluster has."""
LIVE = LIVE_ONLY | {REMOVED, IMPOSSIBLE, NOT_GRANTED}
"""All ids that it has."""
_LOUDNESS = list(Severity)


def live_findings(plan: Plan) -> tuple[Finding, ...]:
    """Loudest first: policies that select nothing or go, claims not copied, what is held."""
    found = [*_of_changes(plan), *_of_brakes(plan)]
    for coverage in plan.coverage or ():
        found += _of_coverage(coverage)
    return tuple(
        sorted(found, key=lambda one: (_LOUDNESS.index(one.severity), one.id, one.message))
    )


def _place(change: Change) -> Place | None:
    file = change.source.rpartition("#")[0]
    return Place(file) if file else None


def _of_changes(plan: Plan) -> Iterator[Finding]:
    for change in plan.changes:
        if change.object.kind != "CronJob":
            continue
        name = change.policy or change.object.name
        if change.action is Action.DELETED:
            yield Finding(
                id=REMOVED,
                severity=Severity.WARNING,
                message=f"policy {name} ends: {change.reason}",
                hint="its recovery points, manifests and snapshots stay",
                policy=change.policy,
            )
        elif change.action is Action.SKIPPED:
            yield Finding(
                id=SKIPPED,
                severity=Severity.WARNING,
                message=f"policy {name} stays as it is: {change.reason}",
                hint=change.hint,
                policy=change.policy,
                place=_place(change),
            )


def _of_brakes(plan: Plan) -> Iterator[Finding]:
    for brake in plan.brakes:
        yield Finding(id=REFUSED, severity=Severity.WARNING, message=f"nothing is deleted: {brake}")


def _of_coverage(coverage: Coverage) -> Iterator[Finding]:
    if not coverage.namespaces:
        yield Finding(
            id=NOTHING,
            severity=Severity.ERROR,
            message=f"policy {coverage.policy} selects no namespace now: a run would fail",
            policy=coverage.policy,
        )
    if coverage.not_granted:
        yield not_granted(coverage.policy, coverage.not_granted, coverage.grant)
    for miss in coverage.hooks_missed:
        if not miss.well:
            where = f"{miss.namespace}/{miss.pod}" if miss.pod else f"namespace {miss.namespace}"
            yield Finding(
                id=MISSED,
                severity=Severity.WARNING,
                message=f"policy {coverage.policy} can't run hook {miss.hook} in {where}:"
                f" {miss.why}",
                hint="the namespace would not be Completed",
                policy=coverage.policy,
                namespace=miss.namespace,
                facts={"hook": miss.hook},
            )
    for line in coverage.claims:
        if line.possible or line.restoring:
            continue
        yield Finding(
            id=IMPOSSIBLE,
            severity=Severity.WARNING,
            message=f"policy {coverage.policy} can't copy claim {line.namespace}/{line.claim}:"
            f" {line.why}",
            policy=coverage.policy,
            namespace=line.namespace,
            claim=line.claim,
        )
