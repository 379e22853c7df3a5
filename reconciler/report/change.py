"""A plan of a change for a terminal and for programs. Decides nothing and leaves nothing out.

It begins with what a reviewer must not miss. The JSON form is a contract: one document with
``formatVersion``; fields may be added within a version. docs/plan.md shows all forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.change import ChangePlan, DocumentChange, FieldChange, Protected
from reconciler.model.finding import Finding, Place, Severity
from reconciler.policy.text import for_log
from reconciler.report.differences import difference
from reconciler.report.plan import problem_json

FORMAT_VERSION = 1
_WIDTH = 8


def render_text(plan: ChangePlan) -> str:
    """Lines: problems, findings, what differs, what could not be known, and a summary."""
    return "\n".join(map(for_log, _lines(plan))) + "\n"


def title(plan: ChangePlan) -> str:
    """``Plan of a change for prod-eu: main@sha1:12… to HEAD@sha1:ab…``."""
    where = f" for {plan.cluster}" if plan.cluster else ""
    return f"Plan of a change{where}: {plan.base} to {plan.head}"


def _lines(plan: ChangePlan) -> Iterator[str]:
    yield title(plan)
    if plan.problems:
        yield ""
    for problem in plan.problems:
        yield str(problem)
        if problem.hint:
            yield f"{'':<{_WIDTH}}hint: {problem.hint}"
    if plan.findings:
        yield ""
    for finding in plan.findings:
        yield from finding_lines(finding)
    for change in plan.changes:
        yield ""
        yield from _change_lines(change)
    yield ""
    yield from (f"note: {note}" for note in plan.notes)
    counted = protection(plan)
    if counted:
        yield counted
    yield summary(plan)


def finding_lines(finding: Finding) -> Iterator[str]:
    """One finding: severity and sentence, its details, what to do, its id and its line."""
    indent = " " * _WIDTH
    yield f"{finding.severity:<{_WIDTH}}{finding.message}"
    yield from (f"{indent}  {detail}" for detail in finding.details)
    if finding.hint:
        yield f"{indent}hint: {finding.hint}"
    place = f", {show_place(finding.place)}" if finding.place else ""
    base = " (before the change)" if in_base(finding) and place else ""
    yield f"{indent}[{finding.id}]{place}{base}"


def in_base(finding: Finding) -> bool:
    """Whether the finding's line is the base's: the head has it no more."""
    return finding.facts.get("side") == "base"


def show_place(place: Place) -> str:
    """``policies/shop.yaml:12``."""
    return f"{place.file}:{place.line}" if place.line else place.file


def _change_lines(change: DocumentChange) -> Iterator[str]:
    place = f", {show_place(change.place)}" if change.place else ""
    yield f"{change.action:<{_WIDTH}}{change.kind} {change.name}{place}"
    if change.note:
        yield f"{'':<{_WIDTH}}  {change.note}"
    for field in change.fields:
        yield f"{'':<{_WIDTH}}  {show_field(field)}{_origin(field)}"


def show_field(field: FieldChange) -> str:
    """``retention.keepDaily: 7 → 3``; of a long value what differs."""
    return difference(field.path, field.before, field.after, default=field.default)


def _origin(field: FieldChange) -> str:
    if not field.place:
        return ""
    profile = f" (profile {field.profile})" if field.profile else ""
    return f"  {show_place(field.place)}{profile}"


def protection(plan: ChangePlan) -> str:
    """``protected: 12 namespaces (11 before), 30 claims``; empty without an inventory."""
    if plan.before is None or plan.after is None:
        return ""
    spaces = _counted(plan.before.namespaces, plan.after.namespaces, "namespace")
    claims = _counted(plan.before.claims, plan.after.claims, "claim")
    return f"protected after it: {spaces}, {claims}"


def _counted(before: int, after: int, word: str) -> str:
    text = f"{after} {word if after == 1 else word + 's'}"
    return text if before == after else f"{text} ({before} before)"


def summary(plan: ChangePlan) -> str:
    """One line: ``1 error, 2 warnings, 3 notes; 1 changed; 1 problem``."""
    counts = plan.counts()
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
    found = [
        _plural(counts[severity], word) for severity, word in words.items() if counts[severity]
    ]
    actions: dict[str, int] = {}
    for change in plan.changes:
        actions[str(change.action)] = actions.get(str(change.action), 0) + 1
    parts = [", ".join(found) or "no finding"]
    if actions:
        parts.append(", ".join(f"{number} {action}" for action, number in sorted(actions.items())))
    if plan.problems:
        parts.append(_plural(len(plan.problems), "problem"))
    if plan.empty and not plan.problems:
        return "nothing changes for the backups"
    return "; ".join(parts)


def _plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def to_json(plan: ChangePlan) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "formatVersion": FORMAT_VERSION,
        "kind": "ChangePlan",
        "cluster": plan.cluster,
        "base": plan.base,
        "head": plan.head,
        "empty": plan.empty,
        "inventoryTaken": f"{plan.taken:%Y-%m-%dT%H:%M:%SZ}" if plan.taken else None,
        "summary": plan.counts(),
        "findings": [finding_json(finding) for finding in plan.findings],
        "changes": [_change_json(change) for change in plan.changes],
        "protected": {"before": _protected(plan.before), "after": _protected(plan.after)},
        "problems": [problem_json(problem) for problem in plan.problems],
        "notes": list(plan.notes),
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain values."""
    place = finding.place
    return {
        "id": finding.id,
        "severity": str(finding.severity),
        "message": finding.message,
        "hint": finding.hint,
        "policy": finding.policy,
        "namespace": finding.namespace,
        "claim": finding.claim,
        "file": place.file if place else "",
        "line": place.line if place else 0,
        "details": list(finding.details),
        "facts": dict(sorted(finding.facts.items())),
    }


def _change_json(change: DocumentChange) -> dict[str, Any]:
    return {
        "action": str(change.action),
        "kind": change.kind,
        "name": change.name,
        "file": change.place.file if change.place else "",
        "line": change.place.line if change.place else 0,
        "note": change.note,
        "fields": [
            {
                "path": field.path,
                "before": field.before,
                "after": field.after,
                "file": field.place.file if field.place else "",
                "line": field.place.line if field.place else 0,
                "profile": field.profile,
            }
            for field in change.fields
        ],
    }


def _protected(count: Protected | None) -> dict[str, int] | None:
    if count is None:
        return None
    return {"namespaces": count.namespaces, "claims": count.claims}
