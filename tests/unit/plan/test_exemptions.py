"""Exemptions: they count until they end, and never against a policy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import ClaimTemplate
from reconciler.model.policy import ClusterSelector, Exemption
from reconciler.model.protection import Cause, Protection, State, Waiver
from reconciler.plan.protection import narrow, protect
from tests.unit.plan.protection_world import (
    NOW,
    claim,
    coverage,
    exemption,
    inventory,
    lines,
    policy,
    skipping,
    space,
)

DAY = timedelta(days=1)
SCRATCH = space(
    "scratch-1",
    claim("scratch-1", "data"),
    templates=(ClaimTemplate(workload="db", name="cache", replicas=1),),
)


def judge(*exemptions: Exemption, policies: tuple[str, ...] = ()) -> Protection:
    """Over the namespace scratch-1."""
    made = [policy(name, name) for name in policies]
    return protect(
        made,
        exemptions,
        inventory(SCRATCH),
        now=NOW,
        places={one.name: Place("a.yaml", 3) for one in exemptions},
    )


def states(protection: Protection) -> list[State]:
    """Namespace, claim, template."""
    return [line.state for line in protection.lines]


def test_a_namespace_is_exempt_with_all_that_is_in_it() -> None:
    found = judge(exemption("scratch", "scratch-*"))
    assert states(found) == [State.EXEMPT] * 3
    assert found.lines[1].waiver == Waiver(
        "rebuilt every night", "scratch", "team-ci", "2027-03-01T20:00:00Z"
    )
    assert found.findings == ()


def test_with_claims_only_those_are_exempt() -> None:
    found = judge(exemption("scratch", "scratch-*", claims=("da*",)))
    assert states(found) == [State.UNPROTECTED, State.EXEMPT, State.UNPROTECTED]
    found = judge(exemption("scratch", "scratch-*", claims=("cache-db-*",)))
    assert states(found) == [State.UNPROTECTED, State.UNPROTECTED, State.EXEMPT]


def test_a_rule_that_skips_and_an_exemption_that_says_why() -> None:
    ground = space("shop", claim("shop", "data"), claim("shop", "web-cache"))
    found = coverage(
        (policy("shop", "shop", rules=(skipping("*-cache"),)),),
        (exemption("caches", "*", claims=("*-cache",)),),
        ground,
    )
    assert found["claim shop/web-cache"].state is State.EXEMPT
    assert found["claim shop/data"].state is State.PROTECTED


def test_an_expired_one_counts_no_more_and_says_so() -> None:
    found = judge(exemption("scratch", "scratch-*", expires=NOW - DAY))
    assert states(found) == [State.UNPROTECTED] * 3
    reason = found.lines[1].reasons[0]
    assert (reason.cause, reason.exemption) == (Cause.EXPIRED, "scratch")
    assert reason.why == "exemption scratch of team-ci expired on 2026-11-20T20:00:00Z"
    assert found.findings == (
        Finding(
            id="exemption-expired",
            severity=Severity.ERROR,
            message="exemption scratch of team-ci expired on 2026-11-20T20:00:00Z:"
            " what it matched is unprotected",
            hint="extend it, or let a policy protect what it matches; else remove it",
            place=Place("a.yaml", 3),
            details=(
                "namespace scratch-1",
                "claim scratch-1/data",
                "template scratch-1/cache of StatefulSet/db",
            ),
            facts={
                "exemption": "scratch",
                "owner": "team-ci",
                "expires": "2026-11-20T20:00:00Z",
            },
        ),
    )


@pytest.mark.parametrize(("seconds", "state"), [(0, State.EXEMPT), (1, State.UNPROTECTED)])
def test_the_last_moment_still_counts(seconds: int, state: State) -> None:
    found = judge(exemption("scratch", "*", expires=NOW - timedelta(seconds=seconds)))
    assert states(found) == [state] * 3


def test_an_expired_one_whose_claims_a_policy_took_over_is_a_note() -> None:
    found = judge(exemption("scratch", "*", expires=NOW - DAY), policies=("scratch-1",))
    assert states(found) == [State.PROTECTED] * 3
    assert [(one.id, one.severity) for one in found.findings] == [
        ("exemption-expired", Severity.NOTE),
        ("exemption-overruled", Severity.NOTE),
    ]


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (timedelta(hours=2), "within a day, on 2026-11-21T22:00:00Z"),
        (DAY, "in 1 day, on 2026-11-22T20:00:00Z"),
        (14 * DAY, "in 14 days, on 2026-12-05T20:00:00Z"),
        (14 * DAY + timedelta(seconds=1), ""),
    ],
)
def test_one_that_ends_soon_is_a_note(left: timedelta, told: str) -> None:
    found = judge(exemption("scratch", "*", expires=NOW + left))
    expected = [f"exemption scratch of team-ci expires {told}"] if told else []
    assert [one.message for one in found.findings] == expected
    assert states(found) == [State.EXEMPT] * 3


def test_of_two_the_one_that_ends_last_speaks() -> None:
    found = judge(
        exemption("a", "*", expires=NOW - DAY),
        exemption("b", "*", expires=NOW + 30 * DAY),
        exemption("c", "*", expires=NOW + 20 * DAY),
    )
    assert {line.waiver.exemption for line in found.lines if line.waiver} == {"b"}
    assert [(one.id, one.severity) for one in found.findings] == [
        ("exemption-expired", Severity.NOTE)
    ]


def test_a_policy_wins_and_a_note_says_so() -> None:
    found = judge(exemption("scratch", "*"), policies=("scratch-1",))
    assert states(found) == [State.PROTECTED] * 3
    (note,) = found.findings
    assert (note.id, note.severity) == ("exemption-overruled", Severity.NOTE)
    assert note.details[0] == "namespace scratch-1"


@pytest.mark.parametrize("claims", [(), ("nothing-*",)])
def test_one_that_matches_nothing_is_a_note(claims: tuple[str, ...]) -> None:
    found = judge(exemption("scratch", "*" if claims else "nowhere", claims=claims))
    assert [(one.id, one.message) for one in found.findings] == [
        ("exemption-unused", "exemption scratch of team-ci matches nothing here")
    ]


def test_one_for_other_clusters_is_not_heard_of() -> None:
    other = ClusterSelector(names=("dev",))
    found = judge(exemption("scratch", "*", clusters=other, expires=NOW - DAY))
    assert found.findings == ()
    assert lines(found)["claim scratch-1/data"].reasons[0].cause is Cause.UNMATCHED
    labels = ClusterSelector(match_labels={"env": "prod"})
    assert states(judge(exemption("scratch", "*", clusters=labels))) == [State.EXEMPT] * 3


def test_a_star_leaves_kubernetes_out() -> None:
    ground = space("kube-system", claim("kube-system", "registry"))
    found = coverage((), (exemption("all", "*"),), ground)
    assert found["claim kube-system/registry"].state is State.UNPROTECTED
    found = coverage((), (exemption("all", "kube-system"),), ground)
    assert found["claim kube-system/registry"].state is State.EXEMPT


def test_a_narrower_look_keeps_what_concerns_it() -> None:
    soon = exemption("soon", "scratch-*", expires=NOW + DAY)
    assert [one.id for one in narrow(judge(soon), ["scratch-1"]).findings] == ["exemption-expiring"]
    assert narrow(judge(soon), ["other"]).findings == ()
