"""Values of plans without a cluster."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.finding import Finding, Severity
from reconciler.model.inventory import ClaimTemplate, Inventory, PointDigest
from reconciler.model.run import Outcome


def test_a_finding_is_one_printable_line_and_so_is_each_detail() -> None:
    found = Finding(
        id="coverage-lost",
        severity=Severity.ERROR,
        message="a\nb",
        claim="\x1b[31m",
        details=("one\r\ntwo",),
    )
    shown = (found.message, found.claim, *found.details)
    assert shown == ("a\\nb", "\\x1b[31m", "one\\r\\ntwo")


def test_points_are_of_one_policy_in_their_order() -> None:
    points = tuple(
        PointDigest(
            policy=policy,
            run=f"{policy}-{day}",
            started=datetime(2026, 11, day, tzinfo=UTC),
            outcome=Outcome.COMPLETED,
        )
        for day in (1, 2)
        for policy in ("blog", "shop")
    )
    inventory = Inventory(cluster="prod-eu", uid="1", points=points)
    assert [point.run for point in inventory.points_of("shop")] == ["shop-1", "shop-2"]


def test_a_claim_template_names_its_claims_as_kubernetes_does() -> None:
    assert ClaimTemplate(workload="db", name="data").glob == "data-db-*"
