"""What the fakes hand out is a copy of its own, whatever is in it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from tests.fakes.copying import copied


class Word(StrEnum):
    """A string that JSON has no class for."""

    ONE = "one"


def test_a_copy_shares_nothing_that_can_be_changed() -> None:
    tree: dict[str, Any] = {"a": [{"b": 1}], "c": {"d": None, "e": [True, 1.5, "x"]}}
    made = copied(tree)
    assert made == tree
    made["a"][0]["b"] = 2
    made["c"]["d"] = 3
    assert tree == {"a": [{"b": 1}], "c": {"d": None, "e": [True, 1.5, "x"]}}


def test_other_classes_are_kept() -> None:
    made = copied({"a": [Word.ONE], "b": (1, 2)})
    assert made == {"a": ["one"], "b": (1, 2)}
    assert type(made["a"][0]) is Word
