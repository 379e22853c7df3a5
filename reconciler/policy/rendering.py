"""Problems → text with the line and a caret below the place, or JSON. Never decides.

What a file says is shown without characters that a terminal would act on, or the log of a CI
system: whoever opens a pull request writes these lines. A long line is cut around the place, a
tab is one blank, and the caret counts columns of a terminal, in which some characters have two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.cells import cell_len

from reconciler.model import jsonform
from reconciler.model.errors import Problem
from reconciler.policy import text

WIDTH = 100
_LONGEST = 4096
_CONTEXT = 500
FORMAT_VERSION = 1
_FIRST, _REST = r"[^\s,\[\]{}:#\"']", r"(?:[^\s,\[\]{}:#]|:(?=[^\s,\[\]{}])|(?<=\S)#)*"
_WORD = re.compile(
    rf"\"(?:\\.|[^\"\\])*\"|'(?:''|[^'])*'|[&*!][^\s,\[\]{{}}]*|-(?=\s)"
    rf"|{_FIRST}{_REST}(?: +{_FIRST}{_REST})*"
)
"""A quoted scalar, an anchor, or a plain scalar with its blanks; a key ends at its colon."""
_CUT = "…"


Paint = Callable[[str, str], str]
"""Text and what it is (``place``, ``error``, ``hint``) → the text, maybe in a colour."""


def _unpainted(shown: str, _what: str) -> str:
    return shown


def render_problems(
    problems: Sequence[Problem], sources: Mapping[str, bytes], *, paint: Paint = _unpainted
) -> str:
    """All problems, each with its line where ``sources`` has the file, and their number."""
    lines = {file: _lines(sources[file]) for file in {p.file for p in problems} & set(sources)}
    parts = [_render(problem, lines.get(problem.file), paint) for problem in problems]
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


def _render(problem: Problem, lines: list[str] | None, paint: Paint) -> str:
    place = paint(f"{text.for_log(problem.file)}:{problem.line}:{problem.column}", "place")
    head = f"{place}: {paint('error', 'error')}: {text.for_log(problem.message)}\n"
    hint = paint(text.for_log(problem.hint), "hint") if problem.hint else ""
    if lines is None or problem.line > len(lines):
        return head + (f"     hint: {hint}\n" if hint else "")
    before, marked, after = _cut(*_parts(lines[problem.line - 1], problem.column - 1))
    caret = paint("^" * max(1, cell_len(marked)), "error")
    return (
        f"{head}{problem.line:5} | {text.for_log(before + marked + after).rstrip()}\n"
        f"      | {' ' * cell_len(before)}{caret}{' ' if hint else ''}{hint}\n"
    )


def _parts(line: str, column: int) -> tuple[str, str, str]:
    """What stands before the place, the word at it, and what follows, as far as it may be shown."""
    column = min(column, len(line))
    start = max(0, column - _CONTEXT)
    # Masked before it is cut: half a URL does not look like one. URLs are shorter than that.
    begin, end = max(0, start - _LONGEST), column + 2 * _CONTEXT
    around = text.mask(line[begin : end + _LONGEST])[start - begin : end - begin]
    shown = text.visible(around.replace("\t", " "))
    column -= start
    found = _WORD.match(shown, column)
    end = found.end() if found else column + 1
    return shown[:column], shown[column:end], shown[end:]


def _cut(before: str, marked: str, after: str) -> tuple[str, str, str]:
    """The three parts, together not wider than `WIDTH`; what had to go is a ``…``."""
    if cell_len(before + marked + after) <= WIDTH:
        return before, marked, after
    marked = _shorten(marked, WIDTH // 2)
    room = WIDTH - cell_len(marked)
    left = max(room // 2, room - cell_len(after))
    before = _shorten(before[::-1], left)[::-1]
    return before, marked, _shorten(after, room - cell_len(before))


def _shorten(shown: str, width: int) -> str:
    if cell_len(shown) <= width:
        return shown
    shown = shown[:width]
    while shown and cell_len(shown) > width - 1:
        shown = shown[:-1]
    return shown + _CUT
