"""Texts of strangers: harmless to a terminal, and no command to a CI system."""

from __future__ import annotations

import pytest

from reconciler.model.texts import for_log, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", "�:error::x"),
        ("a::b", "a::b"),
        ("a\n::error::x\n  ::debug::y\n", "a\n�:error::x\n  �:debug::y\n"),
        ("a\r::error::x", "a\r�:error::x"),
        ("a ##[error]x", "a ##�error]x"),
    ],
)
def test_no_line_of_a_text_is_a_command(text: str, shown: str) -> None:
    assert for_log(text) == shown


def test_what_a_terminal_obeys_is_shown_as_something_else() -> None:
    assert visible("a\x1b[2J\n\u202eb") == "a�[2J��b"
