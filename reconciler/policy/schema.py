"""Walking the language: which fields there are, below which part a path leads.

Paths are dotted, with ``[]`` for any item of a list and ``{}`` for any key of a mapping, as in
`reconciler.model.capabilities`.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from reconciler.policy.parts import Part


@dataclass(frozen=True, slots=True)
class Step:
    """A field of the language: its path, its definition, and the part that has it."""

    path: str
    info: FieldInfo
    part: type[Part]


def walk(part: type[Part], prefix: str = "") -> Iterator[Step]:
    """Every field below a part, parents first."""
    for info in part.model_fields.values():
        path = f"{prefix}{info.alias}"
        yield Step(path, info, part)
        marks, below = part_of(info.annotation)
        if below is not None:
            yield from walk(below, f"{path}{marks}.")


def part_of(annotation: Any) -> tuple[str, type[Part] | None]:
    """The part that an annotation leads to, and the marks on the way: ``[]``, ``{}``."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "", annotation
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    mark = {list: "[]", dict: "{}"}.get(origin, "")
    for argument in arguments[1:] if origin is dict else arguments:
        marks, part = part_of(argument)
        if part is not None:
            return mark + marks, part
    return "", None


def part_at(root: type[Part], path: tuple[str | int, ...]) -> type[Part] | None:
    """The part whose fields stand below a path of a document."""
    part: type[Part] | None = root
    inside = ""
    for step in path:
        if inside:  # an index of a list, a key of a mapping
            inside = inside[2:]
            continue
        info = field_of(part, step) if part is not None and isinstance(step, str) else None
        if info is None:
            return None
        inside, part = part_of(info.annotation)
    return part


def field_of(part: type[Part], alias: str) -> FieldInfo | None:
    """A field by the name it has in YAML."""
    for info in part.model_fields.values():
        if info.alias == alias:
            return info
    return None
