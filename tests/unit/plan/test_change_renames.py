"""A policy under a new name: what is said of it, and that the name hides nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.finding import Finding, Place, Severity
from tests.unit.plan.change_world import FILES, edited, inventory, line_of, plan


def renamed(former: str = "shop", base: dict[str, str] = FILES, **edits: str) -> dict[str, str]:
    """Policy shop as shop2; ``former`` is its `renamedFrom`, empty for none."""
    head = edited(base, shop=("{name: shop}", "{name: shop2}"))
    if former:
        head = edited(head, shop=("spec:\n", f"spec:\n  renamedFrom: {former}\n"))
    for old, new in edits.items():
        head = edited(head, shop=(_TEXTS[old], new))
    return head


_TEXTS = {
    "schedule": "17 4 * * *",
    "retention": "keepDaily: 7",
    "method": "    copyMethod: Direct\n  retention",
    "selector": "names: [shop",
}


def found(head: dict[str, str], *, offline: bool = False) -> dict[str, Finding]:
    return {one.id: one for one in plan(head, offline=offline).findings}


def test_a_rename_that_is_said() -> None:
    head = renamed()
    (note,) = plan(head).findings
    assert (note.id, note.severity) == ("policy-renamed", Severity.NOTE)
    assert note.message.endswith("stays reachable under the new name")
    assert note.place == Place("shop.yaml", line_of(head, "shop.yaml", "renamedFrom"))


def test_a_rename_that_nobody_says_makes_the_controller_wait() -> None:
    (warned,) = plan(renamed("")).findings
    assert (warned.id, warned.severity) == ("policy-renamed", Severity.WARNING)
    assert warned.hint == (
        "the controller keeps the old schedule and does not make the new one: add renamedFrom: shop"
    )


@pytest.mark.parametrize("offline", [False, True])
def test_a_misspelt_former_name_links_nothing(offline: bool) -> None:
    head = renamed("shpo")
    both = found(head, offline=offline)
    assert set(both) == {"policy-renamed", "rename-unknown"}
    assert {one.severity for one in both.values()} == {Severity.WARNING}
    assert both["policy-renamed"].message.endswith("stays under the name shop")
    assert both["policy-renamed"].hint == "its renamedFrom names shpo: write renamedFrom: shop"
    assert both["rename-unknown"].message.startswith("policy shop2 says renamedFrom: shpo, and")
    place = Place("shop.yaml", line_of(head, "shop.yaml", "renamedFrom"))
    assert both["rename-unknown"].place == place


def test_a_former_name_that_stood_there_before_is_not_told() -> None:
    before = renamed("older")
    assert plan(edited(before, shop=("keepDaily: 7", "keepDaily: 9")), before).findings[0].id == (
        "retention-extended"
    )


def test_a_former_name_whose_recovery_points_are_known_is_right() -> None:
    base = edited(shop=("{name: shop}", "{name: shop2}"))
    (one,) = plan(renamed("bakery"), base).findings
    assert one.id == "rename-unknown"
    assert plan(renamed("shop"), base).findings == ()
    known = inventory()
    points = tuple(replace(point, policy="bakery") for point in known.points)
    assert plan(renamed("bakery"), base, replace(known, points=points)).findings == ()


def test_a_former_name_of_another_policy_that_goes_is_not_taken_for_a_slip() -> None:
    """Shop2 was labelled; that it selects what shop did does not make it shop's heir."""
    head = renamed("labelled")
    del head["gold.yaml"]
    assert {(one.id, one.policy) for one in plan(head).findings} >= {
        ("policy-renamed", "shop2"),
        ("policy-removed", "shop"),
    }
