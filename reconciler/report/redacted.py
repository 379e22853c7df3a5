"""Fields that a run redacted outside Secrets, for people: object, place and rule, never a value."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.run import RunRecord
from reconciler.report.amounts import render_count

HEAD = ("OBJECT", "FIELD", "RULE")
_SHOWN = 20


def rows(record: RunRecord) -> list[tuple[str, ...]]:
    """One for each field that the record lists."""
    return [(one.object, one.field, one.rule) for one in record.redacted]


def summary(record: RunRecord) -> Iterator[str]:
    """The first of them, as lines of the record; nothing where nothing was redacted."""
    found = record.redacted
    if not found:
        return
    objects = render_count(len({one.object for one in found}), "object")
    yield f"Redacted {render_count(len(found), 'field')} of {objects}"
    for one in found[:_SHOWN]:
        yield f"  {one.object} {one.field} ({one.rule})"
    if (more := len(found) - _SHOWN) > 0:
        yield f"  and {more} more: backstay show run {record.name} --redacted"
