"""Findings about exemptions that a change adds, alters or takes away, and what they excuse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.model.finding import Finding, Severity
from reconciler.model.inventory import Inventory
from reconciler.model.policy import Exemption, Kind
from reconciler.plan.changecoverage import Waived
from reconciler.plan.changeforce import keeps
from reconciler.plan.changewhy import Sides
from reconciler.plan.exemptions import EXPIRED, EXPIRING, SOON, Exemptions, expiry

ADDED = "exemption-added"
REMOVED = "exemption-removed"
EXEMPTION = str(Kind.EXEMPTION)


def waived_by(sides: Sides, inventory: Inventory | None, now: datetime) -> Waived:
    """Asks the head's exemptions; without an inventory nobody knows what they match."""
    if inventory is None:
        return lambda *_: ""
    known = Exemptions(sides.after.exemptions.values(), inventory, now=now)

    def waived(namespace: str, claim: str) -> str:
        found = known.waiver(namespace, claim)
        if found is None:
            return ""
        return f"exempt by {found.exemption}, {found.owner}, until {found.expires}: {found.reason}"

    return waived


def exemption_findings(sides: Sides, now: datetime) -> Iterator[Finding]:
    """By name; an exemption that stays as it is has none."""
    before, after = sides.before.exemptions, sides.after.exemptions
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield _removed(sides, name)
        elif new != old:
            yield _added(sides, new, is_new=old is None)
            yield from _expiring(sides, new, now)


def _facts(exemption: Exemption) -> dict[str, str]:
    return {
        "exemption": exemption.name,
        "owner": exemption.owner,
        "expires": exemption.expires,
    }


def _added(sides: Sides, exemption: Exemption, *, is_new: bool) -> Finding:
    verb = "is new" if is_new else "changes"
    return Finding(
        id=ADDED,
        severity=Severity.WARNING,
        message=f"exemption {exemption.name} {verb}: what it matches and no policy protects is not"
        f" missed until {exemption.expires}",
        place=sides.head.place(EXEMPTION, exemption.name),
        details=(f"owner: {exemption.owner}", f"reason: {exemption.reason}"),
        facts=_facts(exemption),
    )


def _removed(sides: Sides, name: str) -> Finding:
    document = sides.base.document(EXEMPTION, name)
    broken = document is not None and keeps(sides.head, document)
    return Finding(
        id=REMOVED,
        severity=Severity.WARNING if broken else Severity.NOTE,
        message=f"exemption {name} is {'broken' if broken else 'removed'}: what it matched is"
        " missed again",
        place=sides.base.place(EXEMPTION, name),
        facts={"exemption": name, "side": "base"},
    )


def _expiring(sides: Sides, exemption: Exemption, now: datetime) -> Iterator[Finding]:
    left = expiry(exemption) - now
    if left > SOON:
        return
    over = left.total_seconds() < 0
    yield Finding(
        id=EXPIRED if over else EXPIRING,
        severity=Severity.ERROR if over else Severity.NOTE,
        message=f"exemption {exemption.name} of {exemption.owner}"
        f" {'expired' if over else 'expires'} on {exemption.expires}",
        hint="extend it, or let a policy protect what it matches",
        place=sides.head.place(EXEMPTION, exemption.name, "expires"),
        facts=_facts(exemption),
    )
