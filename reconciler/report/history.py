"""Recovery points and records, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.model.policywords import CLUSTER_NAMESPACE
from reconciler.model.run import NamespaceRecord, Outcome, RunRecord, VolumeRecord
from reconciler.model.texts import for_log, visible
from reconciler.plan.expiry import Promise
from reconciler.plan.recoverypoints import RecoveryPoint
from reconciler.report import redacted
from reconciler.report.amounts import render_bytes, render_count, render_seconds

_HEAD = ("RUN", "OUTCOME", "OBJECTS", "VOLUMES", "STARTED", "COMMIT")


def render_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be; the first row is the head. Cells are of one line."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def render_log(points: Sequence[RecoveryPoint], namespace: str = "") -> str:
    """One line per run, newest first, with what expired: of the namespace, or of all of it."""
    if not points:
        return "no runs\n"
    return "".join(_table(_HEAD, (_row(point, namespace) for point in points)))


def _row(point: RecoveryPoint, namespace: str) -> tuple[str, ...]:
    counts = point.objects
    promise = point.promise(_only(namespace))
    return (
        point.run_id,
        str(point.outcome) if promise is Promise.HELD else f"{point.outcome}, {promise}",
        f"{counts.captured} (+{counts.created} ~{counts.changed} -{counts.deleted})",
        _volumes(point),
        point.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        point.commit[:10],
    )


def _volumes(point: RecoveryPoint) -> str:
    if point.volumes_stored != point.volumes_wanted:
        return f"{point.volumes_stored} of {point.volumes_wanted}"
    if not point.volumes_stored:
        return "none"
    return f"{point.volumes_stored}, +{render_bytes(point.volumes_added)}"


def _only(namespace: str) -> tuple[str, ...]:
    return (namespace,) if namespace else ()


def _expired(promise: Promise) -> dict[str, str]:
    return {} if promise is Promise.HELD else {"promise": str(promise)}


def expired_part(expired: Mapping[str, Promise]) -> dict[str, Any]:
    """The part of a run's document that says what of it is not held any more; none where all is."""
    return {"expired": {name: str(promise) for name, promise in expired.items()}} if expired else {}


def log_document(
    policy: str, points: Sequence[RecoveryPoint], namespace: str = ""
) -> dict[str, Any]:
    """The log as one JSON document; ``volumesAdded`` in bytes, ``promise`` where it is not held."""
    return {
        "formatVersion": 1,
        "type": "log",
        "policy": policy,
        "runs": [
            {
                "run": point.run_id,
                "outcome": str(point.outcome),
                "started": point.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "commit": point.commit,
                "revision": point.revision,
                "objects": {
                    "captured": point.objects.captured,
                    "created": point.objects.created,
                    "changed": point.objects.changed,
                    "deleted": point.objects.deleted,
                },
                "volumesStored": point.volumes_stored,
                "volumesWanted": point.volumes_wanted,
                "volumesAdded": point.volumes_added,
                **_expired(point.promise(_only(namespace))),
            }
            for point in points
        ],
    }


def render_run(record: RunRecord, commit: str, expired: Mapping[str, Promise] | None = None) -> str:
    """A record as a person reads it; ``expired``: its namespaces that are not held any more."""
    return "".join(map(_line, _run_lines(record, commit, expired or {})))


def _run_lines(record: RunRecord, commit: str, expired: Mapping[str, Promise]) -> Iterator[str]:
    took = (record.finished - record.started).total_seconds()
    yield f"Run      {record.name}"
    yield f"Outcome  {record.outcome}"
    yield f"Policy   {record.policy.name} {record.policy.revision} {record.policy.source}".rstrip()
    yield f"Cluster  {record.cluster.name} ({record.cluster.uid}, {record.cluster.version})"
    yield f"Started  {record.started:%Y-%m-%dT%H:%M:%SZ} by {record.trigger}"
    yield f"Copied   until {record.copied:%Y-%m-%dT%H:%M:%SZ}"
    yield f"Took     {render_seconds(took)}"
    yield f"Commit   {commit}"
    for name, promise in expired.items():
        yield f"Data     of {name}: {promise}; Git has its manifests"
    held = record.secrets
    if held is not None and held.snapshot:
        where = f"{held.snapshot[:10]} of {held.repository.url if held.repository else ''}"
        yield f"Secrets  values of {render_count(held.count, 'object')} in snapshot {where}"
    if held is not None and held.sealed:
        yield f"Secrets  {held.sealed} in Git, encrypted for {', '.join(held.recipients)}"
    if held is not None and held.omitted:
        yield f"Secrets  {len(held.omitted)} kept nowhere: {', '.join(held.omitted)}"
    yield from redacted.summary(record)
    for part in record.namespaces:
        yield ""
        yield from _namespace_lines(part)
    if record.gaps or record.warnings:
        yield ""
    for gap in record.gaps:
        yield f"not captured: {gap}"
    for warning in record.warnings:
        yield f"warning: {warning}"


