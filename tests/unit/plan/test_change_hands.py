"""Namespaces that one policy leaves to another."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Place, Severity
from tests.unit.plan.change_world import FILES, GOLD, edited, ids, line_of, plan

BRONZE = GOLD.replace("name: labelled", "name: bronze").replace(
    "{matchLabels: {backup: gold}}", '{names: ["*"]}'
)
WEAK = BRONZE.replace("spec:\n", 'spec:\n  schedule: "17 4 * * 0"\n  retention: {keepLast: 1}\n')
NARROW = ('names: [shop, "shop-*"]', 'names: ["shop-*"]')


def test_a_weaker_policy_that_takes_over_is_told() -> None:
    base = {**FILES, "bronze.yaml": WEAK}
    head = edited(base, shop=NARROW)
    (found,) = plan(head, base).findings
    assert (found.id, found.severity, found.namespace) == (
        "protector-changed", Severity.WARNING, "shop",
    )  # fmt: skip
    assert found.message == (
        "namespace shop is left by policy shop to bronze, with up to 7 d without a run instead of"
        " 24 h and a shorter retention"
    )
    assert found.place == Place("shop.yaml", line_of(head, "shop.yaml", "names:"))


@pytest.mark.parametrize(
    "text", [BRONZE, BRONZE.replace("spec:\n", 'spec:\n  schedule: "0 * * * *"\n')]
)
def test_one_that_does_as_much_is_not(text: str) -> None:
    base = {**FILES, "bronze.yaml": text}
    assert plan(edited(base, shop=NARROW), base).findings == ()


def test_a_removed_policy_has_the_line_of_the_base() -> None:
    base = {**FILES, "bronze.yaml": WEAK}
    head = {name: text for name, text in base.items() if name != "shop.yaml"}
    found = next(one for one in plan(head, base).findings if one.id == "protector-changed")
    assert found.message.startswith("2 namespaces are left by policy shop to bronze, with ")
    assert found.details == ("shop", "shop-blue")
    assert found.facts["side"] == "base"


def test_a_renamed_policy_leaves_nothing() -> None:
    base = {**FILES, "bronze.yaml": WEAK}
    head = edited(
        edited(base, shop=("{name: shop}", "{name: two}")),
        shop=("spec:\n", "spec:\n  renamedFrom: shop\n"),
    )
    assert "protector-changed" not in ids(plan(head, base).findings)
