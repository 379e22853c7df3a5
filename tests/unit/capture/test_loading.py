"""Manifests are read as PyYAML's own loader reads them, and what we wrote comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.capture import emitter
from reconciler.capture.loading import Unreadable, load_document
from tests.unit.capture import nasty

TEXT = st.one_of(
    st.sampled_from(nasty.SHORT), st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=15,
)


def typed(value: Any) -> Any:
    """With the kinds of numbers told apart."""
    if isinstance(value, dict):
        return {key: typed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part) for part in value]
    return (type(value), repr(value))


@settings(max_examples=150)
@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_what_we_write_comes_back(document: dict[str, Any]) -> None:
    text = emitter.emit(document)
    assert typed(load_document(text)) == typed(document)
    assert typed(load_document(text)) == typed(yaml.load(text, yaml.CSafeLoader))


def test_what_a_person_may_write() -> None:
    text = b"# m\na: {b: [1, 'x', \"y\"]}\nc:\nd: |\n  e\n  f\n'1': on\n? g\n: h\nanchor: &x y\n"
    assert load_document(text) == {
        "a": {"b": [1, "x", "y"]}, "c": "", "d": "e\nf\n", "1": "on", "g": "h", "anchor": "y",
    }  # fmt: skip
    assert load_document(b"") is None
    assert load_document(b"a: 1\na: 2\n") == {"a": 2}
    assert load_document(b"just text\n") == "just text"


@pytest.mark.parametrize("key", ["8080", "true", "null", "1.5", "[a]", "{a: 1}"])
def test_a_key_that_is_no_text_is_not_read(key: str) -> None:
    with pytest.raises(Unreadable, match="a key is no text"):
        load_document(f"data:\n  a: 1\n  ? {key}\n  : 2\n".encode())
    assert load_document(b'"8080": 1\n"true": 2\n') == {"8080": 1, "true": 2}
