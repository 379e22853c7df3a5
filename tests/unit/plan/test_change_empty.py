"""A plan of a change: a selector that no namespace of the inventory fits is told."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Place, Severity
from tests.unit.plan.change_world import FILES, SHOP, edited, ids, line_of, plan

NAMES = 'names: [shop, "shop-*"]'
WIKI = SHOP.replace("{name: shop}", "{name: wiki}").replace("17 4", "37 3")


def wiki(names: str, exclude: str = "[]") -> dict[str, str]:
    """The files with a policy more."""
    text = WIKI.replace(NAMES, f"names: {names}").replace('["*-preview"]', exclude)
    return {**FILES, "wiki.yaml": text}


def test_a_new_policy_that_selects_nothing() -> None:
    head = wiki("[wikki]")
    (empty,) = plan(head).findings
    assert (empty.id, empty.severity, empty.policy) == (
        "selects-nothing", Severity.WARNING, "wiki",
    )  # fmt: skip
    assert empty.message == (
        "policy wiki selects none of the inventory's namespaces: its run would fail"
    )
    assert empty.place == Place("wiki.yaml", line_of(head, "wiki.yaml", "names:"))
    assert empty.details == ()


def test_what_the_policy_itself_excludes_is_named() -> None:
    (empty,) = plan(wiki("[lab]", "[lab]")).findings
    assert empty.id == "selects-nothing"
    assert empty.details == ("lab: excluded by lab",)


def test_a_changed_policy_that_selects_nothing() -> None:
    head = edited(shop=(NAMES, "names: [shopp]"))
    assert ids(plan(head).findings) == ["coverage-lost", "selects-nothing"]
    # What selected nothing and goes on so by the same words is no news; other words are.
    assert plan(edited(head, shop=("keepDaily: 7", "keepDaily: 8")), head).findings[0].id == (
        "retention-extended"
    )
    assert ids(plan(edited(head, shop=("[shopp]", "[shoppp]")), head).findings) == [
        "selects-nothing"
    ]


@pytest.mark.parametrize("edit", ["suspend: true", "clusters: [other]"])
def test_a_policy_without_runs_is_told_once_it_has_them(edit: str) -> None:
    idle = edited(wiki("[wikki]"), wiki=("spec:\n", f"spec:\n  {edit}\n"))
    assert plan(idle).findings == ()
    assert ids(plan(wiki("[wikki]"), idle).findings) == ["selects-nothing"]


def test_a_new_name_of_the_policy_is_no_news() -> None:
    before = wiki("[wikki]")
    after = edited(before, wiki=("{name: wiki}", "{name: web}"))
    after = edited(after, wiki=("spec:\n", "spec:\n  renamedFrom: wiki\n"))
    assert ids(plan(after, before).findings) == ["policy-renamed"]


def test_without_an_inventory_nobody_knows_which_namespaces_there_are() -> None:
    (gained,) = plan(wiki("[wikki]"), offline=True).findings
    assert gained.message == (
        "namespace wikki gains protection if there is such a namespace: policy wiki"
    )
    (gained,) = plan(wiki("[wikki, docs]"), offline=True).findings
    assert gained.message == (
        "namespaces docs and wikki gain protection if there are such namespaces: policy wiki"
    )
