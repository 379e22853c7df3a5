"""A plan against a cluster as it is shown first: what must not be missed, then every line of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.model.finding import Finding
from reconciler.model.plan import Coverage, Plan
from reconciler.policy.text import for_log
from reconciler.report import plan as report
from reconciler.report.annotations import github_problems
from reconciler.report.change import finding_json, finding_lines
from reconciler.report.changecomment import (
    LIMIT,
    Room,
    finding_annotation,
    fit,
    marker,
    problem_table,
    signed,
)
from reconciler.report.markdown import escape, table


def render_text(plan: Plan, findings: Sequence[Finding]) -> str:
    """Findings, then the plan."""
    lines = [line for finding in findings for line in finding_lines(finding)]
    text = "\n".join([*lines, "", ""] if lines else []) + report.render_text(plan)
    return "".join(f"{for_log(line)}\n" for line in text.splitlines())


def to_json(plan: Plan, findings: Sequence[Finding]) -> dict[str, Any]:
    """The plan's document with ``findings``."""
    return {**report.to_json(plan), "findings": [finding_json(one) for one in findings]}


def render_github(plan: Plan, findings: Sequence[Finding]) -> str:
    """Annotations; then, for the log, what each policy protects, and the summary."""
    text = github_problems(plan.problems, str) + "".join(map(finding_annotation, findings))
    lines = [line for one in plan.coverage or () for line in report.coverage_lines(one)]
    lines += [_approval(plan)] if plan.approval else []
    return text + "".join(f"{for_log(line)}\n" for line in (*lines, report.summary(plan)))


def _approval(plan: Plan) -> str:
    return f"to approve exactly these deletions, in a commit: Backstay-Approve: {plan.approval}"


def render_comment(plan: Plan, findings: Sequence[Finding], *, limit: int = LIMIT) -> str:
    """The same for a comment or a page, shorter than ``limit`` characters."""
    return fit(lambda room: _lines(plan, findings, room), limit)


def _lines(plan: Plan, findings: Sequence[Finding], room: Room) -> Iterator[str]:
    yield marker(plan.cluster)
    yield f"### Backstay: what the controller would do in {escape(plan.cluster)}"
    yield ""
    yield f"**{escape(report.summary(plan))}**"
    if plan.problems:
        yield ""
        yield from problem_table(plan.problems, room)
    if findings:
        yield ""
        yield from table(
            ("", "What it does", "Line"), [signed(one, room) for one in findings[: room.findings]]
        )
    if plan.changes and room.fields:
        yield ""
        yield from table(
            ("Object", "Action", "Why"),
            [
                (
                    escape(f"{one.object.kind}/{one.object.name}"),
                    str(one.action),
                    escape(one.reason),
                )
                for one in plan.changes[: room.fields]
            ],
        )
    if plan.coverage and room.fields:
        yield ""
        yield from _coverage(plan.coverage, room)
    if plan.approval or plan.notes:
        yield ""
    if plan.approval:
        yield f"- {escape(_approval(plan))}"
    yield from (f"- {escape(note)}" for note in plan.notes[: room.findings])
    yield ""
    yield f"<sub>{escape(plan.revision)}</sub>"
    yield from room.rest()


def _coverage(policies: Sequence[Coverage], room: Room) -> Iterator[str]:
    """What reaches furthest first, so that it is the last to be cut: grants and commands."""
    count = len(policies)
    word = "policy protects" if count == 1 else "policies protect"
    yield f"<details><summary>What {count} {word}, if run now</summary>"
    yield ""
    rows = [row for one in policies for row in _reach(one)]
    rows += (row for one in policies for row in _held(one))
    yield from table(
        ("Policy", "Claim or hook", "Method or command", "Why"),
        (tuple(map(escape, row)) for row in rows[: room.fields]),
    )
    if len(rows) > room.fields:
        yield ""
        yield f"and {len(rows) - room.fields} more"
    yield ""
    yield "</details>"


_Row = tuple[str, str, str, str]


def _reach(one: Coverage) -> Iterator[_Row]:
    """What allows it, what it leaves out, what it executes."""
    if one.grant:
        yield one.policy, "", "", f"allowed by {report.grant_words(one)}"
    yield from ((one.policy, "", "", f"leaves out {words}") for words in one.left_out)
    if one.guards:
        yield one.policy, "", "", one.guards
    for line in one.hooks:
        name = f"hook {line.hook} in {line.namespace}, {report.when(line)}"
        yield one.policy, name, line.command.shown, report.where_words(line)
    for miss in one.hooks_missed:
        where = f"{miss.namespace}/{miss.pod}" if miss.pod else miss.namespace
        what = "does not run" if miss.well else "can't run"
        yield one.policy, f"hook {miss.hook} in {where}", what, miss.why


def _held(one: Coverage) -> Iterator[_Row]:
    """Namespaces, each with its claims, and those that it passes over."""
    claims: defaultdict[str, list[_Row]] = defaultdict(list)
    for line in one.claims:
        name = f"claim {line.namespace}/{line.claim}"
        claims[line.namespace].append((one.policy, name, report.method_words(line), line.why))
    for namespace, why in one.namespaces:
        yield one.policy, f"namespace {namespace}", "", why
        yield from claims[namespace]
    for namespace, why in one.passed_over:
        yield one.policy, f"not namespace {namespace}", "", why
