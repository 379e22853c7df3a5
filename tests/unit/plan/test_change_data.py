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


def choosing(objects: str, base: dict[str, str] = FILES) -> dict[str, str]:
    """The shop with these ``selector.objects``."""
    return edited(base, shop=("  volumes:\n", f"    objects: {{{objects}}}\n  volumes:\n"))


@pytest.mark.parametrize(
    ("before", "after", "words", "field"),
    [
        ("", "matchLabels: {tier: gold}", "only those with tier=gold", "matchLabels"),
        (
            "matchLabels: {tier: gold}",
            "matchLabels: {tier: silver}",
            "only those with tier=silver",
            "matchLabels",
        ),
        ("", 'include: ["*.apps"]', "kinds *.apps in place of *", "include"),
        (
            "include: [secret, configmap]",
            "include: [configmap]",
            "kinds configmap in place of secret, configmap",
            "include",
        ),
        ("exclude: [pod]", "exclude: [pod, secret]", "not kinds secret", "exclude"),
        ("", "clusterScoped: None", "clusterScoped None in place of Referenced", "clusterScoped"),
        (
            "clusterScoped: All",
            "",
            "clusterScoped Referenced in place of All",
            "clusterScoped",
        ),
        (
            "",
            "exclude: [secret], clusterScoped: None",
            "not kinds secret; clusterScoped None in place of Referenced",
            "exclude",
        ),
    ],
)
@pytest.mark.parametrize("offline", [False, True])
def test_fewer_objects_are_captured(
    before: str, after: str, words: str, field: str, offline: bool
) -> None:
    base, head = choosing(before), choosing(after)
    (found,) = plan(head, base, offline=offline).findings
    assert (found.id, found.severity, found.policy) == (
        "objects-left-out", Severity.WARNING, "shop",
    )  # fmt: skip
    assert found.message == f"policy shop captures fewer objects: {words}"
    assert "older recovery points keep them" in found.hint
    assert found.facts["fields"].split(",")[0] == field
    assert found.place is not None
    assert plan(base, head, offline=offline).findings == () or "silver" in after


def test_more_objects_are_no_finding() -> None:
    narrow = choosing("matchLabels: {a: b}, include: [pod], exclude: [pod], clusterScoped: None")
    wide = choosing('include: ["*"], clusterScoped: All')
    assert plan(wide, narrow).findings == ()
