"""The versions of one object, newest first: for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from reconciler.model.texts import for_log, visible
from reconciler.plan.blame import Version
from reconciler.plan.diff import ObjectChange
from reconciler.plan.pointnames import render_moment
from reconciler.report.diff import Paint, field_lines, fields_json, plain

Changes = Iterable[tuple[Version, ObjectChange]]


def text_lines(path: str, changes: Changes, paint: Paint = plain) -> Iterator[str]:
    """A line per version, its fields below."""
    yield for_log(visible(path)) + "\n"
    for version, change in changes:
        who = visible(version.run or "no run")
        since = " or before: this clone's history begins here" if version.cut else ""
        head = f"{render_moment(version.time)}  {who}  {version.commit.sha[:10]}"
        yield for_log(f"\n{head}  {paint(str(change.kind), str(change.kind))}{since}") + "\n"
        if change.note:
            yield for_log(f"    {visible(change.note)}") + "\n"
        for found in change.fields:
            yield from (for_log(line) + "\n" for line in field_lines(found, paint, "    "))


def document(policy: str, path: str, changes: Changes) -> dict[str, Any]:
    """One document; ``run`` is empty where no run made it."""
    versions = [
        {
            "run": version.run,
            "commit": version.commit.sha,
            "time": render_moment(version.time),
            "change": str(change.kind),
            "orBefore": version.cut,
            "note": change.note,
            "fields": fields_json(change.fields),
        }
        for version, change in changes
    ]
    return {
        "formatVersion": 1,
        "type": "objectLog",
        "policy": policy,
        "path": path,
        "versions": versions,
    }
