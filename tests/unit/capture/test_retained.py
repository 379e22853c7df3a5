"""What maintenance writes down of a policy, to the byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from reconciler.capture.retained import HeldRun, Retained, parse_retained, path_of, render_retained
from reconciler.model.errors import Stalled

FOUND = Retained(
    policy="shop",
    tip="a" * 40,
    at=datetime(2026, 11, 22, 4, 17, 3, tzinfo=UTC),
    retention={"keepLast": 3, "keepDaily": 7, "keepWithin": "1y"},
    held=(
        HeldRun("shop-20261121-041703-7c1e9", ("shop", "shop-eu")),
        HeldRun("shop-20261120-041703-aaaaa", ("shop",)),
    ),
)
TEXT = b"""\
apiVersion: backstay.dev/v1alpha1
kind: Retained
metadata:
  name: shop
tip: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
at: "2026-11-22T04:17:03Z"
retention:
  keepDaily: 7
  keepLast: 3
  keepWithin: "1y"
held:
- run: shop-20261120-041703-aaaaa
  namespaces:
  - shop
- run: shop-20261121-041703-7c1e9
  namespaces:
  - shop
  - shop-eu
"""


def test_its_text_and_back() -> None:
    assert render_retained(FOUND) == TEXT
    assert parse_retained(TEXT, where="x") == replace(FOUND, held=FOUND.held[::-1])
    assert path_of("shop") == "_retained/shop.yaml"


def test_a_policy_of_which_nothing_is_held_says_so() -> None:
    none = replace(FOUND, held=())
    assert b"held: []\n" in render_retained(none)
    assert parse_retained(render_retained(none), where="x") == none


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]\n",
        TEXT.replace(b"Retained", b"Run"),
        TEXT.replace(b"tip:", b"top:"),
        TEXT.replace(b"v1alpha1", b"v2"),
        TEXT.replace(b"held:\n", b"held:\n- shop\n"),
    ],
)
def test_what_is_none_is_an_error_with_its_place(text: bytes) -> None:
    with pytest.raises(Stalled, match=r"_retained/shop\.yaml"):
        parse_retained(text, where="_retained/shop.yaml")


def test_an_unknown_field_is_passed_over() -> None:
    assert parse_retained(TEXT + b"later: 1\n", where="x").policy == "shop"
