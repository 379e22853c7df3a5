"""Coverage as a comment of a pull request: the counts, what is unprotected, the rest folded away.

Every text that policies or manifests hold stands in a code span or is escaped: a name must not
become a link, a mention or a heading. Long tables end with how many rows they leave out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.model.protection import Protection, ProtectionLine, State, Subject
from reconciler.report import coverage

MOST_ROWS = 100
"""Per table: GitHub takes 65,536 characters in a comment."""
_LONGEST = 200
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~@&]|:(?=//))")


def render_markdown(protection: Protection, failed: Sequence[str] = ()) -> str:
    """One comment."""
    return "\n".join(_lines(protection, failed)) + "\n"


def _lines(protection: Protection, failed: Sequence[str]) -> Iterator[str]:
    yield f"### {escape(coverage.title(protection))}"
    yield ""
    yield from (f"- :x: {escape(one)}" for one in failed)
    if failed:
        yield ""
    head, *rows = coverage.table(protection)
    yield from _table([cell.capitalize() for cell in head], rows)
    for state in State:
        found = list(protection.of(state))
        if found:
            yield ""
            yield from _section(state, found, protection)
    notes = [f"{one.severity}: {one.message}" for one in protection.findings]
    if notes or protection.notes:
        yield ""
    yield from (f"- {escape(note)}" for note in (*notes, *protection.notes))


def _section(
    state: State, lines: Sequence[ProtectionLine], protection: Protection
) -> Iterator[str]:
    name = str(state).capitalize()
    folded = state is not State.UNPROTECTED
    yield f"<details><summary>{name}: {len(lines)}</summary>" if folded else f"#### {name}"
    yield ""
    yield from _table(["What", "Why"], [_row(line, protection) for line in lines[:MOST_ROWS]])
    if len(lines) > MOST_ROWS:
        yield ""
        yield f"and {len(lines) - MOST_ROWS} more: `backstay coverage` has them all"
    if folded:
        yield ""
        yield "</details>"


def _row(line: ProtectionLine, protection: Protection) -> list[str]:
    told = [*coverage.explain(line, protection), *([line.note] if line.note else [])]
    what = f"{line.subject} `{_place(line)}`"
    if line.subject is Subject.TEMPLATE:
        what += f" of `{line.workload}`"
    return [what, "<br>".join(map(escape, told))]


def _place(line: ProtectionLine) -> str:
    return f"{line.namespace}/{line.name}" if line.name else line.namespace


def escape(text: str) -> str:
    """Text that Markdown takes as it is, cut where it is long."""
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return _SPECIAL.sub(r"\\\1", shown)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
