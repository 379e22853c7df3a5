"""Which documents of the policy files differ between two revisions, field by field."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.change import (
    DocumentAction,
    DocumentChange,
    FieldChange,
    Key,
    Revision,
    Written,
)
from reconciler.model.policy import Document, Kind

_ORDER = (Kind.BACKUP_POLICY, Kind.EXEMPTION, Kind.RESTORE, Kind.REPOSITORY, Kind.PROFILE)


def document_changes(base: Revision, head: Revision) -> tuple[DocumentChange, ...]:
    """One per document that differs; broken ones of the head are its problems, and not here."""
    keys = {*_good(base), *_good(head)}
    found = (_compare(base, head, key) for key in sorted(keys, key=_rank))
    return tuple(change for change in found if change is not None)


def _good(revision: Revision) -> dict[Key, Document]:
    return {
        (one.kind, one.name): one
        for one in revision.parsed.documents
        if one.value is not None or one.held
    }


def _rank(key: Key) -> tuple[int, str, str]:
    kinds = [str(kind) for kind in _ORDER]
    return (kinds.index(key[0]) if key[0] in kinds else len(kinds), *key)


def _compare(base: Revision, head: Revision, key: Key) -> DocumentChange | None:
    old, new = base.document(*key), head.document(*key)
    kind, name = key
    was = base.written.get(key) if old is not None and (old.value or old.held) else None
    if new is None:
        if any(not one.name and old and one.file == old.file for one in head.parsed.broken):
            return None  # its file is too broken to tell
        place = was.place if was else None
        return DocumentChange(kind=kind, name=name, action=DocumentAction.REMOVED, place=place)
    if new.value is None and not new.held:
        return None
    now = head.written.get(key)
    if now is None:
        return None  # no file says it: a policy that stays in force in a cluster
    if old is None or was is None:
        note = f"it is not in force before that is mended: {new.held}" if new.held else ""
        if old:
            note = "it has a problem in the base: what was in force is not known"
        return DocumentChange(
            kind=kind, name=name, action=DocumentAction.ADDED, place=now.place, note=note
        )
    held = bool(old.held or new.held)
    # A Profile with a problem gives no fields: what it gave before is not gone.
    fields = tuple(_fields(was, now, own=held))
    # What a document may use depends on the folder that it lies in: grants.
    moved = _folder(old.file) != _folder(new.file)
    if not fields and (held or old.elsewhere == new.elsewhere) and not moved:
        return None
    notes = [f"moved from {old.file}"] if moved else []
    if new.held:
        notes.append(f"it stays at its last good version: {new.held}")
    return DocumentChange(
        kind=kind,
        name=name,
        action=DocumentAction.CHANGED,
        place=now.place,
        note="; ".join(notes),
        fields=fields,
    )


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _fields(old: Written, new: Written, *, own: bool) -> Iterator[FieldChange]:
    """``own``: without those that a Profile gives."""
    was = {one.path: one for one in old.fields if not (own and one.profile)}
    now = {one.path: one for one in new.fields if not (own and one.profile)}
    for path in [*now, *(path for path in was if path not in now)]:
        before = was[path].value if path in was else ""
        after = now[path].value if path in now else ""
        if before != after:
            place = now[path].place if path in now else new.find(path)
            profile = now[path].profile if path in now else ""
            # What a Profile with a problem gives is not known, and no default takes its place.
            known = "" if own or (before and after) else new.defaults.get(path, "")
            yield FieldChange(
                path=path,
                before=before,
                after=after,
                place=place,
                profile=profile,
                default=known,
            )
