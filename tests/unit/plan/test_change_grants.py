"""What a selector matches and a grant keeps from it is told, once, with the line."""

from __future__ import annotations

from reconciler.model.finding import Finding, Severity
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.inventory import Inventory
from reconciler.plan.changegrants import not_granted
from tests.unit.plan.change_world import FILES, inventory, line_of, plan

NARROW = (Grant(path="a", admin=True), Grant(path="team", namespaces=("shop", "shop-*")))
FOLDERS = {f"{'team' if name == 'shop.yaml' else 'a'}/{name}": text for name, text in FILES.items()}
ALL = FOLDERS | {"team/shop.yaml": FILES["shop.yaml"].replace('[shop, "shop-*"]', '["*"]')}


def told(
    head: dict[str, str],
    base: dict[str, str],
    known: Inventory | None = None,
    grants: tuple[Grant, ...] = NARROW,
) -> list[Finding]:
    made = plan(head, base, known, grants=grants)
    assert not made.problems
    return [one for one in made.findings if one.id == "grant-excludes"]


def test_all_namespaces_under_a_narrow_grant() -> None:
    (found,) = told(ALL, FOLDERS)
    assert (found.severity, found.policy) == (Severity.NOTE, "shop")
    assert found.message == (
        "policy shop selects 2 namespaces, and the grant of folder team does not give them: a"
        " run passes them over"
    )
    assert found.details == ("crm, lab",)
    assert found.place is not None
    line = line_of(ALL, "team/shop.yaml", "names: [")
    assert (found.place.file, found.place.line) == ("team/shop.yaml", line)


def test_what_was_so_before_is_not_told_again() -> None:
    assert told(ALL, ALL) == []
    assert told(FOLDERS, ALL) == []
    assert told(ALL, FOLDERS, grants=EVERYTHING) == []
    renamed = ALL["team/shop.yaml"].replace(
        "{name: shop}\nspec:\n", "{name: store}\nspec:\n  renamedFrom: shop\n"
    )
    assert told(ALL | {"team/shop.yaml": renamed}, ALL) == []


def test_one_is_called_by_its_name() -> None:
    (found,) = told(ALL, FOLDERS, inventory({"shop": {}, "crm": {}}))
    assert "selects namespace crm, and the grant of folder team does not give it" in found.message
    assert (found.namespace, found.details) == ("crm", ())


def test_of_many_some_are_named() -> None:
    found = not_granted("shop", [f"n{number:03}" for number in range(120)], "team")
    assert found.message.startswith("policy shop selects 120 namespaces, and")
    assert found.details[0].startswith("n000, n001,")
    assert found.details[1:] == ("and 100 more",)
