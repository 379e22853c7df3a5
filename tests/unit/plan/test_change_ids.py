"""Every id of a finding is known, has a line in docs/plan.md, and only such ids are made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.planchange import check_fail_on, is_unwanted, parse_fail_on
from reconciler.model.errors import UsageError
from reconciler.model.finding import FINDINGS, Finding, Severity
from reconciler.plan.changelive import LIVE, LIVE_ONLY

ROOT = Path(__file__).parents[3]
MAKERS = ("change*", "retentionfindings", "schedulefindings", "pileups", "restoreintents")
_CONSTANT = re.compile(r'^[A-Z_]+ = "([a-z]+(?:-[a-z]+)+)"$', re.MULTILINE)


def made() -> set[str]:
    """Ids that modules of plans define."""
    files = [path for name in MAKERS for path in (ROOT / "reconciler/plan").glob(f"{name}.py")]
    return {found for path in files for found in _CONSTANT.findall(path.read_text())}


def test_every_id_is_known() -> None:
    assert made() <= set(FINDINGS)
    assert set(FINDINGS) - made() == {"exemption-expired", "exemption-expiring"}


def test_both_kinds_of_plan_take_the_same_ids_but_a_few() -> None:
    others = set(FINDINGS) - LIVE_ONLY
    check_fail_on(frozenset(others), live=False, inventory=True)
    few = {one for one in others if one.startswith(("exemption-", "restore-"))}
    check_fail_on(frozenset({*FINDINGS} - few), live=True, inventory=False)
    assert len(few) == 6


@pytest.mark.parametrize("live", [True, False])
def test_what_to_fail_on(live: bool) -> None:
    assert parse_fail_on(["coverage-lost,rpo-missed", "error"], live=False) == {
        "coverage-lost", "rpo-missed", "error",
    }  # fmt: skip
    assert parse_fail_on([], live=True) == frozenset()
    with pytest.raises(UsageError) as raised:
        parse_fail_on(["coverage-losst"], live=live)
    assert raised.value.message == "--fail-on coverage-losst is no finding"
    assert raised.value.hint.startswith("did you mean coverage-lost? there are error, warning,")
    offered = set(raised.value.hint.partition("there are ")[2].split(", "))
    check_fail_on(frozenset(offered), live=live, inventory=True)
    assert offered - {"error", "warning", "note"} == set(
        LIVE if live else FINDINGS.keys() - LIVE_ONLY
    )


@pytest.mark.parametrize("word", ["coverage-lost", "selects-nothing", "copy-impossible"])
def test_a_gate_that_needs_an_inventory_is_not_open_without_one(word: str) -> None:
    words = frozenset({word, "policy-removed", "error"})
    with pytest.raises(UsageError) as raised:
        check_fail_on(words, live=False, inventory=False)
    assert raised.value.message == f"--fail-on {word} needs the cluster's inventory"
    assert "--inventory" in raised.value.hint
    check_fail_on(words, live=False, inventory=True)
    check_fail_on(words - {word}, live=False, inventory=False)


@pytest.mark.parametrize(
    ("word", "live", "message"),
    [
        ("exemption-added", True, "a plan against a cluster has no finding exemption-added"),
        ("restore-no-point", True, "has no finding restore-no-point"),
        ("deletion-refused", False, "a plan with --base has no finding deletion-refused"),
        ("hook-not-run", False, "a plan with --base has no finding hook-not-run"),
    ],
)
def test_a_finding_of_the_other_kind_of_plan_is_no_gate(
    word: str, live: bool, message: str
) -> None:
    with pytest.raises(UsageError) as raised:
        check_fail_on(frozenset({word}), live=live, inventory=True)
    assert message in raised.value.message
    check_fail_on(frozenset({word, "warning"}), live=not live, inventory=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [({"policy-removed"}, True), ({"warning"}, True), ({"error"}, False), (set(), False)],
)
def test_unwanted(words: set[str], expected: bool) -> None:
    found = [Finding(id="policy-removed", severity=Severity.WARNING, message="x")]
    assert is_unwanted(found, frozenset(words)) is expected


def test_the_page_has_a_line_for_each() -> None:
    page = (ROOT / "docs/plan.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, re.MULTILINE)
    assert [row for row in rows if "-" in row[0]] == list(FINDINGS.items())
