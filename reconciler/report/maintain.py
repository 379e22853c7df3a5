"""What maintenance would remove, snapshot by snapshot, as text and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.errors import BackstayError
from reconciler.model.texts import for_log, visible
from reconciler.plan.approval import render_trailer
from reconciler.plan.maintenance import Line, MaintenancePlan, Place
from reconciler.plan.pointnames import render_moment
from reconciler.report.amounts import render_bytes, render_count

FORMAT_VERSION = 1
Unlisted = Mapping[str, BackstayError]
"""URL → why the repository there could not be listed."""


def text_lines(plan: MaintenancePlan, unlisted: Unlisted) -> Iterator[str]:
    """Lines with their ends: what holds it, each snapshot, and the sum in the end."""
    yield _line(f"Maintenance of {plan.repository}, cluster {plan.cluster}: nothing is changed")
    for brake in plan.brakes:
        yield _line(f"nothing is removed: {brake}")
    for policy, why in sorted(plan.held.items()):
        yield _line(f"nothing of {policy} is removed: {why}")
    for question in plan.questions:
        trailer = render_trailer(question.digest)
        yield _line(f"  if it shall: push a policy commit with the line `{trailer}`")
    for url, error in sorted(unlisted.items()):
        yield _line(f"not listed: {url}: {error.message}")
        if error.hint:
            yield _line(f"  {error.hint}")
    for place in plan.places:
        yield "\n"
        yield from map(_line, _place(place))
    yield "\n"
    yield _line(_sum(plan))


def _line(text: str) -> str:
    return for_log(visible(text)) + "\n"


def _place(place: Place) -> Iterator[str]:
    count = render_count(len(place.lines), "snapshot")
    yield f"{', '.join(place.namespaces)} ({place.url}): {count}, {len(place.removed)} to remove"
    for line in place.lines:
        yield f"  {_verb(line):<6}  {line.snapshot.id[:8]}  {_what(line)}"
        yield from (f"          {reason}" for reason in line.reasons)


def _what(line: Line) -> str:
    parts = [render_moment(line.snapshot.time), line.own.what if line.own else "a stranger's"]
    if line.snapshot.size >= 0:
        parts.append(render_bytes(line.snapshot.size))
    return "  ".join(parts)


def _sum(plan: MaintenancePlan) -> str:
    lines = [line for place in plan.places for line in place.lines]
    gone = [line for line in lines if not line.keep]
    size, added = _sizes(gone)
    told = f"{plan.removed} of {render_count(len(lines), 'snapshot')} would be removed"
    if not gone:
        return told
    # What is shared with one that stays is not freed, so the first figure is the most.
    return f"{told}: they hold {render_bytes(size)}, and added {render_bytes(added)} to storage"


def _sizes(lines: Iterable[Line]) -> tuple[int, int]:
    found = [line.snapshot for line in lines]
    return sum(max(one.size, 0) for one in found), sum(max(one.added, 0) for one in found)


def _verb(line: Line) -> str:
    return "keep" if line.keep else "remove"


def to_json(plan: MaintenancePlan, unlisted: Unlisted) -> dict[str, Any]:
    """One document; fields may be added within a version."""
    return {
        "formatVersion": FORMAT_VERSION,
        "type": "maintenance",
        "dryRun": True,
        "cluster": plan.cluster,
        "repository": plan.repository,
        "time": render_moment(plan.at),
        "brakes": list(plan.brakes),
        "held": dict(sorted(plan.held.items())),
        "questions": [
            {"policy": one.policy, "message": one.message, "digest": one.digest}
            for one in plan.questions
        ],
        "unlisted": {url: error.message for url, error in sorted(unlisted.items())},
        "removed": plan.removed,
        "repositories": [_place_json(place) for place in plan.places],
    }


def _place_json(place: Place) -> dict[str, Any]:
    return {
        "id": place.id,
        "url": place.url,
        "namespaces": list(place.namespaces),
        "snapshots": [
            {
                "id": line.snapshot.id,
                "time": render_moment(line.snapshot.time),
                "host": line.snapshot.host,
                "tags": list(line.snapshot.tags),
                "what": line.own.what if line.own else "",
                "policy": line.own.policy if line.own else "",
                "runs": list(line.own.runs) if line.own else [],
                "size": line.snapshot.size,
                "added": line.snapshot.added,
                "action": _verb(line),
                "reasons": list(line.reasons),
            }
            for line in place.lines
        ],
    }
