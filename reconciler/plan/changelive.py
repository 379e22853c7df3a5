"""What must not be missed in a plan against a cluster, in the form of a change's findings.

What the plan changes is told as between two revisions (`reconciler.plan.livechange`). What is said
here besides is told as long as it is so: what a brake holds, and where a run would fall short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.model.change import Revision
from reconciler.model.finding import FINDINGS, Finding, Place, Severity
from reconciler.model.plan import Action, Coverage, Plan
from reconciler.model.policy import BackupPolicy
from reconciler.plan.approval import render_trailer
from reconciler.plan.changecoverage import LOST
from reconciler.plan.changeempty import NOTHING
from reconciler.plan.changegrants import NOT_GRANTED, not_granted
from reconciler.plan.changehands import HANDED
from reconciler.plan.changepolicies import IMPOSSIBLE, REMOVED, RENAMED, SKIP_IT
from reconciler.plan.changeredaction import KEPT, kept
from reconciler.plan.changewhy import POLICY, method_path

REFUSED = "deletion-refused"
SKIPPED = "change-skipped"
MISSED = "hook-not-run"
APPROVED = "approval-loses"
LIVE_ONLY = frozenset({REFUSED, SKIPPED, MISSED, APPROVED})
"""Ids that only a plan against a cluster has."""
LIVE = frozenset(one for one in FINDINGS if not one.startswith(("exemption-", "restore-")))
"""All ids that it has: nothing in the cluster tells which Exemptions and Restores there were."""
STATE = frozenset({IMPOSSIBLE, NOTHING, NOT_GRANTED, KEPT})
"""Told of every policy as long as they are so, also where nothing changes."""
UNSEEN = frozenset({MISSED, APPROVED, *STATE})
"""Of these nothing is known where namespaces and claims can't be listed."""
_LOUDNESS = list(Severity)


def live_findings(
    plan: Plan, changes: Sequence[Finding] = (), head: Revision | None = None
) -> tuple[Finding, ...]:
    """Loudest first: ``changes`` of `LiveChange.findings`, what is held, what a run would lack.

    ``head`` has the lines of the policy files.
    """
    head = head or Revision(shown=plan.revision)
    seen = {coverage.policy for coverage in plan.coverage or ()}
    found = [one for one in changes if one.id not in STATE or one.policy not in seen]
    told = {one.facts.get("from", one.policy) for one in found if one.id in (REMOVED, RENAMED)}
    found += (one for one in _of_changes(plan, head) if one.id != REMOVED or one.policy not in told)
    found += _of_brakes(plan)
    for coverage in plan.coverage or ():
        found += _of_coverage(coverage, head)
    return tuple(
        sorted(found, key=lambda one: (_LOUDNESS.index(one.severity), one.id, one.message))
    )


def once_approved(plan: Plan, now: Iterable[Finding], then: Iterable[Finding]) -> Iterator[Finding]:
    """What protection goes with the deletions that ``plan`` holds, once somebody approves them.

    ``then``: the findings of the plan that is made with that word; ``now``: those without it.
    """
    told = {(one.id, one.message) for one in now}
    for one in then:
        if one.id in (LOST, HANDED) and (one.id, one.message) not in told:
            yield replace(
                one,
                id=APPROVED,
                severity=max(one.severity, Severity.WARNING, key=_LOUDNESS.index),
                message=f"once the deletions are approved: {one.message}",
                hint=f"`{render_trailer(plan.approval)}` approves it",
                facts={**one.facts, "finding": one.id},
            )


def _of_changes(plan: Plan, head: Revision) -> Iterator[Finding]:
    for change in plan.changes:
        if change.object.kind != "CronJob":
            continue
        name = change.policy or change.object.name
        file = change.source.rpartition("#")[0]
        there = Place(file) if file else None
        if change.action is Action.DELETED:
            yield Finding(
                id=REMOVED,
                severity=Severity.WARNING,
                message=f"policy {name} ends: {change.reason}",
                hint="its recovery points, manifests and snapshots stay",
                policy=change.policy,
                place=head.place(POLICY, name, "clusters") or there,
                facts={} if head.place(POLICY, name) else {"side": "base"},
            )
        elif change.action is Action.SKIPPED:
            yield Finding(
                id=SKIPPED,
                severity=Severity.WARNING,
                message=f"policy {name} stays as it is: {change.reason}",
                hint=change.hint,
                policy=change.policy,
                place=head.place(POLICY, name) or there,
            )


def _of_brakes(plan: Plan) -> Iterator[Finding]:
    for brake in plan.brakes:
        yield Finding(id=REFUSED, severity=Severity.WARNING, message=f"nothing is deleted: {brake}")


def _of_coverage(coverage: Coverage, head: Revision) -> Iterator[Finding]:
    name = coverage.policy
    selector = head.place(POLICY, name, "selector.namespaces")
    if not coverage.namespaces:
        yield Finding(
            id=NOTHING,
            severity=Severity.ERROR,
            message=f"policy {name} selects no namespace now: a run would fail",
            policy=name,
            place=selector,
        )
    if coverage.not_granted:
        yield not_granted(name, coverage.not_granted, coverage.grant, selector)
    for number, rule in enumerate(coverage.kept):
        yield kept(name, rule, head.place(POLICY, name, f"manifests.redact.keep[{number}]"))
    for miss in coverage.hooks_missed:
        if not miss.well:
            where = f"{miss.namespace}/{miss.pod}" if miss.pod else f"namespace {miss.namespace}"
            yield Finding(
                id=MISSED,
                severity=Severity.WARNING,
                message=f"policy {name} can't run hook {miss.hook} in {where}: {miss.why}",
                hint="the namespace would not be Completed",
                policy=name,
                namespace=miss.namespace,
                place=head.place(POLICY, name, _hook_path(head, name, miss.hook)),
                facts={"hook": miss.hook},
            )
    for line in coverage.claims:
        if line.possible or line.restoring:
            continue
        yield Finding(
            id=IMPOSSIBLE,
            severity=Severity.WARNING,
            message=f"policy {name} can't copy claim {line.namespace}/{line.claim}: {line.why}",
            hint=SKIP_IT,
            policy=name,
            namespace=line.namespace,
            claim=line.claim,
            place=head.place(POLICY, name, method_path(line.why)),
        )


def _hook_path(head: Revision, policy: str, hook: str) -> str:
    document = head.document(POLICY, policy)
    value = document.value if document else None
    names = [one.name for one in value.hooks] if isinstance(value, BackupPolicy) else []
    return f"hooks[{names.index(hook)}]" if hook in names else "hooks"
