"""Frozen dataclasses ↔ plain JSON values, by one rule for all of them.

What it promises: every field is written (None is left out, and a field marked `WHEN_SET` while it
is empty, so that a later field leaves older values' bytes as they are), names are camelCase,
mappings are sorted when dumped, so equal values give equal bytes; a field that is missing takes its
default; a field that is unknown is an error, because it was written by a newer version and would be
lost.
Fields may be str, int, bool, enums, dataclasses, ``X | None``, ``tuple[X, ...]``,
``Mapping[str, X]``.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

WHEN_SET: Mapping[str, bool] = types.MappingProxyType({"when_set": True})
"""As a field's ``metadata``: it is left out while it is empty."""


@functools.cache
def camel(name: str) -> str:
    """``time_zone`` → ``timeZone``."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


@functools.cache
def _names(cls: type[Any]) -> tuple[tuple[str, str, bool], ...]:
    """The fields of a dataclass: what they are called, in JSON too, and which are always there."""
    return tuple(
        (field.name, camel(field.name), field.metadata != WHEN_SET)
        for field in dataclasses.fields(cls)
    )


def to_json(value: object) -> Any:
    """A dataclass (or what its fields may hold) as dicts, lists and scalars."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = ((key, getattr(value, name), always) for name, key, always in _names(type(value)))
        return {
            key: to_json(item)
            for key, item, always in found
            if item is not None and (always or item)
        }
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def dumps(value: object) -> str:
    """JSON text of a plain value: sorted, indented by one, with a line feed at its end."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def loads_object(text: str) -> dict[str, object]:
    """A JSON object from its text; raises ValueError on anything else."""
    return _expect(dict, json.loads(text), "text")


def digest(value: object) -> str:
    """``sha256:<hex>`` of the JSON form of a dataclass."""
    # Not indented: that is what json does in C, and a thousand policies are digested in a cycle.
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def from_json(kind: type[T], data: object) -> T:
    """The dataclass that `to_json` wrote; raises ValueError with the path of what does not fit."""
    value: T = _read(kind, data, kind.__name__)
    return value


def _read(kind: Any, data: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if data is None else _read(inner[0], data, where)
    if origin is tuple:
        items = _expect(list, data, where)
        return tuple(
            _read(typing.get_args(kind)[0], item, f"{where}[{index}]")
            for index, item in enumerate(items)
        )
    if origin is not None:  # Mapping[str, X]
        entries = _expect(dict, data, where)
        item_kind = typing.get_args(kind)[1]
        return {key: _read(item_kind, item, f"{where}.{key}") for key, item in entries.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, _expect(dict, data, where), where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(data)
        except ValueError:
            raise ValueError(f"{where}: unknown value {data!r}") from None
    return _expect(kind, data, where)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    # Evaluated from text each time otherwise, which is most of the time of reading.
    return typing.get_type_hints(kind)


def _read_dataclass(kind: Any, data: dict[str, object], where: str) -> Any:
    hints = _hints(kind)
    fields = {camel(field.name): field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(data) - set(fields)):
        raise ValueError(f"{where}: unknown field {unknown[0]!r}; a newer version wrote it")
    values = {
        fields[key].name: _read(hints[fields[key].name], item, f"{where}.{key}")
        for key, item in data.items()
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _expect(kind: type[T], data: object, where: str) -> T:
    # bool is an int to Python, and 0 is no false
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise ValueError(f"{where}: expected {kind.__name__}, found {type(data).__name__}")
    return data
