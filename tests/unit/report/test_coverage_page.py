"""docs/coverage.md tells the truth: what is printed, every cause, condition and finding."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler.capture import manifestfiles
from reconciler.engine.lastrecords import MOST_RECORDS
from reconciler.model.inventory import ClaimTemplate, Inventory, PointDigest
from reconciler.model.protection import Cause
from reconciler.model.run import Outcome
from reconciler.plan import exemptions
from reconciler.plan.coveragegate import CONDITIONS, failing
from reconciler.plan.protection import protect
from reconciler.report import coverage, coverageannotations, coveragemarkdown
from tests.unit.plan.protection_world import NOW, claim, inventory, policy, skipping, space
from tests.unit.policy.yamltexts import HEAD, parse

TEXT = (Path(__file__).parents[3] / "docs/coverage.md").read_text()


def first_cells(head: str) -> list[str]:
    """What stands in the first column of the table with this head."""
    table = TEXT.partition(f"| {head} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [line.strip("|").split(" | ")[0].strip(" `") for line in table]


def ground() -> Inventory:
    """The cluster of the example."""
    template = ClaimTemplate(workload="db", name="data", replicas=1)
    shop = space(
        "shop", claim("shop", "data-db-0"), claim("shop", "web-cache"), templates=(template,)
    )
    shop = replace(shop, workloads={"web-cache": "Deployment/web"})
    started = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
    last = PointDigest(
        policy="shop",
        run="shop-20261121-041703-7c1e9",
        started=started,
        outcome=Outcome.COMPLETED,
        namespaces={"shop": Outcome.COMPLETED},
        claims={"shop": ("data-db-0",)},
    )
    scratch = space("scratch-1", claim("scratch-1", "tmp"))
    return inventory(scratch, shop, space("kube-system"), points=(last,))


def test_the_example_is_what_is_printed() -> None:
    rule = skipping("*-cache", reason="rebuilt on start")
    (written,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert written.startswith(HEAD)
    parsed = parse(written)
    assert parsed.problems == ()
    found = protect(
        [policy("shop", "shop", rules=(rule,))],
        parsed.exemptions,
        ground(),
        now=NOW,
        revision="main@sha1:5b0ee6d73a11f3e0c1a4b8e9d7c6f5a4b3c2d1e0",
    )
    printed = coverage.render_text(found, failing(found, ["unprotected"]))
    (shown,) = re.findall(
        r"```console\n\$ backstay coverage --fail-on unprotected\n(.*?)```", TEXT, re.DOTALL
    )
    assert shown == printed


def test_every_cause_and_condition_has_a_line_in_its_order() -> None:
    assert first_cells("cause") == list(Cause)
    assert first_cells("condition") == list(CONDITIONS)


def test_every_finding_is_named() -> None:
    for identifier in (
        *(exemptions.EXPIRED, exemptions.EXPIRING),
        *(exemptions.UNUSED, exemptions.OVERRULED),
    ):
        assert f"(`{identifier}`" in TEXT
    assert f"{exemptions.SOON.days} days before" in TEXT


def test_every_field_of_the_document_is_named() -> None:
    document = coverage.to_json(protect([], [], ground(), now=NOW))
    for name in (*document, *document["lines"][0]):
        assert f"`{name}`" in TEXT or f"`{name}[]`" in TEXT


def test_limits() -> None:
    assert f"nesting up to {manifestfiles.MAX_DEPTH}" in TEXT
    assert f"files up to {manifestfiles.MAX_BYTES >> 20} MiB" in TEXT
    assert f"{manifestfiles.MAX_VALUES:,} values" in TEXT
    assert f"{manifestfiles.MAX_OBJECTS:,} objects" in TEXT
    assert f"at most the {MOST_RECORDS} newest records" in TEXT
    assert f"at most {coverageannotations.MOST_SHOWN} unprotected" in TEXT
    assert f"at most {coveragemarkdown.MOST_ROWS} rows" in TEXT
