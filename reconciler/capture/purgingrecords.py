"""Whether a run's record that a value was taken out of still says what it said.

A value can stand in a record by chance: six digits in a number of bytes, a word in the name of a
claim. What a restore goes by must be what it was, so only sentences may have lost a value.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.capture import record
from reconciler.model import run
from reconciler.model.errors import Refused, Stalled


def check_record(before: bytes, after: bytes, where: str) -> None:
    """Raises Refused where a restore would read something else; ``where`` names the file.

    What was no record before is not judged.
    """
    try:
        old = record.parse_record(before)
    except Stalled:
        return
    try:
        new = record.parse_record(after)
    except Stalled as error:
        raise _refused(where, f"could not be read any more ({error.message})") from error
    if _facts(old) != _facts(new):
        raise _refused(where, "would name something else than it did")


def _refused(where: str, why: str) -> Refused:
    return Refused(
        f"the value stands in the record of a run, and without it {where} {why}",
        hint="its points could not be restored; see docs/purge.md, What it can't do",
    )


def _facts(found: run.RunRecord) -> run.RunRecord:
    """A record without its sentences and without what only counts objects that are not there."""
    scoped = found.cluster_scoped
    return replace(
        found,
        namespaces=tuple(_part(part) for part in found.namespaces),
        cluster_scoped=scoped and replace(scoped, references=(), left_out=(), unselected=()),
        gaps=tuple(replace(gap, reason="") for gap in found.gaps),
        left_out_kinds=(),
        warnings=(),
    )


def _part(part: run.NamespaceRecord) -> run.NamespaceRecord:
    volumes = tuple(replace(volume, why="", reason="") for volume in part.volumes)
    return replace(part, volumes=volumes, hooks=(), reasons=(), left_out=(), unselected=())
