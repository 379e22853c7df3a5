"""What is understood and not executed is refused, never ignored; no field escapes the table."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.model.errors import InvalidInput, Problem
from reconciler.model.policy import Kind
from reconciler.policy import parse_config, schema
from reconciler.policy.configlanguage import ConfigDocument
from reconciler.policy.language import KINDS
from reconciler.policy.parts import Part
from tests.unit.policy.yamltexts import CONFIG, EXEMPT, GOLD, MAIN, RESTORE, SHOP, parse

LANGUAGE: dict[str, type[Part]] = {**KINDS, "Config": ConfigDocument}
VALID = {
    "BackupPolicy": SHOP,
    "Repository": MAIN,
    "Profile": GOLD,
    "Exemption": EXEMPT,
    "Restore": RESTORE,
    "Config": CONFIG,
}


def problems_of(kind: str, text: str) -> tuple[Problem, ...]:
    if kind == "Config":
        try:
            parse_config("backstay.yaml", text.encode())
        except InvalidInput as error:
            return error.problems
        return ()
    return parse(*([MAIN] if kind != "Repository" else []), text).problems


def with_value(kind: str, path: str, value: object) -> str:
    """The valid document of a kind with something at a path of the table."""
    data: Any = YAML(typ="safe", pure=True).load(VALID[kind])
    here: Any = data
    steps = re.findall(r"[^.\[\]{}]+|\[\]|\{\}", path)
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        inner: Any = value if after is None else [] if after == "[]" else {}
        if step == "[]":
            here.append(inner)
            here = here[-1]
        elif step == "{}":
            here = here.setdefault("key", inner)
        elif after is None or not isinstance(here.get(step), dict):
            here[step] = inner
            here = inner
        else:
            here = here[step]
    return _flow(data) + "\n"


def _flow(value: Any) -> str:
    """YAML in flow style with every text quoted, so that nothing but the language is judged."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {_flow(item)}' for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("kind", LANGUAGE)
def test_every_field_of_the_language_is_in_the_table_and_no_other(kind: str) -> None:
    fields = {step.path for step in schema.walk(LANGUAGE[kind])}
    assert fields == set(capabilities.FIELDS[kind])


def test_every_kind_is_in_the_table() -> None:
    assert set(capabilities.KINDS) == {*Kind, "Config"}


PARSED = [
    (kind, path)
    for kind, fields in capabilities.FIELDS.items()
    for path, support in fields.items()
    if support is Support.PARSED and capabilities.KINDS[kind] is not Support.PARSED
]


@pytest.mark.parametrize(("kind", "path"), PARSED)
def test_every_field_that_is_not_executed_is_refused(kind: str, path: str) -> None:
    top = next(
        prefix
        for prefix in prefixes(path)
        if capabilities.FIELDS[kind].get(prefix) is Support.PARSED
    )
    found = problems_of(kind, with_value(kind, path, "x"))
    name = top.rpartition(".")[2]
    refused = [p.path for p in found if p.message == f"`{name}` is not supported yet"]
    assert [path.replace("[0]", "[]") for path in refused] == [top]


def prefixes(path: str) -> list[str]:
    """``a``, ``a.b``, ``a.b[].c`` of ``a.b[].c``."""
    steps = path.split(".")
    return [".".join(steps[: n + 1]).removesuffix("[]") for n in range(len(steps))]


VALUES = [
    (kind, path, value)
    for (kind, path), values in capabilities.VALUES.items()
    for value, support in values.items()
    if support is Support.PARSED
]


@pytest.mark.parametrize(("kind", "path", "value"), VALUES)
def test_every_value_that_is_not_executed_is_refused(kind: str, path: str, value: str) -> None:
    found = problems_of(kind, with_value(kind, path, value))
    name = path.rpartition(".")[2]
    assert f"`{name}: {value}` is not supported yet" in [p.message for p in found]


@pytest.mark.parametrize(("kind", "path"), list(capabilities.VALUES))
def test_every_value_has_a_line(kind: str, path: str) -> None:
    info = next(step.info for step in schema.walk(LANGUAGE[kind]) if step.path == path)
    assert {str(value) for value in info.annotation} == set(capabilities.VALUES[kind, path])  # type: ignore[union-attr]


def test_no_kind_is_refused_as_a_whole() -> None:
    assert Support.PARSED not in capabilities.KINDS.values()


def test_a_restore_is_planned_to_the_last_field() -> None:
    planned = [k for k, support in capabilities.KINDS.items() if support is Support.PLANNED]
    assert planned == ["Restore"]
    assert set(capabilities.FIELDS["Restore"].values()) == {Support.PLANNED}
    (document,) = parse(RESTORE).documents
    assert document.value is not None
    assert [p.message for p in parse(RESTORE + "  a: b\n").problems] == [
        "unknown field `a` in spec"
    ]


def test_a_default_that_is_not_executed_must_be_replaced() -> None:
    (problem,) = parse(MAIN, SHOP.replace("  volumes: {copyMethod: Direct}\n", "")).problems
    assert "`volumes.copyMethod` must be given: its default, Auto, is not supported" in str(problem)
    assert problem.hint == "this version has Direct and Skip"


def test_what_is_recorded_only_is_told_from_what_is_executed() -> None:
    assert capabilities.support_of("BackupPolicy", "spec.retention") is Support.PLANNED
    assert capabilities.support_of("BackupPolicy", "spec.suspend") is Support.EXECUTED
