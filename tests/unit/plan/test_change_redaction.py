"""What comes to stand in Git in clear is told before it is merged."""

from __future__ import annotations

import pytest

from reconciler.model.change import ChangePlan
from reconciler.model.finding import FINDINGS, Place, Severity
from reconciler.model.grants import Grant
from reconciler.model.plan import Coverage, Plan
from reconciler.plan import coverage
from reconciler.plan.changelive import LIVE, live_findings
from reconciler.plan.selection import Selection
from reconciler.policy import parse_files
from tests.unit.plan import change_world
from tests.unit.plan.change_world import FILES, edited, line_of

CSS = '{name: css, kinds: [configmap], names: [theme], paths: ["data.css"], reason: colours}'
TWO = CSS.replace('"data.css"', '"data.css", "data.scss"').replace("css,", "two,", 1)
PINS = '{name: pins, kinds: [door.example.org, "*.locks.org"], paths: [spec.pin, spec.code]}'


def plan(
    head: dict[str, str], base: dict[str, str] = FILES, *, offline: bool = False
) -> ChangePlan:
    grants = (Grant(admin=True, keep_in_clear=True),)
    return change_world.plan(head, base, offline=offline, grants=grants)


def redacting(text: str, base: dict[str, str] = FILES) -> dict[str, str]:
    return edited(base, shop=("  retention:", f"  manifests: {{redact: {{{text}}}}}\n  retention:"))


def test_what_is_kept_in_clear_is_told_at_its_line() -> None:
    head = redacting(f"keep: [{CSS}, {TWO}]")
    css, two = sorted(plan(head).findings, key=lambda one: one.facts["keep"])
    assert css.id == two.id == "kept-in-clear"
    assert css.severity is Severity.WARNING
    assert css.message == (
        "policy shop keeps in clear what a default rule may take for a credential: data.css of"
        " configmap called theme (keep css: colours)"
    )
    assert css.place == Place("shop.yaml", line_of(head, "shop.yaml", "manifests:"))
    assert (css.details, two.details) == ((), ("data.css", "data.scss"))
    assert "2 places of configmap" in two.message


def test_only_what_the_change_does_is_told() -> None:
    base = redacting(f"keep: [{CSS}]")
    assert plan(base, base).findings == ()
    assert plan(redacting(f"keep: [{CSS.replace('colours', 'other')}]"), base).findings == ()
    (told,) = plan(redacting(f"keep: [{CSS.replace('[theme]', '[t2]')}]"), base).findings
    assert told.id == "kept-in-clear"
    assert plan(FILES, base).findings == ()


def test_what_is_redacted_no_more() -> None:
    base = redacting(f"rules: [{PINS}]")
    assert plan(base).findings == ()
    (told,) = plan(redacting(f"rules: [{PINS.replace('spec.code', 'spec.x')}]"), base).findings
    assert (told.id, told.severity) == ("redacts-less", Severity.WARNING)
    assert told.message == "policy shop no longer redacts 2 places (rule pins)"
    assert told.details == ("spec.code of door.example.org", "spec.code of *.locks.org")
    assert told.facts == {"rules": "pins", "paths": "2"}
    (gone,) = plan(FILES, base).findings
    assert gone.facts["paths"] == "4"
    renamed = redacting(f"rules: [{PINS.replace('pins', 'codes')}]")
    assert plan(renamed, base).findings == ()


def test_without_the_grant_it_is_a_problem_and_nothing_is_kept() -> None:
    made = change_world.plan(redacting(f"keep: [{CSS}]"))
    assert ["keep leaves in clear" in one.message for one in made.problems] == [True]
    assert made.findings == ()


@pytest.mark.parametrize("offline", [False, True])
def test_a_profiles_list_is_looked_at_through_its_policies(offline: bool) -> None:
    given = f"  manifests: {{redact: {{keep: [{CSS}]}}}}\n  retention: {{keepDaily: 7}}\n"
    head = edited(FILES, profiles=("  retention: {keepDaily: 7}\n", given))
    (told,) = plan(head, offline=offline).findings
    assert (told.id, told.policy) == ("kept-in-clear", "labelled")
    assert told.place == Place("profiles.yaml", line_of(head, "profiles.yaml", "manifests:"))


def test_against_a_cluster_all_that_is_kept_is_told() -> None:
    head = redacting(f"keep: [{CSS}, {TWO}]")
    parsed = parse_files({name: text.encode() for name, text in head.items()}, None)
    (shop,) = (one for one in parsed.policies if one.name == "shop")
    covered = coverage.cover(shop, Selection(()), {}, {}, shared_key=True)
    covered = Coverage(policy="shop", namespaces=(("shop", "named"),), kept=covered.kept)
    found = live_findings(Plan(cluster="c", namespace="n", revision="r", coverage=(covered,)))
    assert [one.facts["keep"] for one in found] == ["two", "css"]
    assert {one.id for one in found} == {"kept-in-clear"} <= LIVE <= set(FINDINGS)
