"""A part of a recovery point: some of its namespaces, and what these need of the cluster.

What a namespace needs is decided by the very rules by which a run captured it
(`reconciler.capture.references`), so a part is what a run of that part alone would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from reconciler.capture.references import References
from reconciler.engine.restoresource import PointContent
from reconciler.model.errors import UsageError
from reconciler.model.objects import ObjectRef, Resource
from reconciler.plan.restore import CRD, Stored


def narrow_point(
    content: PointContent, wanted: Collection[str], newest: Callable[[str], str]
) -> PointContent:
    """The part of these namespaces; all of it without any. Raises UsageError for unknown ones.

    ``newest`` says in which other point such a namespace is, or gives an empty text.
    """
    if not wanted:
        return content
    captured = content.namespaces
    unknown = sorted(set(wanted) - captured)
    if unknown:
        raise UsageError(
            f"--namespace {unknown[0]}: the recovery point has no namespace {unknown[0]}",
            hint=newest(unknown[0])
            or f"this recovery point has: {', '.join(sorted(captured)) or 'none'}",
        )
    needed = _needed(content.stored, wanted)
    stored = tuple(
        found
        for found in content.stored
        if (found.ref.namespace in wanted if found.ref.namespace else found.ref in needed)
    )
    record = replace(
        content.record,
        namespaces=tuple(part for part in content.record.namespaces if part.name in wanted),
        gaps=tuple(gap for gap in content.record.gaps if gap.namespace in ("", *wanted)),
    )
    note = f"only {', '.join(sorted(wanted))}, of {len(captured)} namespaces in this recovery point"
    return replace(content, stored=stored, record=record, notes=(*content.notes, note))


def _needed(stored: Iterable[Stored], wanted: Collection[str]) -> Collection[ObjectRef]:
    """Cluster-scoped objects that belong to these namespaces."""
    stored = tuple(stored)
    plurals = {
        (spec.get("group", ""), (spec.get("names") or {}).get("kind", "")): (
            spec.get("names") or {}
        ).get("plural", "")
        for spec in (found.manifest.get("spec") or {} for found in stored if found.folder == CRD)
    }
    references = References(wanted)
    for found in stored:
        kind = Resource(
            group=found.ref.group,
            version="",
            kind=found.ref.kind,
            plural=str(plurals.get((found.ref.group, found.ref.kind), "")),
            namespaced=bool(found.ref.namespace),
        )
        references.observe(kind, found.manifest)
    return references.wanted().keys()
