"""Exemptions and Restores in a plan of a change."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Place, Severity
from tests.unit.plan.change_world import FILES, edited, line_of, plan
from tests.unit.policy.yamltexts import HEAD

EXEMPT = f"""{HEAD}kind: Exemption
metadata: {{name: blue}}
spec:
  match: {{namespaces: ["*-blue"]}}
  reason: thrown away after the test
  owner: team-ci
  expires: 2027-03-31
"""
RESTORE = f"""{HEAD}kind: Restore
metadata: {{name: after-incident}}
spec:
  cluster: prod-eu
  from: {{policy: shop, at: 2026-11-20T19:00:00Z}}
"""
WITH = {**FILES, "exempt.yaml": EXEMPT}
LEFT_OUT = ('exclude: ["*-preview"]', 'exclude: ["*-preview", "*-blue"]')


def test_what_is_exempt_is_a_warning() -> None:
    (lost,) = plan(edited(WITH, shop=LEFT_OUT), WITH).findings
    assert (lost.id, lost.severity, lost.namespace) == (
        "coverage-lost", Severity.WARNING, "shop-blue",
    )  # fmt: skip
    assert lost.message.endswith(
        "(exempt by blue, team-ci, until 2027-03-31T23:59:59Z: thrown away after the test)"
    )


def test_a_new_exemption_is_told_with_owner_and_reason() -> None:
    (added,) = plan(WITH).findings
    assert (added.id, added.severity) == ("exemption-added", Severity.WARNING)
    assert added.details == ("owner: team-ci", "reason: thrown away after the test")
    assert added.place == Place("exempt.yaml", line_of(WITH, "exempt.yaml", "{name: blue}"))


@pytest.mark.parametrize(
    ("expires", "expected", "severity"),
    [
        ("2026-11-20", "exemption-expired", Severity.ERROR),
        ("2026-11-30", "exemption-expiring", Severity.NOTE),
    ],
)
def test_one_that_ends_soon(expires: str, expected: str, severity: Severity) -> None:
    head = {**FILES, "exempt.yaml": EXEMPT.replace("2027-03-31", expires)}
    found = {one.id: one for one in plan(head).findings}
    assert set(found) == {"exemption-added", expected}
    assert found[expected].severity is severity
    assert found[expected].place == Place("exempt.yaml", line_of(head, "exempt.yaml", "expires"))
    assert plan(head, head).empty


def test_one_that_goes() -> None:
    (removed,) = plan(FILES, WITH).findings
    assert (removed.id, removed.severity) == ("exemption-removed", Severity.NOTE)
    assert removed.facts["side"] == "base"


def test_a_broken_one_excuses_nothing() -> None:
    head = edited(edited(WITH, shop=LEFT_OUT), exempt=("  reason: thrown", "  raeson: thrown"))
    change = plan(head, WITH)
    assert change.problems
    lost, broken = change.findings
    assert (lost.id, lost.severity) == ("coverage-lost", Severity.ERROR)
    assert (broken.id, broken.severity) == ("exemption-removed", Severity.WARNING)
    assert broken.message == "exemption blue is broken: what it matched is missed again"


def test_a_restore_is_told() -> None:
    (found,) = plan({**FILES, "restore.yaml": RESTORE}).findings
    assert found.id == "restore-not-executed"
    assert found.place is not None
    assert found.place.file == "restore.yaml"
    assert plan({**FILES, "restore.yaml": RESTORE}, {**FILES, "restore.yaml": RESTORE}).empty
