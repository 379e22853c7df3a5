"""A plan of a change as the one comment of a pull request, and as annotations of its lines.

The comment begins with a hidden marker by which CI finds it again, one per cluster. It stays below
GitHub's 65,536 characters, counted as bytes: first details go, then fields, then the quietest
findings, and it says where the rest is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from reconciler.model.change import ChangePlan, DocumentAction, DocumentChange, FieldChange
from reconciler.model.errors import Problem
from reconciler.model.finding import Finding, Place, Severity
from reconciler.policy.text import for_log
from reconciler.report.annotations import Relative, annotation, github_problems
from reconciler.report.change import in_base, protection, show_field, show_place, summary
from reconciler.report.markdown import comment_safe, escape, table

LIMIT = 65_536
_SIGNS = {
    Severity.ERROR: ":x:",
    Severity.WARNING: ":warning:",
    Severity.NOTE: ":information_source:",
}
_REST = "`backstay plan -o text` shows all of it: see the log of the job that wrote this"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much of each part is shown."""

    details: int = 1_000
    fields: int = 100_000
    findings: int = 100_000
    problems: int = 100_000

    def rest(self) -> Iterator[str]:
        """Where all of it is, if not here."""
        if self != Room():
            yield ""
            yield f"This is not all: {_REST}."


_ROOMS = (
    Room(),
    Room(details=5),
    Room(details=1, fields=200),
    Room(details=0, fields=50, problems=200),
    Room(details=0, fields=0, findings=200, problems=50),
    Room(details=0, fields=0, findings=60, problems=20),
    Room(details=0, fields=0, findings=20, problems=10),
    Room(details=0, fields=0, findings=5, problems=5),
)


def marker(cluster: str) -> str:
    """The comment's first line, which nobody sees: ``<!-- backstay-plan prod-eu -->``."""
    return f"<!-- backstay-plan {comment_safe(cluster) or '-'} -->"


def render_comment(plan: ChangePlan, *, limit: int = LIMIT) -> str:
    """The whole comment, shorter than ``limit`` characters."""
    return fit(lambda room: _lines(plan, room), limit)


def fit(lines: Callable[[Room], Iterator[str]], limit: int) -> str:
    """The fullest form that is short enough; the shortest is cut where even that is too long."""
    text = ""
    for room in _ROOMS:
        text, all_of_it = _up_to(lines(room), limit)
        if all_of_it:
            return text
    end = f"\nThis is not all: {_REST}.\n"
    return _up_to(text.splitlines(), limit - len(end))[0] + end


def _up_to(lines: Iterable[str], limit: int) -> tuple[str, bool]:
    """Whole lines that stay below the limit, and whether they are all."""
    size, taken = 0, list[str]()
    for line in lines:
        size += len(line.encode()) + 1
        if size >= limit:
            return "".join(taken), False
        taken.append(f"{line}\n")
    return "".join(taken), True


def _lines(plan: ChangePlan, room: Room) -> Iterator[str]:
    yield marker(plan.cluster)
    where = f" of {escape(plan.cluster)}" if plan.cluster else ""
    yield f"### Backstay: what this change does to the backups{where}"
    yield ""
    yield f"**{summary(plan)}**" + (f" · {protection(plan)}" if protection(plan) else "")
    if plan.problems:
        yield ""
        yield "#### It can't be merged like this"
        yield ""
        yield from problem_table(plan.problems, room)
    if plan.findings:
        yield ""
        yield from _findings(plan, room)
    if plan.changes and room.fields:
        yield ""
        yield from _changes(plan, room)
    if plan.notes:
        yield ""
    yield from (f"- {escape(note)}" for note in plan.notes)
    yield ""
    yield f"<sub>{escape(_short(plan.base))} → {escape(_short(plan.head))}</sub>"
    yield from room.rest()


def _short(revision: str) -> str:
    """``main@sha1:12ab34cd56``: no place for all forty digits."""
    name, mark, sha = revision.rpartition("@sha1:")
    return f"{name}{mark}{sha[:10]}" if mark else revision


