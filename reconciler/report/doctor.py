"""A checkup as text and JSON. Every line says what, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from reconciler.model.doctor import Checkup, Finding, Level

_WIDTH = len("unknown")
_MANY = 3
"""More good answers of one check than this are counted, not shown."""


def render_text(checkup: Checkup) -> str:
    """For a terminal: one line for each answer, the next step below; the sum at the end."""
    return "\n".join(_lines(checkup)) + "\n"


def to_json(checkup: Checkup) -> dict[str, Any]:
    """One document; ``formatVersion`` goes up when a field changes its meaning."""
    return {
        "formatVersion": 1,
        "type": "doctor",
        "cluster": checkup.cluster,
        "uid": checkup.uid,
        "server": checkup.server,
        "who": checkup.who,
        "exitCode": checkup.exit_code,
        "counts": {str(level): checkup.count(level) for level in Level},
        "findings": [
            {
                "id": found.id,
                "level": str(found.level),
                "where": found.where,
                "message": found.message,
                "hint": found.hint,
            }
            for found in checkup.findings
        ],
    }


def _lines(checkup: Checkup) -> Iterator[str]:
    who = f", asked by {checkup.who}" if checkup.who else ""
    yield f"cluster {checkup.cluster}{f' ({checkup.server})' if checkup.server else ''}{who}"
    for group, found in groupby(checkup.findings, key=lambda one: one.group):
        yield ""
        yield group
        yield from _group(found)
    yield ""
    yield from _sum(checkup)


def _group(findings: Iterable[Finding]) -> Iterator[str]:
    for (identifier, level), same in groupby(findings, key=lambda one: (one.id, one.level)):
        found = tuple(same)
        if level is Level.OK and len(found) > _MANY:
            name = identifier.partition("/")[2]
            yield f"  {level:<{_WIDTH}}  {name}: {len(found)} times"
        else:
            yield from _each(found)


def _each(findings: Iterable[Finding]) -> Iterator[str]:
    for found in findings:
        name = found.id.partition("/")[2]
        place = f"{found.where}: " if found.where else ""
        yield f"  {found.level:<{_WIDTH}}  {name}: {place}{found.message}"
        if found.hint:
            yield f"  {'':<{_WIDTH}}  → {found.hint}"


def _sum(checkup: Checkup) -> Iterator[str]:
    counts = [
        _counted(checkup.count(level), level)
        for level in (Level.PROBLEM, Level.WARNING, Level.UNKNOWN)
        if checkup.count(level)
    ]
    if not counts:
        yield f"Nothing is wrong: {len(checkup.findings)} answers."
        return
    yield f"{', '.join(counts)} in {len(checkup.findings)} answers."


def _counted(count: int, level: Level) -> str:
    if level is Level.UNKNOWN:
        return f"{count} could not be asked"
    return f"{count} {level}{'' if count == 1 else 's'}"
