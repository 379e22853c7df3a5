"""A policy under a new name: what is said of it, and that the name hides nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.run import Outcome
from reconciler.plan.changerenames import change_renames, followed
from tests.unit.plan.change_world import (
    FILES,
    claim,
    edited,
    inventory,
    line_of,
    plan,
    revision,
)


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


@pytest.mark.parametrize("former", ["shop", ""])
def test_a_rename_does_not_hide_a_shorter_retention(former: str) -> None:
    head = renamed(former, retention="keepLast: 1")
    short = found(head)["retention-shortened"]
    assert (short.policy, short.severity) == ("shop2", Severity.WARNING)
    assert "keepDaily 7 → none" in short.message
    assert short.place == Place("shop.yaml", line_of(head, "shop.yaml", "keepLast"))


def test_recovery_points_of_the_former_name_count() -> None:
    known = inventory()
    kept = {"shop": Outcome.COMPLETED}
    points = tuple(replace(point, namespaces=kept) for point in known.points)
    change = plan(renamed(retention="keepLast: 1"), known=replace(known, points=points))
    short = next(one for one in change.findings if one.id == "retention-shortened")
    assert short.severity is Severity.ERROR
    assert "would expire 2 recovery points of shop" in short.message


@pytest.mark.parametrize("former", ["shop", ""])
def test_a_rename_does_not_hide_another_repository(former: str) -> None:
    head = edited(renamed(former), main=("/backups/", "/elsewhere/"))
    told = [one.policy for one in plan(head).findings if one.id == "repository-changed"]
    assert told == ["labelled", "shop2"]


def test_a_rename_does_not_hide_a_promise_that_breaks() -> None:
    promise = (
        "  retention: {keepDaily: 7}",
        "  retention: {keepDaily: 7}\n  objectives: {rpo: 26h}",
    )
    base = edited(shop=promise)
    missed = {one.id: one for one in plan(renamed(base=base, schedule="17 4 1 * *"), base).findings}
    assert missed["rpo-missed"].severity is Severity.ERROR
    assert missed["rpo-missed"].policy == "shop2"
    gone = edited(renamed(base=base), shop=("{rpo: 26h}", "{rpo: 5d}"))
    assert {one.id for one in plan(gone, base).findings} == {"policy-renamed", "rpo-loosened"}


def test_a_rename_does_not_hide_another_selector_where_nothing_is_known() -> None:
    assert set(found(renamed(selector="names: [crm"), offline=True)) >= {"selector-changed"}


def test_a_rename_alone_says_nothing_else_of_a_claim_that_was_impossible_before() -> None:
    known = inventory()
    shop = known.namespaces[2]
    assert shop.namespace.name == "shop"
    block = replace(shop, claims=(claim("shop", "data", 1, mode="Block"),))
    spaces = tuple(block if one is shop else one for one in known.namespaces)
    change = plan(renamed(), known=replace(known, namespaces=spaces))
    assert [one.id for one in change.findings] == ["policy-renamed"]


def test_an_heir_that_was_there_before_is_held_against_itself() -> None:
    head = edited(gold=("spec:\n", "spec:\n  renamedFrom: shop\n  retention: {keepDaily: 3}\n"))
    del head["shop.yaml"]
    told = [(one.id, one.facts.get("words", "")) for one in plan(head).findings]
    assert ("policy-renamed", "") in told
    assert ("retention-shortened", "keepDaily 7 → 3") in told
    base = edited(shop=("keepDaily: 7", "keepDaily: 2"))
    assert ("retention-shortened", "keepDaily 7 → 3") in [
        (one.id, one.facts.get("words", "")) for one in plan(head, base).findings
    ]


GRANTS = (Grant(path="a", admin=True), Grant(path="b"), Grant(path="a/same", admin=True))


def moved(folder: str, files: dict[str, str]) -> dict[str, str]:
    """The files in a folder, of policy shop (or shop2) in ``folder``."""
    return {f"{folder if name == 'shop.yaml' else 'a'}/{name}": one for name, one in files.items()}


def under(grants: tuple[Grant, ...], folder: str, former: str) -> dict[str, Finding]:
    made = plan(moved(folder, renamed(former)), moved("a", FILES), grants=grants)
    return {one.id: one for one in made.findings}


@pytest.mark.parametrize("former", ["shop", ""])
def test_a_policy_of_a_folder_with_another_grant_is_no_heir(former: str) -> None:
    found = under(GRANTS, "b", former)
    assert "policy-renamed" not in found
    assert found["policy-removed"].policy == "shop"
    assert ("its folder has another grant" in found["policy-removed"].hint) is bool(former)
    assert "policy-renamed" in under(GRANTS, "a", former)
    assert "policy-renamed" in under(EVERYTHING, "b", former)


def test_its_recovery_points_are_not_counted_for_the_stranger() -> None:
    before = revision(moved("a", FILES), grants=GRANTS)
    for folder, points in (("a", 3), ("b", 0)):
        after = revision(moved(folder, renamed()), "head", grants=GRANTS)
        known = followed(inventory(), change_renames(before, after), before, after)
        assert known is not None
        assert len(known.points_of("shop2")) == points
