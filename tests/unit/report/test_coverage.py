"""Coverage as people, programs and pull requests see it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from reconciler.model.finding import Place
from reconciler.model.inventory import ClaimTemplate
from reconciler.model.policy import ObjectSelector
from reconciler.model.protection import LastPoint, Protection
from reconciler.model.run import Outcome
from reconciler.plan.coveragegate import CONDITIONS, failing
from reconciler.plan.protection import protect
from reconciler.report import coverage
from reconciler.report.coverageannotations import render_github
from reconciler.report.coveragemarkdown import MOST_ROWS, escape, render_markdown
from tests.conftest import Golden
from tests.unit.plan.protection_world import (
    NOW,
    claim,
    exemption,
    inventory,
    point,
    policy,
    skipping,
    space,
)


def usual() -> Protection:
    """A bit of everything."""
    shop = space(
        "shop",
        claim("shop", "data-db-0"),
        claim("shop", "new", phase="Pending"),
        claim("shop", "web-cache"),
        templates=(ClaimTemplate(workload="db", name="data", replicas=1),),
    )
    return protect(
        [
            policy("shop", "shop", rpo=24 * 3600, rules=(skipping("*-cache", reason="rebuilt"),)),
            policy("all", "shop", suspend=True),
            policy("wiki", "wiki"),
            policy("slow", "shop", rules=(skipping("*"),)),
        ],
        [
            exemption("scratch", "scratch-*", expires=NOW + timedelta(days=9)),
            exemption("old", "legacy", expires=NOW - timedelta(days=2)),
        ],
        inventory(
            shop,
            space("crm", claim("crm", "mail")),
            space("kube-system"),
            space("legacy", claim("legacy", "x")),
            space("scratch-1", claim("scratch-1", "tmp")),
            space("wiki"),
            points=(
                point("gone", 300, "mail", namespace="crm"),
                point("shop", 26, "data-db-0"),
                point("slow", 3),
            ),
        ),
        now=NOW,
        revision="main@sha1:5b0ee6d73a11f3e0c1a4b8e9d7c6f5a4b3c2d1e0",
        places={"old": Place("policies/exemptions.yaml", 12)},
    )


def test_text(golden: Golden) -> None:
    found = usual()
    golden("report/coverage.txt", coverage.render_text(found, failing(found, CONDITIONS)))


def test_markdown(golden: Golden) -> None:
    found = usual()
    golden("report/coverage.md", render_markdown(found, failing(found, ["unprotected"])))


def test_annotations(golden: Golden) -> None:
    found = usual()
    golden("report/coverage.github", render_github(found, failing(found, ["unprotected"])))
    many = [space(f"n{number:05}") for number in range(90)]
    text = render_github(protect([], [], inventory(*many), now=NOW))
    assert text.count("\n") == 51
    assert text.endswith("::and 40 more: backstay coverage has them all\n")


def test_json(golden: Golden) -> None:
    found = usual()
    document = coverage.to_json(found, failing(found, ["unprotected"]))
    golden("report/coverage.json", json.dumps(document, indent=2) + "\n")
    assert document["summary"]["unprotected"] == {"namespaces": 2, "claims": 3, "templates": 0}


def test_all_is_well() -> None:
    found = protect([policy("shop", "shop")], [], inventory(space("shop"), taken=None), now=NOW)
    text = coverage.render_text(found)
    assert text.startswith("Coverage of prod-eu, as its manifests will make it\n")
    assert "Unprotected" not in text
    assert failing(found, CONDITIONS) == ("never: 1 that no recovery point holds",)
    assert "<details>" in render_markdown(found)


def test_each_condition_counts_what_meets_it() -> None:
    assert failing(usual(), CONDITIONS) == (
        "unprotected: 2 namespaces, 3 claims",
        "stale: 2 whose last recovery point is older than promised",
        "never: 1 that no recovery point holds",
        "exemption-expired: 1 exemption",
        "exemption-expiring: 1 exemption",
    )
    assert failing(usual(), []) == ()


def test_ages() -> None:
    def shown(**ago: float) -> str:
        started = NOW - timedelta(**ago)
        return coverage.age(LastPoint("p", "r", started, Outcome.COMPLETED), NOW)

    assert shown(seconds=7) == "7s"
    assert shown(hours=26) == "26h 0m"
    assert shown(hours=48) == "2d"
    # A cluster's clock may be ahead of ours.
    assert shown(seconds=-90) == "0s"


def test_a_comment_stays_a_comment() -> None:
    assert escape("@all [x](https://evil) <b> `a` | #1") == (
        "\\@all \\[x\\](https\\://evil) \\<b\\> \\`a\\` \\| \\#1"
    )
    assert len(escape("x" * 5000)) == 200
    many = [space(f"n{number:05}") for number in range(MOST_ROWS + 300)]
    text = render_markdown(protect([], [], inventory(*many), now=NOW))
    assert "and 300 more: `backstay coverage` has them all" in text
    assert len(text) < 65_536


def test_a_part_is_called_one_in_every_form() -> None:
    one = policy("shop", "shop")
    objects = ObjectSelector(exclude=("secret",))
    narrow = replace(one, selector=replace(one.selector, objects=objects))
    found = protect([narrow], [], inventory(space("shop"), points=(point("shop", 2),)), now=NOW)
    words = "policy shop (named), in part: it leaves out kinds secret (exclude), last 2026-11-21"
    assert words in coverage.render_text(found)
    assert words in render_markdown(found)
    (line,) = coverage.to_json(found)["lines"]
    assert line["policies"][0]["leavesOut"] == ["kinds secret (exclude)"]
    assert failing(found, CONDITIONS) == ("partial: 1 namespace",)
