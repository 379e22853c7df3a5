"""How a recovery point is named on a command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.model.errors import Refused, UsageError
from reconciler.model.run import Outcome
from reconciler.plan.pointnames import PointName, find_named, parse_moment, parse_point
from reconciler.plan.recoverypoints import RecoveryPoint

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RUN = "shop-20261121-041703-7c1e9"
SHA = "3f0a9c1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shop", PointName("shop", "latest")),
        ("shop@latest", PointName("shop", "latest")),
        ("shop^", PointName("shop", "latest", 1)),
        ("shop@-7d", PointName("shop", "2026-11-14T12:00:00Z")),
        ("@-36h^^", PointName("", "2026-11-20T00:00:00Z", 2)),
        ("shop@2026-11-20", PointName("shop", "2026-11-20")),
        ("2026-11-20T02:00:00Z", PointName("", "2026-11-20T02:00:00Z")),
        ("2026-11-20", PointName("", "2026-11-20")),
        (RUN, PointName("shop", RUN)),
        (f"{RUN}^", PointName("shop", RUN, 1)),
        (f"webshop@{RUN}", PointName("webshop", RUN)),
        (SHA, PointName("", SHA)),
        (f"shop@{SHA}", PointName("shop", SHA)),
    ],
)
def test_what_a_person_writes(text: str, found: PointName) -> None:
    assert parse_point(text, NOW) == found
    assert found.is_commit == (text == SHA)


@pytest.mark.parametrize("text", ["", "@", "shop@", "shop@tomorrow", "shop@-7", "shop@-", "^"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_point(text, NOW)
    assert "shop@-7d" in error.value.hint


@pytest.mark.parametrize(
    ("text", "end", "found"),
    [
        ("7d", False, "2026-11-14T12:00:00+00:00"),
        ("-7d", True, "2026-11-14T12:00:00+00:00"),
        ("2026-11-20", False, "2026-11-20T00:00:00+00:00"),
        ("2026-11-20", True, "2026-11-20T23:59:59.999999+00:00"),
        ("2026-11-20T02:00:00", False, "2026-11-20T02:00:00+00:00"),
        ("2026-11-20T02:00:00+02:00", False, "2026-11-20T02:00:00+02:00"),
    ],
)
def test_moments(text: str, end: bool, found: str) -> None:
    assert parse_moment(text, NOW, end=end).isoformat() == found


@pytest.mark.parametrize("text", ["yesterday", "", "7", "2026-13-01"])
def test_no_moment(text: str) -> None:
    with pytest.raises(UsageError):
        parse_moment(text, NOW, end=False)


def points(*outcomes: Outcome) -> list[RecoveryPoint]:
    """Newest first, an hour apart."""
    return [
        RecoveryPoint(
            run_id=f"shop-20261121-{11 - number:02}0000-00000",
            commit=f"{number}" * 40,
            started=NOW - timedelta(hours=number + 1),
            outcome=outcome,
        )
        for number, outcome in enumerate(outcomes)
    ]


def test_points_are_found_and_those_before_them() -> None:
    found = points(
        Outcome.PARTIALLY_FAILED, Outcome.FAILED, Outcome.COMPLETED, Outcome.SKIPPED,
        Outcome.COMPLETED,
    )  # fmt: skip

    def commit(text: str) -> str:
        return find_named(found, parse_point(text, NOW), lambda point: point.started).commit[:1]

    assert (commit("shop"), commit("shop^"), commit("shop^^")) == ("0", "2", "4")
    assert (commit("shop@-2h"), commit("shop@-4h"), commit("shop@2222222^")) == ("2", "4", "4")
    with pytest.raises(Refused, match=r"has 2 recovery points before shop-20261121-110000-00000"):
        commit("shop^^^")


@pytest.mark.parametrize("text", ["shop@2026-11-18", "shop@2026-13-45", "shop@2026-11-18T02:00:00"])
def test_no_hint_names_an_option_that_only_a_restore_has(text: str) -> None:
    found = points(Outcome.COMPLETED)
    with pytest.raises((Refused, UsageError)) as error:
        find_named(found, parse_point(text, NOW), lambda point: point.started)
    assert "--at" not in f"{error.value.message} {error.value.hint}"
