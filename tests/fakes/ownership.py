"""Server-side apply, as far as Backstay's own objects need it: who owns which field.

A field is a path of keys down to a scalar or a list; lists are owned as a whole, which is stricter
than the API server (it merges lists of known kinds by key), never looser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.copying import copied

FieldPath = tuple[str, ...]
_SERVERS = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")} | {
    ("metadata", key) for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields")
}


def leaves(obj: Mapping[str, Any], prefix: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Every field with its value, without those that the server owns."""
    for key, value in obj.items():
        path = (*prefix, key)
        if path in _SERVERS:
            continue
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def conflicts(
    live: Mapping[str, Any],
    wanted: Mapping[str, Any],
    owners: Mapping[str, frozenset[FieldPath]],
    manager: str,
) -> list[tuple[FieldPath, str]]:
    """Fields that ``manager`` wants to change and somebody else owns."""
    current = dict(leaves(live))
    return [
        (path, other)
        for path, value in leaves(wanted)
        for other, owned in owners.items()
        if other != manager and path in owned and current.get(path) != value
    ]


def merged(
    live: Mapping[str, Any],
    wanted: Mapping[str, Any],
    owners: Mapping[str, frozenset[FieldPath]],
    manager: str,
) -> dict[str, Any]:
    """``live`` with ``wanted`` on top, without what ``manager`` owned alone and left out now."""
    result = copied(dict(live))
    kept = {path for path, _ in leaves(wanted)}
    kept |= {path for other, owned in owners.items() if other != manager for path in owned}
    for path in owners.get(manager, frozenset()) - kept:
        _remove(result, path)
    for path, value in leaves(wanted):
        _set(result, path, copied(value))
    return result


def _set(obj: dict[str, Any], path: FieldPath, value: object) -> None:
    for key in path[:-1]:
        inner = obj.get(key)
        if not isinstance(inner, dict):
            inner = obj[key] = {}
        obj = inner
    obj[path[-1]] = value


def _remove(obj: dict[str, Any], path: FieldPath) -> None:
    inner: object = obj
    for key in path[:-1]:
        inner = inner.get(key) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(path[-1], None)
