"""The part of JSON Schema draft 7 that the generated schemas use; another keyword is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
}
SAID = frozenset({"$schema", "title", "description", "default", "then", "additionalProperties"})


def problems(value: Any, schema: Schema, others: Mapping[str, Schema], at: str = "") -> list[str]:
    """Everything that is wrong; ``others`` are the files that ``$ref`` may name."""
    found: list[str] = []
    for keyword, asked in schema.items():
        if keyword not in SAID:
            found += (f"{at}: {line}" for line in RULES[keyword](value, asked, schema))
            found += BELOW[keyword](value, asked, schema, others, at) if keyword in BELOW else []
    return found


def _fits(value: Any, schema: Schema, others: Mapping[str, Schema]) -> bool:
    return not problems(value, schema, others)


def _none(*_: Any) -> Iterator[str]:
    return iter(())


def _says(ok: Callable[[Any, Any], bool], kind: type) -> Callable[[Any, Any, Schema], list[str]]:
    def check(value: Any, asked: Any, _: Schema) -> list[str]:
        return [f"not {asked}"] if isinstance(value, kind) and not ok(value, asked) else []

    return check


def _additional(value: Any, asked: Any, schema: Schema) -> list[str]:
    known = schema.get("properties", {})
    if schema.get("additionalProperties", True) is not False or not isinstance(value, dict):
        return []
    return [f"unknown {key}" for key in value if key not in known]


RULES: dict[str, Callable[..., Any]] = {
    "type": lambda value, asked, _: [] if TYPES[asked](value) else [f"no {asked}"],
    "const": lambda value, asked, _: [] if value == asked else [f"not {asked}"],
    "enum": lambda value, asked, _: [] if value in asked else [f"not in {asked}"],
    "pattern": _says(lambda value, asked: re.search(asked, value) is not None, str),
    "minLength": _says(lambda value, asked: len(value) >= asked, str),
    "maxLength": _says(lambda value, asked: len(value) <= asked, str),
    "minimum": _says(lambda value, asked: value >= asked, int),
    "maximum": _says(lambda value, asked: value <= asked, int),
    "minItems": _says(lambda value, asked: len(value) >= asked, list),
    "maxItems": _says(lambda value, asked: len(value) <= asked, list),
    "minProperties": _says(lambda value, asked: len(value) >= asked, dict),
    "maxProperties": _says(lambda value, asked: len(value) <= asked, dict),
    "required": _says(lambda value, asked: set(asked) <= set(value), dict),
    "dependencies": _says(
        lambda value, asked: all(
            set(more) <= set(value) for k, more in asked.items() if k in value
        ),
        dict,
    ),
    "properties": _additional,
    **dict.fromkeys(
        ("items", "propertyNames", "$ref", "allOf", "anyOf", "oneOf", "not", "if"), _none
    ),
}


def _properties(value: Any, asked: Any, schema: Schema, others: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    return [
        line
        for key, below in asked.items()
        if key in value
        for line in problems(value[key], below, others, f"{at}.{key}")
    ]


def _items(value: Any, asked: Any, schema: Schema, others: Any, at: str) -> list[str]:
    items = enumerate(value) if isinstance(value, list) else ()
    return [line for n, item in items for line in problems(item, asked, others, f"{at}[{n}]")]


def _names(value: Any, asked: Any, schema: Schema, others: Any, at: str) -> list[str]:
    found = []
    for key, item in value.items() if isinstance(value, dict) else ():
        found += problems(key, asked, others, f"{at}.{key}")
        found += problems(item, schema["additionalProperties"], others, f"{at}.{key}")
    return found


def _any(value: Any, asked: Any, schema: Schema, others: Any, at: str) -> list[str]:
    tried = [problems(value, one, others, at) for one in asked]
    return [] if not all(tried) else [line for lines in tried for line in lines]


BELOW: dict[str, Callable[..., list[str]]] = {
    "properties": _properties,
    "items": _items,
    "propertyNames": _names,
    "$ref": lambda value, asked, _, others, at: problems(value, others[asked], others, at),
    "allOf": lambda value, asked, _, others, at: [
        line for one in asked for line in problems(value, one, others, at)
    ],
    "anyOf": _any,
    "oneOf": lambda value, asked, _, others, at: (
        [f"{at}: not one of"] if sum(_fits(value, one, others) for one in asked) != 1 else []
    ),
    "not": lambda value, asked, _, others, at: (
        [f"{at}: not"] if _fits(value, asked, others) else []
    ),
    "if": lambda value, asked, schema, others, at: (
        problems(value, schema["then"], others, at) if _fits(value, asked, others) else []
    ),
}
