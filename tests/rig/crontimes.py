"""Runs of a schedule as Kubernetes' own parser computes them: a small Go program, built once.

The program (tests/rig/go/crontimes) is robfig/cron in the version that the cluster's controller
has, pinned by go.sum.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import TZPATH

from tests.rig.cluster import shell
from tests.rig.goprograms import program

MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """All runs of a schedule in a zone, after ``since`` up to ``until``; seconds since 1970."""

    cron: str
    zone: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Seconds since 1970, or what the parser says against the schedule."""

    runs: tuple[int, ...]
    error: str


def ask(questions: Iterable[Question]) -> list[Answer]:
    """The answers, in order."""
    lines = [
        json.dumps({"cron": q.cron, "zone": q.zone, "from": q.since, "to": q.until, "most": MOST})
        for q in questions
    ]
    said = shell.run(
        [program("crontimes")], stdin="\n".join(lines), env={"ZONEINFO": zone_folder()}
    )
    found = [json.loads(line) for line in said.splitlines()]
    return [Answer(tuple(one["runs"] or ()), one.get("error", "")) for one in found]


def zone_folder(searched: Sequence[str] = TZPATH) -> str:
    """The zones that Python reads: two editions of the database are not what is compared."""
    for folder in searched:
        if (Path(folder) / "Europe" / "Berlin").exists():
            return folder
    return str(importlib.resources.files("tzdata") / "zoneinfo")
