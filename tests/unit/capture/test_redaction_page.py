"""docs/redaction.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.capture import redactwords

PAGE = (Path(__file__).parents[3] / "docs/redaction.md").read_text()


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
