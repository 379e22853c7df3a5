"""A plan for people and for machines. Decides nothing and leaves nothing out.

The JSON form is a contract: one document with ``formatVersion``; fields may be added within a
version. docs/controller.md shows both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model import jsonform
from reconciler.model.errors import Problem
from reconciler.model.hooks import Phase
from reconciler.model.plan import Action, Change, ClaimLine, Coverage, HookLine, Plan
from reconciler.policy.text import mask

FORMAT_VERSION = 1
_INDENT = " " * 12


def render_text(plan: Plan) -> str:
    """Lines for a terminal: changes, what is protected, problems, notes, and a summary."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"Plan for {plan.cluster} at {plan.revision}, namespace {plan.namespace}"
    if plan.changes:
        yield ""
    for change in plan.changes:
        yield from _change_lines(change)
    for coverage in plan.coverage or ():
        yield ""
        yield from coverage_lines(coverage)
    if plan.problems:
        yield ""
    for problem in plan.problems:
        yield str(problem)
        if problem.hint:
            yield f"  hint: {problem.hint}"
    yield ""
    for brake in plan.brakes:
        yield f"warning: nothing is deleted: {brake}"
    if plan.approval:
        yield f"to approve exactly these deletions, in a commit: Backstay-Approve: {plan.approval}"
    for note in plan.notes:
        yield f"note: {note}"
    if plan.unprotected:
        yield f"unprotected: {plan.unprotected}; `backstay coverage` names them"
    yield summary(plan)


def _change_lines(change: Change) -> Iterator[str]:
    what = f"{change.object.kind}/{change.object.name}"
    yield f"{change.action:<{len(_INDENT)}}{what}: {change.reason}"
    if change.action in (Action.CONFIGURED, Action.SKIPPED):
        for field in _fields(change):
            yield f"{_INDENT}  {field}"
    if change.hint:
        yield f"{_INDENT}  hint: {change.hint}"


def _fields(change: Change) -> Iterator[str]:
    """What differs; a URL that is in force may hold a password, though none is taken any more."""
    for field in change.fields:
        path, _, _ = field.partition(": ")
        yield mask(field) if path.endswith(".url") else field


def coverage_lines(coverage: Coverage) -> Iterator[str]:
    """What a policy would protect now, by which grant, and what it executes: for a terminal."""
    if not coverage.namespaces:
        yield f"Policy {coverage.policy} selects no namespace now: a run would fail"
    else:
        yield f"Policy {coverage.policy} protects, if it runs now:"
    if coverage.grant:
        yield f"  allowed by {grant_words(coverage)}"
    for words in coverage.left_out:
        yield f"  leaves out {words}"
    if coverage.guards:
        yield f"  {coverage.guards}"
    for name, why in coverage.namespaces:
        yield f"  namespace {name}: {why}"
        for line in coverage.claims:
            if line.namespace == name:
                yield f"    claim {line.claim}: {method_words(line)}: {line.why}"
        yield from _hook_lines(coverage, name)
    for name, why in coverage.passed_over:
        yield f"  not namespace {name}: {why}"


def _hook_lines(coverage: Coverage, namespace: str) -> Iterator[str]:
    for line in coverage.hooks:
        if line.namespace == namespace:
            yield f"    hook {line.hook} {when(line)}: {line.command.shown}"
            yield f"      {where_words(line)}"
    for miss in coverage.hooks_missed:
        if miss.namespace == namespace:
            where = f" in {miss.pod}" if miss.pod else ""
            what = "does not run" if miss.well else "can't run"
            yield f"    hook {miss.hook} {what}{where}: {miss.why}"


def grant_words(coverage: Coverage) -> str:
    """``the grant of folder teams/a: mail, mail-*``."""
    given = "every namespace" if coverage.within is None else ", ".join(coverage.within)
    return f"the grant of folder {coverage.grant}: {given}"


def method_words(line: ClaimLine) -> str:
    """``Direct``, or ``Direct, not possible``."""
    return line.method if line.possible else f"{line.method}, not possible"


def when(line: HookLine) -> str:
    """``before the copy``."""
    return f"{'before' if line.phase is Phase.PRE else 'after'} the copy"


def where_words(line: HookLine) -> str:
    """``in db-0/mongo, db-1/mongo; timeout 30s, …``."""
    pods = ", ".join(f"{pod}/{container}" for pod, container in line.pods)
    once = " (once for the whole policy)" if line.once else ""
    return f"in {pods}{once}; {line.command.limits}"


def summary(plan: Plan) -> str:
    """One line: ``2 created, 1 unchanged; 1 problem``; says so when there is nothing to do."""
    counts = ", ".join(f"{count} {name}" for name, count in plan.counts().items() if count)
    problems = len(plan.problems)
    text = counts or "no policies"
    if problems:
        text += f"; {problems} problem{'s' if problems > 1 else ''}"
    return f"{text}; nothing to do" if plan.empty else text


def to_json(plan: Plan) -> dict[str, Any]:
    """The whole plan but for the objects' bodies, as plain values."""
    document: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "kind": "Plan",
        "cluster": plan.cluster,
        "namespace": plan.namespace,
        "revision": plan.revision,
        "empty": plan.empty,
        "summary": plan.counts(),
        "changes": [_change_json(change) for change in plan.changes],
        "problems": [problem_json(problem) for problem in plan.problems],
        "brakes": list(plan.brakes),
        "notes": list(plan.notes),
    }
    if plan.approval:
        document["approval"] = plan.approval
    if plan.coverage is not None:
        document["policies"] = [_coverage_json(coverage) for coverage in plan.coverage]
    if plan.unprotected is not None:
        document["unprotected"] = {
            "namespaces": plan.unprotected.namespaces,
            "claims": plan.unprotected.claims,
        }
    return document


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "action": str(change.action),
        "kind": change.object.kind,
        "namespace": change.object.namespace,
        "name": change.object.name,
        "policy": change.policy,
        "source": change.source,
        "reason": change.reason,
        "fields": list(_fields(change)),
        "hint": change.hint,
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    """A problem as plain values."""
    return {
        "file": problem.file,
        "document": problem.document,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def _coverage_json(coverage: Coverage) -> dict[str, Any]:
    document: dict[str, Any] = {
        "policy": coverage.policy,
        "namespaces": [{"name": name, "why": why} for name, why in coverage.namespaces],
        "passedOver": [{"name": name, "why": why} for name, why in coverage.passed_over],
        "claims": [
            {
                "namespace": line.namespace,
                "claim": line.claim,
                "method": line.method,
                "possible": line.possible,
                "why": line.why,
            }
            for line in coverage.claims
        ],
    }
    if coverage.grant:
        given = ["*"] if coverage.within is None else list(coverage.within)
        document["grant"] = {"folder": coverage.grant, "namespaces": given}
    if coverage.hooks or coverage.hooks_missed:
        document["hooks"] = [_hook_json(line) for line in coverage.hooks]
        document["hooksMissed"] = [jsonform.to_json(miss) for miss in coverage.hooks_missed]
    if coverage.guards:
        document["guards"] = coverage.guards
    if coverage.left_out:
        document["leftOut"] = list(coverage.left_out)
    return document


def _hook_json(line: HookLine) -> dict[str, Any]:
    return {
        "namespace": line.namespace,
        "hook": line.hook,
        "phase": str(line.phase),
        "command": list(line.command.command),
        "timeoutSeconds": line.command.timeout,
        "onError": str(line.command.on_error),
        "once": line.once,
        "pods": [{"pod": pod, "container": container} for pod, container in line.pods],
    }
