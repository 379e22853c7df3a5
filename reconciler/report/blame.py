"""Since when each field of an object has its value: for a terminal and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from reconciler.model.texts import for_log, visible
from reconciler.plan.blame import Origin, Version
from reconciler.plan.diff import render_path
from reconciler.plan.pointnames import render_moment
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report.diff import show

_LONGEST = 100


def text_lines(path: str, point: RecoveryPoint, origins: Sequence[Origin]) -> Iterator[str]:
    """A line per field: since when, the run, the field and its value."""
    head = f"{path} in {point.run_id} ({render_moment(point.started)}, {point.commit[:10]})"
    yield for_log(visible(head)) + "\n\n"
    width = max((len(_run(origin.version)) for origin in origins), default=0)
    for origin in origins:
        since = render_moment(origin.version.time)
        field, value = render_path(origin.field.path), show(origin.field.value)
        value = value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
        sign = "^" if origin.version.cut else " "
        line = f"{sign}{since}  {_run(origin.version):<{width}}  {field}: {value}"
        yield for_log(visible(line)) + "\n"
    if any(origin.version.cut for origin in origins):
        yield "\n^ or before: this clone's history begins there\n"


def _run(version: Version) -> str:
    return version.run or f"no run: {version.commit.sha[:10]}"


def render_json(path: str, point: RecoveryPoint, origins: Sequence[Origin]) -> str:
    """One document; ``orBefore`` where the clone's history is cut off."""
    fields = [
        {
            "field": render_path(origin.field.path),
            "value": origin.field.value,
            "run": origin.version.run,
            "commit": origin.version.commit.sha,
            "time": render_moment(origin.version.time),
            "orBefore": origin.version.cut,
        }
        for origin in origins
    ]
    document = {
        "formatVersion": 1,
        "type": "blame",
        "path": path,
        "run": point.run_id,
        "commit": point.commit,
        "fields": fields,
    }
    return json.dumps(document)
