"""Policies that a change lets start together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.policy import BackupPolicy, Volumes
from reconciler.plan.pileups import pileup_findings
from tests.unit.plan.schedules_world import policy

NOW = datetime(2026, 11, 21, 12, 34, tzinfo=UTC)


def place(name: str, path: str) -> Place:
    return Place(f"policies/{name}.yaml#{path}", 7)


def findings(
    base: list[BackupPolicy], head: list[BackupPolicy], cluster: str = "prod"
) -> tuple[Finding, ...]:
    return pileup_findings(base, head, cluster, NOW, place)


def test_two_in_the_same_minute_are_a_note() -> None:
    base = [policy("cart"), policy("shop", "17 3 * * *")]
    (found,) = findings(base, [policy("cart"), policy("shop")])
    assert (found.id, found.severity) == ("pile-up", Severity.NOTE)
    assert found.message == "2 policies start in the same minute on Repository main"
    assert found.details == ("cart, shop: 8 times, first 2026-11-22T02:17Z in 8 days",)
    assert found.place == place("shop", "schedule.cron")


def test_many_are_a_warning() -> None:
    base = [policy(f"p{n}") for n in range(6)]
    (found,) = findings(base, [*base, policy("new")])
    assert found.severity is Severity.WARNING
    assert found.details == (
        "new, p0, p1, p2, p3 and 2 more: 8 times, first 2026-11-22T02:17Z in 8 days",
    )
    assert found.facts == {"repository": "main", "policies": "7"}


def test_what_was_so_before_or_gets_better_is_not_told() -> None:
    base = [policy("cart"), policy("shop"), policy("web")]
    assert findings(base, base) == ()
    assert findings(base, base[:2]) == ()
    assert findings(base, [*base[:2], policy("web", "18 2 * * *")]) == ()


def test_one_in_place_of_another_is_no_more_than_before() -> None:
    assert findings([policy("cart"), policy("old")], [policy("cart"), policy("new")]) == ()


def test_other_repositories_and_suspended_policies_do_not_count() -> None:
    elsewhere = replace(policy("cart"), volumes=Volumes(repository="other"))
    assert findings([], [elsewhere, policy("shop")]) == ()
    assert findings([], [policy("cart", suspend=True), policy("shop")]) == ()


def test_a_policy_that_moves_to_a_repository_piles_up_there() -> None:
    elsewhere = replace(policy("cart"), volumes=Volumes(repository="other"))
    (found,) = findings([elsewhere, policy("shop")], [policy("cart"), policy("shop")])
    assert found.policy == "cart"


def test_minutes_of_an_unknown_cluster_are_not_guessed() -> None:
    hashed = [policy("a", "H 2 * * *"), policy("b", "H 2 * * *"), policy("c", "17 2 * * *")]
    assert findings([], hashed, cluster="") == ()


def test_policies_that_run_every_minute_are_looked_at_for_an_hour() -> None:
    head = [policy(f"p{n}", "* * * * *") for n in range(200)]
    (found,) = findings([], head)
    assert found.details == (
        "p0, p1, p10, p100, p101 and 195 more: 60 times, first 2026-11-21T12:35Z in an hour",
    )


def test_only_the_largest_groups_are_listed() -> None:
    base = [policy(f"p{n}", f"{n} 3 * * *") for n in range(12)]
    (found,) = findings(base, [*base, policy("new", "*/1 3 * * *")])
    assert len(found.details) == 11
    assert found.details[-1] == "and 2 smaller groups"
