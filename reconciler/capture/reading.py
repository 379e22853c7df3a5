"""Typed reading of a mapping that came from a file: what is wrong is said with its place.

A `Node` is one mapping and the path that leads to it. Fields that nobody asks for are ignored.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from reconciler.model.errors import Stalled

T = TypeVar("T")
E = TypeVar("E", bound=enum.StrEnum)


class Node:
    """One mapping of a document; ``where`` is the file and the path of keys to it."""

    __slots__ = ("_fields", "_where")

    def __init__(self, fields: Mapping[str, Any], where: str) -> None:
        self._fields = fields
        self._where = where

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        return self._get(key, str, default)

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number that is not negative."""
        found = self._get(key, int, default)
        if isinstance(found, bool) or found < 0:
            raise self._wrong(key, "a whole number")
        return found

    def time(self, key: str) -> datetime:
        """A moment in UTC, as ``2026-11-21T04:17:03Z``."""
        text = self.text(key)
        try:
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise self._wrong(key, "a time in UTC") from None

    def choice(self, key: str, values: type[E]) -> E:
        """One of an enum's values."""
        text = self.text(key)
        try:
            return values(text)
        except ValueError:
            raise self._wrong(key, "one of " + ", ".join(values)) from None

    def child(self, key: str) -> Node:
        """The mapping below a key."""
        return Node(self._get(key, dict, None), f"{self._where}.{key}")

    def maybe(self, key: str, read: Callable[[Node], T]) -> T | None:
        """What ``read`` makes of the mapping below a key, or None if there is none."""
        return read(self.child(key)) if self.has(key) else None

    def each(self, key: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """What ``read`` makes of every mapping in a list; empty if there is no list."""
        items = self._get(key, list, [])
        if not all(isinstance(item, dict) for item in items):
            raise self._wrong(key, "a list of mappings")
        return tuple(
            read(Node(item, f"{self._where}.{key}[{index}]")) for index, item in enumerate(items)
        )

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty if there is none."""
        items = self._get(key, list, [])
        if not all(isinstance(item, str) for item in items):
            raise self._wrong(key, "a list of strings")
        return tuple(items)

    def scalars(self, key: str) -> dict[str, int | str]:
        """A mapping to whole numbers and strings; empty if there is none."""
        items = self._get(key, dict, {})
        if not all(type(value) in (int, str) for value in items.values()):
            raise self._wrong(key, "a mapping to numbers and strings")
        return dict(items)

    def expect(self, key: str, value: str) -> None:
        """Raises unless the field has this very value."""
        if self.text(key) != value:
            raise self._wrong(key, value)

    def _get(self, key: str, kind: type[T], default: T | None) -> T:
        found = self._fields.get(key)
        if found is None and default is not None:
            return default
        if not isinstance(found, kind):
            raise self._wrong(key, {str: "a string", int: "a whole number"}.get(kind, "there"))
        return found

    def _wrong(self, key: str, wanted: str) -> Stalled:
        return Stalled(
            f"{self._where}.{key}: must be {wanted}",
            hint="records are written by runs only; look for a commit by somebody else, "
            "or for one by a newer version",
        )
