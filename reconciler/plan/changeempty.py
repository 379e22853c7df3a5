"""A finding about policies whose selector no namespace of the inventory fits. Pure.

A name that is misspelt looks like one that protects: only the inventory tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.finding import Finding, Severity
from reconciler.plan.changecover import Covered
from reconciler.plan.changecoverage import Cover
from reconciler.plan.changewhy import Sides

NOTHING = "selects-nothing"
_SHOWN = 20


def empty_findings(sides: Sides, after: Cover, former: Mapping[str, str]) -> Iterator[Finding]:
    """By policy; not where the same words selected nothing before. ``former``: head → base name.

    Only for an inventory: without one nobody knows which namespaces there are.
    """
    before = {policy.name: policy.selector.namespaces for policy in sides.before.active}
    for policy in sides.after.active:
        covered = after.covered[policy.name]
        old = before.get(former.get(policy.name, policy.name))
        if not covered.selection.names and policy.selector.namespaces != old:
            yield _nothing(sides, policy.name, covered)


def _nothing(sides: Sides, policy: str, covered: Covered) -> Finding:
    passed = covered.selection.passed_over
    details = [f"{one.name}: {one.why}" for one in passed[:_SHOWN]]
    if (more := len(passed) - _SHOWN) > 0:
        details.append(f"and {more} more")
    return Finding(
        id=NOTHING,
        severity=Severity.WARNING,
        message=f"policy {policy} selects none of the inventory's namespaces: its run would fail",
        hint="" if passed else "is it misspelt? its runs fail until there is such a namespace",
        policy=policy,
        place=sides.at(policy, "selector.namespaces"),
        details=tuple(details),
    )
