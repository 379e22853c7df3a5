"""schemas/run.v1alpha1.json describes what is written: every field, and nothing that is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.capture import canonical, record
from reconciler.model import run
from tests.unit.capture import records

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/run.v1alpha1.json").read_text())
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
}


def problems(value: Any, schema: dict[str, Any], at: str, seen: set[str]) -> Iterator[str]:
    """The part of JSON Schema that ours uses; a field that it does not name is a problem too."""
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: {value!r}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds):
        yield f"{at}: not {kinds}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: {value!r} is not {schema['pattern']}"
    if isinstance(value, list):
        for item in value:
            yield from problems(item, schema["items"], at, seen)
    if isinstance(value, dict):
        yield from (f"{at}: no {key}" for key in schema.get("required", []) if key not in value)
        for key, inner in value.items():
            seen.add(f"{at}.{key}")
            known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if known is None:
                yield f"{at}: {key} is not in the schema"
            else:
                yield from problems(inner, known, f"{at}.{key}", seen)


def properties(schema: dict[str, Any], at: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield f"{at}.{key}"
        yield from properties(inner.get("items", inner), f"{at}.{key}")


OMITTING = replace(records.FULL, secrets=run.SecretsRecord(mode="Omit", omitted=("shop/db",)))
SEALED = replace(
    records.FULL, secrets=run.SecretsRecord(mode="Sops", sealed=2, recipients=("age1alice",))
)


@pytest.mark.parametrize(
    "value", [records.FULL, records.SMALLEST, records.FAILED, OMITTING, SEALED]
)
def test_records_fit_the_schema(value: run.RunRecord) -> None:
    written = canonical.read_manifest(record.render_record(value))
    assert list(problems(written, SCHEMA, "run", set())) == []


def test_the_schema_names_nothing_that_is_never_written() -> None:
    seen: set[str] = set()
    for value in (records.FULL, records.FAILED, OMITTING, SEALED):
        written = canonical.read_manifest(record.render_record(value))
        assert list(problems(written, SCHEMA, "run", seen)) == []
    assert set(properties(SCHEMA, "run")) - seen == set()


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    written = canonical.read_manifest(record.render_record(records.FULL))
    written["outcome"] = "Fine"
    written["started"] = "yesterday"
    del written["policy"]["digest"]
    assert list(problems(written, SCHEMA, "run", set())) == [
        "run.policy: no digest",
        "run.started: 'yesterday' is not ^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}Z$",
        "run.outcome: 'Fine'",
    ]


def test_the_schemas_words_are_the_codes() -> None:
    assert SCHEMA["properties"]["outcome"]["enum"] == [outcome.value for outcome in run.Outcome]
    assert SCHEMA["properties"]["trigger"]["enum"] == [trigger.value for trigger in run.Trigger]
