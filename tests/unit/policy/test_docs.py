"""docs/policies.md leads to every kind, names what is refused, and its examples are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.policy import nodes, parse_config, parse_files, parsing, resolving
from reconciler.policy.cron import MACROS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/policies.md").read_text()
_, _, NOT_YET = TEXT.partition("## Not supported yet")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
TAKEN = [k for k in capabilities.FIELDS if capabilities.KINDS[k] is not Support.PARSED]


@pytest.mark.parametrize("kind", capabilities.FIELDS)
def test_every_kind_has_its_page(kind: str) -> None:
    page = f"reference/{kind.lower()}.md"
    assert f"[{kind}]({page})" in TEXT
    assert (ROOT / "docs" / page).is_file()


@pytest.mark.parametrize("kind", TAKEN)
def test_every_field_that_is_not_supported_is_named(kind: str) -> None:
    refused = [p for p, how in capabilities.FIELDS[kind].items() if how is Support.PARSED]
    top = [p for p in refused if not any(p.startswith((f"{q}.", f"{q}[")) for q in refused)]
    assert not [path for path in top if f"`{path}`" not in NOT_YET]


def test_every_value_and_kind_that_is_not_supported_is_named() -> None:
    values = [
        f"{path.rpartition('.')[2]}: {value}"
        for (_, path), known in capabilities.VALUES.items()
        for value, how in known.items()
        if how is Support.PARSED
    ]
    kinds = [kind for kind, how in capabilities.KINDS.items() if how is Support.PARSED]
    assert not [word for word in values + kinds if f"`{word}`" not in NOT_YET]


def test_examples_are_valid() -> None:
    policy, profile, repository, config = BLOCKS
    files = {f"{n}.yaml": text.encode() for n, text in enumerate((policy, profile, repository))}
    parsed = parse_files(files, parse_config("backstay.yaml", config.encode()))
    assert not parsed.problems
    assert len(parsed.documents) == 4
    assert [found.name for found in parsed.policies] == ["cart", "shop"]


def test_the_policy_of_the_readme_is_the_worked_example() -> None:
    readme = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    example = (ROOT / "policies/shop.yaml").read_bytes()
    values = [d.value for d in parse_files({"a.yaml": readme.encode()}).documents]
    assert values == [d.value for d in parse_files({"a.yaml": example}).documents]
    assert None not in values


def test_limits_and_macros_are_documented() -> None:
    assert parsing.MAX_VALUES == resolving.MAX_INHERITED
    whole = f"{parsing.MAX_DOCUMENTS:,} documents, {parsing.MAX_BYTES >> 20} MiB"
    assert f"{whole} and {parsing.MAX_VALUES:,} values in all, and as many" in TEXT
    assert f"{nodes.MAX_BYTES >> 10} KiB, {nodes.MAX_DOCUMENTS} documents and" in TEXT
    assert f"{nodes.MAX_NODES:,} values per file, {nodes.MAX_DEPTH} levels" in TEXT
    assert not [macro for macro in MACROS if f"`{macro}`" not in TEXT]
