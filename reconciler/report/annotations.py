"""What CI systems show beside a line of a pull request: GitHub's annotations, and SARIF.

GitHub: workflow commands, `docs.github.com/actions` "Workflow commands"; what a value may not hold
is escaped as actions/toolkit does it (``packages/core/src/command.ts``). SARIF: OASIS 2.1.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from urllib.parse import quote

from reconciler.model.errors import Problem

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}
_TITLE = "Backstay"
Relative = Callable[[str], str]
"""A file's name → its path in the repository."""


def annotation(
    message: str, *, level: str = "error", title: str = _TITLE, **place: str | int
) -> str:
    """One workflow command with its line end; ``place`` is file, line, col, endLine, endColumn.

    ``level`` is ``error``, ``warning`` or ``notice``.
    """
    properties = {**place, "title": title}
    shown = ",".join(
        f"{name}={_escape(str(value), _PROPERTY)}" for name, value in properties.items()
    )
    return f"::{level} {shown}::{_escape(message, _DATA)}\n"


def github_problems(problems: Iterable[Problem], relative: Relative) -> str:
    """An annotation per problem."""
    return "".join(
        annotation(
            _sentence(problem),
            file=relative(problem.file),
            line=problem.line,
            col=problem.column,
        )
        for problem in problems
    )


def sarif_problems(problems: Iterable[Problem], relative: Relative, version: str) -> str:
    """One SARIF document with a result per problem."""
    tool = {"driver": {"name": "backstay", "version": version, "rules": [{"id": "invalid"}]}}
    run = {
        "tool": tool,
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(problem, relative(problem.file)) for problem in problems],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=1) + "\n"


def _sarif_result(problem: Problem, file: str) -> dict[str, object]:
    return {
        "ruleId": "invalid",
        "level": "error",
        "message": {"text": _sentence(problem)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(str(PurePosixPath(file)))},
                    "region": {"startLine": problem.line, "startColumn": problem.column},
                }
            }
        ],
    }


def _sentence(problem: Problem) -> str:
    return f"{problem.message}\n{problem.hint}" if problem.hint else problem.message


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
