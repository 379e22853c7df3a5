"""docs/redaction.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.capture import redactrules, redactwords

PAGE = (Path(__file__).parents[3] / "docs/redaction.md").read_text()


def test_the_table_of_rules_is_the_codes() -> None:
    rows = ["| rule | kinds | places | what is taken for a credential |", "|---|---|---|---|"]
    rows += [
        f"| `{line.rule}` | {line.kinds} | {line.places} | {line.takes} |"
        for line in redactrules.TABLE
    ]
    table = "\n".join(rows)
    assert f"<!-- rules -->\n{table}\n<!-- end -->" in PAGE


@pytest.mark.parametrize("name", ["DB_PASSWORD", "dbPassword", ".htpasswd", "id_rsa", "store.p12"])
def test_names_that_are_always_believed(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert redactwords.strength_of(name) == "strong"


@pytest.mark.parametrize("name", ["TOKEN_URL", "PASSWORD_FILE", "secretName", "tokenTTL"])
def test_names_that_end_in_something_else(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert redactwords.strength_of(name) == ""


def test_what_stands_for_a_value() -> None:
    (told,) = re.findall(r"\*\*What stands for a value is none\*\*: (.*), what SOPS", PAGE)
    shown = re.findall(r"`([^`]+)`", told)
    assert len(shown) >= 6
    assert not [text for text in shown if redactwords.is_literal(text, "strong")]
