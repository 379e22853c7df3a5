"""A plan against a cluster as it is shown first: what must not be missed, then every line of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reconciler.model.finding import Finding
from reconciler.model.plan import Plan
from reconciler.report import plan as report
from reconciler.report.annotations import github_problems
from reconciler.report.change import finding_json, finding_lines
from reconciler.report.changecomment import LIMIT, Room, finding_annotation, fit, marker, signed
from reconciler.report.markdown import escape, table


def render_text(plan: Plan, findings: Sequence[Finding]) -> str:
    """Findings, then the plan."""
    lines = [line for finding in findings for line in finding_lines(finding)]
    head = "\n".join([*lines, "", ""]) if lines else ""
    return head + report.render_text(plan)


def to_json(plan: Plan, findings: Sequence[Finding]) -> dict[str, Any]:
    """The plan's document with ``findings``."""
    return {**report.to_json(plan), "findings": [finding_json(one) for one in findings]}


def render_github(plan: Plan, findings: Sequence[Finding]) -> str:
    """Annotations, and the summary for the log."""
    text = github_problems(plan.problems, str)
    return text + "".join(map(finding_annotation, findings)) + f"{report.summary(plan)}\n"


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
        rows = [
            (escape(f"{one.file}:{one.line}"), escape(one.message))
            for one in plan.problems[: room.problems]
        ]
        yield from table(("Line", "Problem"), rows)
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
    if plan.notes:
        yield ""
    yield from (f"- {escape(note)}" for note in plan.notes[: room.findings])
    yield ""
    yield f"<sub>{escape(plan.revision)}</sub>"
    yield from room.rest()
