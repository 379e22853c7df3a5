"""Coverage as annotations of GitHub: what failed, what is unprotected, and exemptions."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.protection import Protection, State
from reconciler.policy.text import for_log
from reconciler.report import coverage
from reconciler.report.annotations import annotation
from reconciler.report.changecomment import finding_annotation

MOST_SHOWN = 50
_UNPROTECTED = "unprotected"


def render_github(protection: Protection, failed: Sequence[str] = ()) -> str:
    """Conditions as errors, lines as warnings, findings beside the lines that they are of."""
    found = list(protection.of(State.UNPROTECTED))
    told = [annotation(one, level="error", title="coverage") for one in failed]
    for line in found[:MOST_SHOWN]:
        lines = map(for_log, (line.title, *coverage.explain(line, protection)))
        told.append(annotation("\n".join(lines), level="warning", title=_UNPROTECTED))
    if len(found) > MOST_SHOWN:
        more = f"and {len(found) - MOST_SHOWN} more: backstay coverage has them all"
        told.append(annotation(more, level="warning", title=_UNPROTECTED))
    told += map(finding_annotation, protection.findings)
    told += (
        annotation(for_log(note), level="notice", title="coverage") for note in protection.notes
    )
    return "".join(told)
