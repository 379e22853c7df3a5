"""What a policy keeps less of, of things that stay protected."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Place, Severity
from tests.unit.plan.change_world import FILES, edited, line_of, plan


def excluding(patterns: str, base: dict[str, str] = FILES) -> dict[str, str]:
    return edited(
        base,
        shop=("    copyMethod: Direct\n", f"    copyMethod: Direct\n    exclude: [{patterns}]\n"),
    )


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("pattern", ["*", "**", "**/*"])
def test_a_pattern_that_leaves_everything_out_is_an_error(pattern: str, offline: bool) -> None:
    head = excluding(f'"{pattern}"')
    (found,) = plan(head, offline=offline).findings
    assert (found.id, found.severity, found.policy) == ("excluded-more", Severity.ERROR, "shop")
    assert found.message == (f"policy shop leaves every file out of its claims' data: {pattern}")
    assert found.place == Place("shop.yaml", line_of(head, "shop.yaml", f'exclude: ["{pattern}"'))


def test_more_files_are_left_out() -> None:
    base = excluding("tmp")
    head = excluding("tmp, cache, '*.log'")
    (found,) = plan(head, base).findings
    assert (found.id, found.severity) == ("excluded-more", Severity.WARNING)
    assert found.message == (
        "policy shop leaves files that it kept before out of its claims' data: cache, *.log"
    )
    assert plan(base, head).findings == ()


def test_a_suspended_policy_is_looked_at_too() -> None:
    base = edited(shop=("spec:\n", "spec:\n  suspend: true\n"))
    (found,) = plan(excluding("tmp", base), base).findings
    assert found.id == "excluded-more"