def _namespace_lines(part: NamespaceRecord) -> Iterator[str]:
    counts = part.objects
    changes = f"+{counts.created} ~{counts.changed} -{counts.deleted}"
    yield f"Namespace {part.name}: {part.outcome}, {counts.captured} objects ({changes})"
    for reason in part.reasons:
        yield f"  ! {reason}"
    for volume in part.volumes:
        yield f"  {_volume_line(volume)}"


def _volume_line(volume: VolumeRecord) -> str:
    head = f"claim {volume.claim}: {volume.copy_method} ({volume.why}), {volume.outcome}"
    if volume.outcome is Outcome.SKIPPED or volume.snapshot is None:
        return f"{head}{': ' + volume.reason if volume.reason else ''}"
    size = f"{volume.files} files, {render_bytes(volume.size)}, +{render_bytes(volume.added)}"
    return f"{head}, snapshot {volume.snapshot[:10]}, {size} in {render_seconds(volume.took)}"


def _line(text: str) -> str:
    return for_log(visible(text)) + "\n"


def manifest_lines(text: bytes) -> Iterator[str]:
    """A manifest for a terminal: what is not printable in it, and no text, is not obeyed."""
    for line in text.decode(errors="replace").removesuffix("\n").split("\n"):
        yield "\t".join(map(visible, line.split("\t"))) + "\n"


def left_out_lines(record: RunRecord) -> Iterator[str]:
    """What a run did not capture, and why: gaps, objects by kind and reason, volumes, kinds."""
    for gap in record.gaps:
        yield _line(f"not known: {gap}")
    rows = list(_left_out_rows(record))
    gone = list(_unselected_rows(record))
    kinds = [(one.kind, one.reason) for one in record.left_out_kinds]
    if rows:
        yield from _table(("NAMESPACE", "WHAT", "COUNT", "WHY"), rows)
    elif not record.gaps and not kinds:
        yield "nothing was left out\n"
    if gone:
        yield "\nleft the tree with the selection, whether or not the objects exist:\n"
        yield from _table(("NAMESPACE", "WHAT", "COUNT", "WHY"), gone)
    if kinds:
        yield "\nnot listed, so nobody counted:\n"
        yield from _table(("KIND", "WHY"), kinds)
    if record.cluster_scoped is not None and not record.cluster_scoped.selection:
        yield "of what is cluster-scoped, only what a namespace needs: the record's references\n"


def redacted_lines(record: RunRecord) -> Iterator[str]:
    """Every field that the record lists as redacted, and by which rule."""
    if rows := redacted.rows(record):
        yield from _table(redacted.HEAD, rows)
    else:
        yield "nothing was redacted outside Secrets\n"


def _left_out_rows(record: RunRecord) -> Iterator[tuple[str, ...]]:
    for part in record.namespaces:
        for one in part.left_out:
            yield part.name, one.kind, str(one.count), one.reason
        for volume in part.volumes:
            if volume.snapshot is None:
                yield part.name, f"data of claim {volume.claim}", "1", volume.reason or volume.why
    if record.cluster_scoped is not None:
        for one in record.cluster_scoped.left_out:
            yield CLUSTER_NAMESPACE, one.kind, str(one.count), one.reason


def _unselected_rows(record: RunRecord) -> Iterator[tuple[str, ...]]:
    for part in record.namespaces:
        for one in part.unselected:
            yield part.name, one.kind, str(one.count), one.reason
    if record.cluster_scoped is not None:
        for one in record.cluster_scoped.unselected:
            yield CLUSTER_NAMESPACE, one.kind, str(one.count), one.reason


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield from map(for_log, render_table([head, *rows]).splitlines(keepends=True))
