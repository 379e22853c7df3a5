"""What differs between two states of an object, field by field, as a person would say it. Pure.

Promises: no difference is found exactly if the two are equal as JSON; a list of named things is
compared by names (`reconciler.plan.difflists`); what a Secret holds, and every fingerprint, is
hidden here already, so that no report can show it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.plan import difflists
from reconciler.plan.difflists import token

HIDDEN = "(hidden)"
"""Stands for a Secret's value, and for the fingerprint of one, wherever a value is told."""
_FINGERPRINT = re.compile(r"hmac-sha256:|ENC\[")
_ABSENT: Any = object()


class Item(str):
    """A part of a path that is an item of a list: ``name=web``, or its index."""

    __slots__ = ()


class Kind(enum.StrEnum):
    """What happened to a field or an object."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    REORDERED = "reordered"
    """The items of a list are the same, and stand in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field; ``old`` and ``new`` are None where there is none, and `HIDDEN` in Secrets."""

    path: tuple[str, ...]
    kind: Kind
    old: Any = None
    new: Any = None
    hidden: bool = False
    """Whether the values are not shown: they are a Secret's, or fingerprints."""

    @property
    def field(self) -> str:
        """``spec.template.spec.containers[name=web].image``."""
        return render_path(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One object: ``namespace`` is empty for a cluster-scoped one, ``note`` says what was amiss."""

    path: str
    namespace: str
    folder: str
    name: str
    kind: Kind
    fields: tuple[FieldChange, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.namespace, self.folder, self.name) if part)


def render_path(path: Sequence[str]) -> str:
    """Keys with dots or brackets stand in brackets, items of lists do anyway."""
    text = ""
    for part in path:
        if isinstance(part, Item):
            text += f"[{part}]"
        elif re.search(r"[./\[\]]", part) or not part:
            text += f"[{part}]" if part else '[""]'
        else:
            text += f".{part}" if text else part
    return text


def compare_objects(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Every field that differs between two manifests of an object, in the order of the new one."""
    secret = is_secret(old) or is_secret(new)
    return tuple(_hide(change, secret) for change in _mappings(old, new, ()))


def is_secret(manifest: Mapping[str, Any]) -> bool:
    """Whether the object's data may not be shown."""
    return manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1"


def hide(path: Sequence[str], value: Any, *, secret: bool) -> tuple[Any, bool]:
    """The value as it may be shown at this place of a manifest, and whether something was hidden.

    ``secret``: whether the manifest is a Secret's.
    """
    if secret and path[:1] and path[0] in ("data", "stringData"):
        return _covered(value), True
    if isinstance(value, str):
        found = _FINGERPRINT.match(value) is not None
        return (HIDDEN, True) if found else (value, False)
    if isinstance(value, Mapping):
        parts = {key: hide((*path, key), part, secret=secret) for key, part in value.items()}
        return {key: part for key, (part, _) in parts.items()}, any(h for _, h in parts.values())
    if isinstance(value, list):
        found_items = [hide((*path, Item(0)), part, secret=secret) for part in value]
        return [part for part, _ in found_items], any(hidden for _, hidden in found_items)
    return value, False


def _covered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _covered(part) for key, part in value.items()}
    return [_covered(part) for part in value] if isinstance(value, list) else HIDDEN


def _hide(change: FieldChange, secret: bool) -> FieldChange:
    if change.kind is Kind.REORDERED:
        return change
    old, first = hide(change.path, change.old, secret=secret)
    new, second = hide(change.path, change.new, secret=secret)
    old = None if change.kind is Kind.ADDED else old
    new = None if change.kind is Kind.REMOVED else new
    hidden = first or second
    return FieldChange(path=change.path, kind=change.kind, old=old, new=new, hidden=hidden)


def _compare(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[FieldChange]:
    if old is _ABSENT:
        yield FieldChange(path=path, kind=Kind.ADDED, new=new)
    elif new is _ABSENT:
        yield FieldChange(path=path, kind=Kind.REMOVED, old=old)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mappings(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path)
    elif not _is_same(old, new):
        yield FieldChange(path=path, kind=Kind.CHANGED, old=old, new=new)


def _is_same(old: Any, new: Any) -> bool:
    # Nearly all that is compared are equal strings.
    if isinstance(old, str) and isinstance(new, str):
        return old == new
    return token(old) == token(new)


def _mappings(
    old: Mapping[str, Any], new: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[FieldChange]:
    for key in sorted({*old, *new}):
        yield from _compare(old.get(key, _ABSENT), new.get(key, _ABSENT), (*path, key))


def _lists(old: list[Any], new: list[Any], path: tuple[str, ...]) -> Iterator[FieldChange]:
    names = difflists.item_names(_field_of(path), old, new)
    if names is not None:
        yield from _named(old, new, names[0], names[1], path)
        return
    pairs = difflists.align(old, new)
    if pairs is None:
        yield FieldChange(path=path, kind=Kind.CHANGED, old=old, new=new)
        return
    for pair in pairs:
        before = _ABSENT if pair.old is None else old[pair.old]
        after = _ABSENT if pair.new is None else new[pair.new]
        yield from _compare(before, after, (*path, Item(pair.label)))


def _field_of(path: Sequence[str]) -> str:
    return next((part for part in reversed(path) if not isinstance(part, Item)), "")


def _named(
    old: list[Any], new: list[Any], first: list[str], second: list[str], path: tuple[str, ...]
) -> Iterator[FieldChange]:
    before, after = dict(zip(first, old, strict=True)), dict(zip(second, new, strict=True))
    for name in (*second, *(name for name in first if name not in after)):
        item = (*path, Item(name))
        yield from _compare(before.get(name, _ABSENT), after.get(name, _ABSENT), item)
    stayed = [name for name in first if name in after]
    order = [name for name in second if name in before]
    if stayed != order:
        yield FieldChange(path=path, kind=Kind.REORDERED, old=stayed, new=order)


@dataclass(frozen=True, slots=True)
class Field:
    """A value at the end of a path, as `flatten` gives it; ``value`` may be shown."""

    path: tuple[str, ...]
    value: Any
    same: str
    """Equal in two states of an object exactly if this field's value is."""


def flatten(manifest: Mapping[str, Any]) -> Iterator[Field]:
    """The fields of a manifest with their values, items of lists by their names.

    Items without names are fields by their own content: a line that moved is the same line.
    """
    secret = is_secret(manifest)
    for path, value, label in _leaves(manifest, ()):
        shown, _ = hide(path, value, secret=secret)
        yield Field(path, shown, label + token(value))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list) and value:
        names = difflists.item_names(_field_of(path), value)
        if names is not None:
            for name, part in zip(names[0], value, strict=True):
                yield from _leaves(part, (*path, Item(name)))
            return
        seen: dict[str, int] = {}
        for part in value:
            text = token(part)
            seen[text] = seen.get(text, 0) + 1
            yield (*path, Item("")), part, f"{seen[text]} "
    else:
        yield path, value, ""
