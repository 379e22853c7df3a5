"""Problems → text with the line and a caret, or JSON. Never decides.

What a file says is shown without characters that a terminal would act on, and long lines are cut
around the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from reconciler.model import jsonform
from reconciler.model.errors import Problem
from reconciler.policy import text

WIDTH = 100
_CONTEXT = 500
FORMAT_VERSION = 1
_WORD = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'|[^\s,\[\]{}:#\"']+")


def render_problems(problems: Sequence[Problem], sources: Mapping[str, bytes]) -> str:
    """All problems, each with its line where ``sources`` has the file, and their number."""
    lines = {file: _lines(sources[file]) for file in {p.file for p in problems} & set(sources)}
    parts = [_render(problem, lines.get(problem.file)) for problem in problems]
    return "".join(parts) + render_count(problems) + "\n"


def render_count(problems: Sequence[Problem]) -> str:
    """``2 problems in 1 file``."""
    files = {problem.file for problem in problems}
    return f"{_many(len(problems), 'problem')} in {_many(len(files), 'file')}"


def render_valid(counts: Iterable[tuple[int, str]]) -> str:
    """``3 policies, 1 repository: valid``."""
    return ", ".join(_many(number, what) for number, what in counts) + ": valid"


def render_json(problems: Sequence[Problem], counts: Mapping[str, int]) -> str:
    """One document with ``formatVersion``, ``valid``, ``counts`` and ``problems``."""
    return jsonform.dumps(
        {
            "formatVersion": FORMAT_VERSION,
            "valid": not problems,
            "counts": dict(counts),
            "problems": [jsonform.to_json(problem) for problem in problems],
        }
    )


def _many(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{number} {plural}"


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n")


def _render(problem: Problem, lines: list[str] | None) -> str:
    file = text.clip(problem.file, 4096)
    message = text.clip(problem.message, 1000)
    hint = text.clip(problem.hint, 1000)
    head = f"{file}:{problem.line}:{problem.column}: error: {message}\n"
    if lines is None or problem.line > len(lines):
        return head + (f"     hint: {hint}\n" if hint else "")
    shown, offset = _window(lines[problem.line - 1], problem.column - 1)
    caret = "^" * _span(shown, offset)
    return (
        f"{head}{problem.line:5} | {shown}\n"
        f"      | {' ' * offset}{caret}{' ' if hint else ''}{hint}\n"
    )


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a line around a column that fits, and the column in it."""
    column = min(column, len(line))
    start = 0 if len(line) <= WIDTH else max(0, min(column - WIDTH // 2, len(line) - WIDTH))
    shown = "".join(
        " " if character == "\t" else text.clip(character) for character in _masked(line, start)
    )
    column -= start
    return (shown.rstrip() if column < len(shown.rstrip()) else shown), column


def _masked(line: str, start: int) -> str:
    """The window that begins at ``start``, masked with what stands around it."""
    before = max(0, start - _CONTEXT)
    return text.mask(line[before : start + WIDTH + _CONTEXT])[start - before :][:WIDTH]


def _span(line: str, column: int) -> int:
    """How many characters the word at a column has; at least one."""
    found = _WORD.match(line, column)
    return len(found.group()) if found else 1
