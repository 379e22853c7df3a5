"""The recovery points of one namespace: of each run that captured it, its part for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from reconciler.capture import paths, record
from reconciler.engine.history import lineage
from reconciler.engine.reading import HistoryReader
from reconciler.model.errors import Stalled
from reconciler.model.run import NamespaceRecord, Outcome, RunRecord
from reconciler.plan.recoverypoints import RecoveryPoint

_AT_ONCE = 50


def points_of_namespace(
    store: HistoryReader, branch: str, points: Iterable[RecoveryPoint], namespace: str
) -> Iterator[RecoveryPoint]:
    """The same points, in their order, with outcome and counts of the namespace.

    Runs that did not know it are passed over, and so are records that can't be read. Records are
    read as they are asked for, some at a time.
    """
    waiting = iter(points)
    records: dict[str, str] | None = None
    while batch := list(islice(waiting, _AT_ONCE)):
        records = _record_ids(store, branch) if records is None else records
        known = [point for point in batch if point.commit in records]
        texts = store.blobs([records[point.commit] for point in known])
        for point, (_, text) in zip(known, texts, strict=True):
            part = _part(point, text, namespace)
            if part is not None:
                yield _narrowed(point, part)


def _record_ids(store: HistoryReader, branch: str) -> dict[str, str]:
    """commit → blob id of its record; one walk over each branch."""
    return {
        touched.commit.sha: file.new
        for part in lineage(store, branch)
        for touched in store.changes(part.branch, [paths.RECORD_PATH])
        for file in touched.files
        if file.new
    }


def _part(point: RecoveryPoint, text: bytes, namespace: str) -> NamespaceRecord | None:
    try:
        found: RunRecord = record.parse_record(text)
    except Stalled:
        return None
    if found.name != point.run_id:
        return None
    return next((part for part in found.namespaces if part.name == namespace), None)


def _narrowed(point: RecoveryPoint, part: NamespaceRecord) -> RecoveryPoint:
    wanted = [volume for volume in part.volumes if volume.outcome is not Outcome.SKIPPED]
    return replace(
        point,
        outcome=part.outcome,
        objects=part.objects,
        volumes_stored=sum(volume.outcome is Outcome.COMPLETED for volume in wanted),
        volumes_wanted=len(wanted),
        volumes_added=sum(volume.added for volume in wanted),
    )