def render_problems(
    problems: Sequence[Problem], summary: str, relative: Relative, *, limit: int = LIMIT
) -> str:
    """What `backstay validate` found, for a comment or a page; shorter than ``limit``."""

    def lines(room: Room) -> Iterator[str]:
        yield f"### Backstay: {escape(summary)}"
        if problems:
            yield ""
            yield from problem_table(problems, room, relative)
        if len(problems) > room.problems:
            yield ""
            yield "`backstay validate` names all of them: see the log of the job that wrote this."

    return fit(lines, limit)


def problem_table(
    problems: Sequence[Problem], room: Room, relative: Relative = str
) -> Iterator[str]:
    """Each with its line and its hint."""
    shown = problems[: room.problems]
    yield from table(("Line", "Problem"), (_problem(one, relative) for one in shown))
    if len(shown) < len(problems):
        yield ""
        yield f"and {len(problems) - len(shown)} more problems"


def _problem(one: Problem, relative: Relative) -> tuple[str, str]:
    hint = f"<br>{escape(one.hint)}" if one.hint else ""
    return escape(f"{relative(one.file)}:{one.line}"), f"{escape(one.message)}{hint}"


def _findings(plan: ChangePlan, room: Room) -> Iterator[str]:
    shown = plan.findings[: room.findings]
    yield from table(("", "What it does", "Line"), (signed(one, room) for one in shown))
    if len(shown) < len(plan.findings):
        yield ""
        yield f"and {len(plan.findings) - len(shown)} more findings, none louder than these"


def signed(one: Finding, room: Room) -> tuple[str, str, str]:
    """A finding as a row: its sign, what it says, its line."""
    cell = f"**{one.id}**: {escape(one.message)}"
    cell += "".join(f"<br>· {escape(line)}" for line in one.details[: room.details])
    if len(one.details) > room.details:
        cell += f"<br>· and {len(one.details) - room.details} more"
    if one.hint:
        cell += f"<br>*{escape(one.hint)}*"
    return _SIGNS[one.severity], cell, _place(one)


def _place(one: Finding) -> str:
    if one.place is None:
        return ""
    return escape(show_place(one.place)) + (" (before)" if in_base(one) else "")


def _changes(plan: ChangePlan, room: Room) -> Iterator[str]:
    rows = (row for change in plan.changes for row in _rows(change))
    total = sum(1 for change in plan.changes for _ in _rows(change))
    count = len(plan.changes)
    yield (f"<details><summary>What differs: {count} document{'s' if count > 1 else ''}</summary>")
    yield ""
    yield from table(("Document", "Field", "Line"), islice(rows, room.fields))
    if total > room.fields:
        yield ""
        yield f"and {total - room.fields} more"
    yield ""
    yield "</details>"


def _rows(change: DocumentChange) -> Iterator[tuple[str, str, str]]:
    name = f"{change.kind} {escape(change.name)}"
    if change.action is not DocumentAction.CHANGED or change.note or not change.fields:
        what = str(change.action) + (f": {escape(change.note)}" if change.note else "")
        yield name, what, _line(change.place)
    for field in change.fields:
        yield name, _field(field), _line(field.place)


def _field(field: FieldChange) -> str:
    profile = f" (profile {escape(field.profile)})" if field.profile else ""
    return f"{escape(show_field(field))}{profile}"


def _line(place: Place | None) -> str:
    return escape(show_place(place)) if place else ""


_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render_github(plan: ChangePlan) -> str:
    """Workflow commands of GitHub Actions: problems, then findings, loudest first."""
    text = github_problems(plan.problems, str)
    return text + "".join(map(finding_annotation, plan.findings)) + f"{summary(plan)}\n"


def finding_annotation(finding: Finding) -> str:
    """One finding beside its line; beside the file where the head has the line no more."""
    place: dict[str, str | int] = {}
    if finding.place is not None:
        place["file"] = finding.place.file
        if finding.place.line and not in_base(finding):
            place["line"] = finding.place.line
    lines = [finding.message, *finding.details, *filter(None, [finding.hint])]
    # GitHub's runner acts on `##[` wherever it stands in a line of the log.
    message = "\n".join(map(for_log, lines))
    return annotation(message, level=_LEVELS[finding.severity], title=finding.id, **place)
