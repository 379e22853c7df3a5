"""Looks through other recovery points for what the chosen one lacks."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine.history import StoreReader, read_record_of
from reconciler.engine.restoresource import PointContent
from reconciler.model.errors import Stalled
from reconciler.model.restore import RestorePlan
from reconciler.model.run import Outcome, RunRecord
from reconciler.plan.restoremissing import Missing, find_missing, tell_missing

_LOOKED_AT = 100
"""Records that are read at most: each is one file, fetched where the clone has none."""
_GOOD = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)


def find_newest_with(store: StoreReader, content: PointContent, namespace: str) -> str:
    """The newest other point that has a namespace, as a sentence; empty where none is found."""
    for record in _others(store, content):
        # The part of a namespace that left the selection says so, and has nothing.
        if any(part.name == namespace and part.objects.captured for part in record.namespaces):
            partial = "" if record.outcome is Outcome.COMPLETED else " --allow-partial"
            return f"newest that has it: --at {record.name}{partial}"
    return ""


def _others(store: StoreReader, content: PointContent) -> Iterator[RunRecord]:
    """Records of other points that can be restored, newest first."""
    others = [
        point
        for point in content.points
        if point.outcome in _GOOD and point.run_id != content.point.run_id
    ]
    for point in others[:_LOOKED_AT]:
        try:
            yield read_record_of(store, point.commit, run_id=point.run_id, outcome=point.outcome)
        except Stalled:
            continue  # somebody else's commit: `read_point` refuses it where it is chosen


def with_missing(store: StoreReader, content: PointContent, plan: RestorePlan) -> RestorePlan:
    """The plan, telling of each part that the point lacks where it is."""
    wanted = find_missing(plan, content.record)
    if not wanted:
        return plan
    found: dict[Missing, RunRecord] = {}
    for record in _others(store, content):
        for part in wanted:
            if part not in found and part.is_in(record):
                found[part] = record
        if len(found) == len(set(wanted)):
            break
    return tell_missing(plan, content.record, found)
