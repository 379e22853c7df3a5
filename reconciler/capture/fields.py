"""Small parts that the cleaning rules share: copying on the way down, and who set a field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the documentation: kind (``*`` is every kind), field, what is done, why."""

    kind: str
    field: str
    action: str
    why: str


def child(parent: dict[str, Any], *path: str) -> dict[str, Any]:
    """The mapping at ``path`` as a copy put in its place, so that it can be changed.

    Where there is none (or null), an empty mapping that is not put anywhere.
    """
    at = parent
    for key in path:
        inner = at.get(key)
        if not isinstance(inner, dict):
            return {}
        at[key] = at = dict(inner)
    return at


def children(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """The mappings in the list at ``key``, copied in their place; empty where there is no list."""
    listed = parent.get(key)
    if not listed:
        return []
    copied = [dict(item) if isinstance(item, dict) else item for item in listed]
    parent[key] = copied
    return [item for item in copied if isinstance(item, dict)]


def drop(mapping: dict[str, Any], *keys: str) -> None:
    """Remove what is there."""
    for key in keys:
        mapping.pop(key, None)


def drop_annotations(found: dict[str, Any], *keys: str) -> None:
    """Remove annotations of the object itself; they are a copy already."""
    drop(found["metadata"]["annotations"], *keys)


def annotate(found: dict[str, Any], key: str, value: str) -> None:
    """Add an annotation of ours, unless the object came with one: what was captured first stays."""
    found["metadata"]["annotations"].setdefault(key, value)


def tracked_specs(raw: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """``f:spec`` of every manager that wrote the object itself (not status or another subresource).

    What the API server allocates while it stores a new object is in nobody's ``f:spec``.
    """
    for entry in (raw.get("metadata") or {}).get("managedFields") or ():
        if not entry.get("subresource"):
            spec = (entry.get("fieldsV1") or {}).get("f:spec")
            if spec:
                yield spec


def last_applied(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``kubectl apply`` last sent; empty if there is none or it can't be read."""
    text = ((raw.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        found = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
