"""The reference says what is so: examples and snippets are valid, every field has its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.model import capabilities
from reconciler.model.capabilities import Support
from reconciler.model.errors import InvalidInput, Problem
from reconciler.policy import parse_config, reference, schema
from reconciler.policy.editors import ALL
from reconciler.policy.referencetexts import EXAMPLES, MEANINGS, SNIPPETS, STATUSES, WRITING
from reconciler.policy.shapes import meaning_of
from reconciler.policy.statuslanguage import BackupPolicyStatus
from tests.unit.policy.yamltexts import GOLD, HEAD, MAIN, SHOP, parse

ROOT = Path(__file__).parents[3]
SMALLEST = {
    "BackupPolicy": SHOP.replace("name: shop", "name: other"),
    "Repository": MAIN.replace("name: main", "name: other"),
    "Exemption": EXAMPLES["Exemption"],
    "Restore": EXAMPLES["Restore"],
}


def beyond_support(found: tuple[Problem, ...]) -> list[str]:
    """Problems other than that something is not executed yet."""
    return [str(problem) for problem in found if "not supported yet" not in problem.message]


@pytest.mark.parametrize("kind", ALL)
def test_the_example_is_valid(kind: str) -> None:
    if kind == "Config":
        assert parse_config("backstay.yaml", EXAMPLES[kind].encode()).cluster.name == "prod-eu"
        return
    others = [MAIN] if kind != "Repository" else []
    found = parse(*others, EXAMPLES[kind]).problems
    assert beyond_support(found) == []
    assert bool(found) is (capabilities.KINDS[kind] is Support.PARSED)


@pytest.mark.parametrize(("kind", "field"), SNIPPETS)
def test_the_snippet_is_valid_in_a_document(kind: str, field: str) -> None:
    lines = SMALLEST[kind].splitlines()
    begin = next((n for n, line in enumerate(lines) if line.startswith(f"  {field}:")), len(lines))
    end = begin + 1
    while end < len(lines) and lines[end].startswith("   "):
        end += 1
    snippet = [f"  {line}" for line in SNIPPETS[kind, field].splitlines()]
    text = "\n".join([*lines[:begin], *snippet, *lines[end:]]) + "\n"
    found = parse(*([MAIN, GOLD] if kind == "BackupPolicy" else []), text).problems
    assert beyond_support(found) == []


@pytest.mark.parametrize("kind", ALL)
def test_every_field_has_a_line_and_a_meaning(kind: str) -> None:
    page = reference.render_page(kind)
    for step in schema.walk(ALL[kind]):
        if step.path in {"apiVersion", "kind", "metadata", "spec"}:
            continue
        (line,) = re.findall(rf"^\| `{re.escape(step.path)}` \|.*", page, re.MULTILINE)
        assert meaning_of(step.part, step.info) or schema.part_of(step.info.annotation)[1], (
            step.path
        )
        assert len(re.findall(r"(?<!\\)\|", line)) == 5, line
    parts = re.findall(r"^## (.*)$", page, re.MULTILINE)
    article = "an" if kind == "Exemption" else "a"
    assert parts == ["Example", f"Writing {article} {kind}", "Fields", "Status"]


def test_every_field_of_the_status_has_a_line() -> None:
    page = reference.render_page("BackupPolicy")
    assert not [
        step.path for step in schema.walk(BackupPolicyStatus) if f"`status.{step.path}`" not in page
    ]


def test_what_is_not_executed_says_so_in_its_line() -> None:
    for kind, fields in capabilities.FIELDS.items():
        if capabilities.KINDS[kind] is Support.PARSED:
            assert "\n**Not supported yet.**" in reference.render_page(kind)
            continue
        page = reference.render_page(kind)
        for path, support in fields.items():
            line = next((one for one in page.splitlines() if one.startswith(f"| `{path}` |")), "")
            assert ("**Not supported yet.**" in line) is (support is Support.PARSED), path


def test_texts_belong_to_fields_that_there_are() -> None:
    assert set(EXAMPLES) == set(MEANINGS) == set(ALL)
    assert set(STATUSES) == set(ALL) - {"BackupPolicy"}
    for kind, field in (*WRITING, *SNIPPETS):
        paths = {step.path for step in schema.walk(ALL[kind])}
        assert (f"spec.{field}" if kind != "Config" else field) in paths


def test_the_pages_are_those_that_the_language_makes() -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "docs/reference").glob("*.md")}
    assert pages == {kind.lower(): reference.render_page(kind) for kind in ALL}


def test_an_example_with_a_mistake_would_be_found() -> None:
    with pytest.raises(InvalidInput):
        parse_config("backstay.yaml", f"{HEAD}kind: Config\n".encode())
