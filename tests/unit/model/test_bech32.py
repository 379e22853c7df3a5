"""Bech32: what is whole, and that one wrong letter is found."""

from __future__ import annotations

import pytest

from reconciler.model.bech32 import is_bech32

GOOD = "age1pmwc3l23wm4yz6hkytlt94rlv8ash6ngs0p3jakfkumusgedmqhs2tvslf"


def test_a_public_key() -> None:
    assert is_bech32(GOOD, "age")


@pytest.mark.parametrize("place", range(4, len(GOOD)))
def test_one_wrong_letter(place: int) -> None:
    other = "q" if GOOD[place] != "q" else "p"
    assert not is_bech32(GOOD[:place] + other + GOOD[place + 1 :], "age")


@pytest.mark.parametrize(
    "text",
    ["", "age1", "1", GOOD.upper(), GOOD[:-1], GOOD + "q", GOOD[4:], "aged" + GOOD[3:], "é1q"],
)
def test_what_is_none(text: str) -> None:
    assert not is_bech32(text, "age")
