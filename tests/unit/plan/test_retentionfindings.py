"""What a change of retention is told to do to recovery points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.policy import Retention
from reconciler.model.run import Outcome
from reconciler.plan import retention
from reconciler.plan.retentionfindings import MOST_TIMES, retention_findings, word_changes
from tests.unit.plan.schedules_world import policy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEWEST = datetime(2026, 11, 21, 2, 17, tzinfo=UTC)


def place(name: str, path: str) -> Place:
    return Place(f"policies/{name}.yaml#{path}", 7)


def points(name: str, days: int, *namespaces: str, begin: int = 0) -> tuple[PointDigest, ...]:
    """One a day, complete, oldest first."""
    return tuple(
        PointDigest(
            policy=name,
            run=f"{name}-{n}",
            started=NEWEST - timedelta(days=n),
            outcome=Outcome.COMPLETED,
            namespaces=dict.fromkeys(namespaces, Outcome.COMPLETED),
        )
        for n in range(begin + days - 1, begin - 1, -1)
    )


def _words(given: Mapping[str, Any]) -> Retention:
    return Retention(**given)


def findings(
    before: Mapping[str, Any], after: Mapping[str, Any], *known: PointDigest, inventory: bool = True
) -> tuple[Finding, ...]:
    old = replace(policy("shop"), retention=Retention(**before))
    new = replace(policy("shop"), retention=Retention(**after))
    found = Inventory(cluster="prod", uid="u", points=known) if inventory else None
    return retention_findings([old], [new], found, NOW, place)


def test_points_that_would_expire_are_listed_with_their_dates() -> None:
    (found,) = findings({"keep_daily": 7}, {"keep_daily": 4}, *points("shop", 10, "shop"))
    assert found.id == "retention-shortened"
    assert found.severity is Severity.ERROR
    assert found.message == (
        "policy shop: the new retention would expire 3 recovery points of shop,"
        " from 2026-11-15 to 2026-11-17 (keepDaily 7 → 4)"
    )
    assert found.details == (
        "shop: 3 of 10 would expire: 2026-11-17T02:17Z, 2026-11-16T02:17Z, 2026-11-15T02:17Z",
    )
    assert found.hint.endswith("(this version removes nothing yet)")
    assert (found.policy, found.namespace) == ("shop", "shop")
    assert found.place == place("shop", "retention.keepDaily")
    assert found.facts == {"words": "keepDaily 7 → 4", "namespaces": "1", "points": "3"}


def test_points_of_one_day_name_it_once() -> None:
    (found,) = findings({"keep_daily": 3}, {"keep_daily": 2}, *points("shop", 3, "a", "b"))
    assert "would expire 2 recovery points in 2 namespaces, 2026-11-19 (keepDaily" in found.message


def test_the_page_shows_the_sentence_as_it_is_said() -> None:
    (found,) = findings({"keep_daily": 7}, {"keep_daily": 4}, *points("shop", 10, "shop"))
    page = (Path(__file__).parents[3] / "docs/retention.md").read_text()
    assert f"\n{found.severity}: {found.message}\n" in page


def test_namespaces_that_lose_the_same_points_share_a_line() -> None:
    names = [f"team-{n}" for n in range(7)]
    known = points("shop", 3, *names) + points("shop", 5, "old", begin=3)
    (found,) = findings({"keep_daily": 9}, {"keep_daily": 2}, *known)
    assert found.details == (
        "old: 3 of 5 would expire: 2026-11-16T02:17Z, 2026-11-15T02:17Z, 2026-11-14T02:17Z",
        "team-0, team-1, team-2, team-3, team-4 and 2 more: 1 of 3 would expire: 2026-11-19T02:17Z",
    )
    assert found.facts["points"] == "10"
    assert found.namespace == ""
    assert "10 recovery points in 8 namespaces" in found.message


def test_more_times_than_fit_on_a_line_are_counted() -> None:
    (found,) = findings(
        {"keep_last": 200}, {"keep_last": 1}, *points("shop", MOST_TIMES + 4, "shop")
    )
    assert found.details[0].endswith(", and 3 more")


def test_a_word_that_became_smaller_is_told_where_nothing_would_expire_yet() -> None:
    (found,) = findings({"keep_daily": 9}, {"keep_daily": 5}, *points("shop", 3, "shop"))
    assert (found.id, found.severity) == ("retention-shortened", Severity.WARNING)
    assert found.message.endswith("(keepDaily 9 → 5); of those of today none would expire")


def test_without_an_inventory_the_words_are_compared() -> None:
    (found,) = findings({"keep_daily": 9, "keep_weekly": 4}, {"keep_daily": 12}, inventory=False)
    assert (found.id, found.severity) == ("retention-shortened", Severity.WARNING)
    assert found.message == (
        "policy shop: recovery points are kept shorter (keepDaily 9 → 12, keepWeekly 4 → none);"
        " which there are, no inventory says"
    )
    assert found.facts["points"] == "unknown"
    assert found.place == place("shop", "retention.keepWeekly")


def test_longer_spans_extend() -> None:
    (found,) = findings({"keep_within": "300d"}, {"keep_within": "1y"}, inventory=False)
    assert (found.id, found.severity) == ("retention-extended", Severity.NOTE)
    assert found.message == "policy shop: recovery points are kept longer (keepWithin 300d → 1y)"


def test_one_word_in_place_of_another_may_expire_points() -> None:
    known = points("shop", 10, "shop")
    (found,) = findings({"keep_daily": 10}, {"keep_within": "3d"}, *known)
    assert found.severity is Severity.ERROR
    assert "expire 7 recovery points" in found.message


def test_points_that_the_inventory_does_not_list_are_told() -> None:
    old, new = (replace(policy("shop"), retention=Retention(keep_daily=days)) for days in (9, 5))
    found = Inventory(
        cluster="prod", uid="u", points=points("shop", 9, "shop"), older_points={"shop": 40}
    )
    (told,) = retention_findings([old], [new], found, NOW, place)
    assert told.details[-1] == "40 older ones are not in the inventory; they may expire, too"


def test_nothing_is_said_of_what_is_new_or_gone_or_the_same() -> None:
    other = replace(policy("other"), retention=Retention(keep_daily=1))
    found = Inventory(cluster="prod", uid="u", points=points("shop", 30, "shop"))
    assert retention_findings([policy("shop")], [other], found, NOW, place) == ()
    assert retention_findings([policy("shop")], [policy("shop")], found, NOW, place) == ()


def test_words_are_told_in_the_order_of_the_language() -> None:
    before = Retention(keep_yearly=1, keep_within_daily="7d", keep_last=3)
    after = Retention(keep_within="1d", keep_last=2)
    assert [str(change) for change in word_changes(before, after)] == [
        "keepLast 3 → 2",
        "keepYearly 1 → none",
        "keepWithinDaily 7d → none",
        "keepWithin none → 1d",
    ]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.dictionaries(st.sampled_from(["keep_last", "keep_daily"]), st.integers(1, 9)),
    after=st.dictionaries(st.sampled_from(["keep_last", "keep_daily"]), st.integers(1, 9)),
    days=st.integers(0, 12),
)
def test_exactly_what_only_the_old_retention_keeps_is_counted(
    before: dict[str, int], after: dict[str, int], days: int
) -> None:
    known = points("shop", days, "shop")
    mine = retention.points_in(known, "shop")
    old, new = (set(retention.expired(mine, _words(w), NOW)) for w in (before, after))
    found = findings(before, after, *known)
    counted = int(found[0].facts["points"]) if found else 0
    assert counted == len(new - old)
    assert counted == 0 or found[0].severity is Severity.ERROR
