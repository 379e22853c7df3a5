"""A finding about what a selector matches and its folder's grant keeps from it. Pure.

``["*"]`` under a narrow grant is "all that I may": right, as long as its author knows what that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.model.finding import Finding, Place, Severity
from reconciler.plan.changecoverage import Cover
from reconciler.plan.changewhy import Sides

NOT_GRANTED = "grant-excludes"
_SHOWN = 20


def grant_findings(
    sides: Sides, before: Cover, after: Cover, former: Mapping[str, str]
) -> Iterator[Finding]:
    """By policy; of what was kept from it before there is none. ``former``: head → base name."""
    for policy, covered in sorted(after.covered.items()):
        known = before.covered.get(former.get(policy, policy))
        old = known.selection.not_granted if known else ()
        names = [name for name in covered.selection.not_granted if name not in old]
        if names:
            grant = sides.after.policies[policy].selector.namespaces.grant or ""
            yield not_granted(policy, names, grant, sides.at(policy, "selector.namespaces"))


def not_granted(
    policy: str, names: Sequence[str], grant: str, place: Place | None = None
) -> Finding:
    """The namespaces of these ``names`` match, and are not granted to folder ``grant``."""
    one = len(names) == 1
    subject = f"namespace {names[0]}" if one else f"{len(names)} namespaces"
    return Finding(
        id=NOT_GRANTED,
        severity=Severity.NOTE,
        message=f"policy {policy} selects {subject}, and the grant of folder {grant} does not give"
        f" {'it' if one else 'them'}: a run passes {'it' if one else 'them'} over",
        hint="name what is meant, or ask for the grant (Config's grants)",
        policy=policy,
        namespace=names[0] if one else "",
        place=place,
        details=() if one else tuple(_shown(names)),
        facts={"namespaces": str(len(names)), "grant": grant},
    )


def _shown(names: Sequence[str]) -> Iterable[str]:
    yield ", ".join(names[:_SHOWN])
    if (more := len(names) - _SHOWN) > 0:
        yield f"and {more} more"
