"""Looks through other recovery points for what the chosen one lacks."""

from __future__ import annotations

from reconciler.engine.history import StoreReader, read_record_of
from reconciler.engine.restoresource import PointContent
from reconciler.model.errors import Stalled
from reconciler.model.restore import RestorePlan
from reconciler.model.run import Outcome, RunRecord
from reconciler.plan.restoremissing import Missing, find_missing, tell_missing

_LOOKED_AT = 100
"""Records that are read at most: each is one file, fetched where the clone has none."""


def with_missing(store: StoreReader, content: PointContent, plan: RestorePlan) -> RestorePlan:
    """The plan, telling of each part that the point lacks where it is."""
    wanted = find_missing(plan, content.record)
    if not wanted:
        return plan
    found: dict[Missing, RunRecord] = {}
    good = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)
    others = [
        point
        for point in content.points
        if point.outcome in good and point.run_id != content.point.run_id
    ]
    for point in others[:_LOOKED_AT]:
        try:
            record = read_record_of(store, point.commit, run_id=point.run_id, outcome=point.outcome)
        except Stalled:
            continue  # somebody else's commit: `read_point` refuses it where it is chosen
        for part in wanted:
            if part not in found and part.is_in(record):
                found[part] = record
        if len(found) == len(set(wanted)):
            break
    return tell_missing(plan, content.record, found)
