"""What exemptions say of a cluster, and what has to be said of exemptions. Pure.

An exemption never stops a backup: where a policy protects what it matches, the policy counts.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.model.cluster import Namespace
from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory
from reconciler.model.policy import Exemption
from reconciler.model.protection import (
    Cause,
    ProtectionLine,
    Reason,
    State,
    Waiver,
)
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import select_namespaces

EXPIRED = "exemption-expired"
EXPIRING = "exemption-expiring"
UNUSED = "exemption-unused"
OVERRULED = "exemption-overruled"
SOON = timedelta(days=14)
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})
_SHOWN = 5


def expiry(exemption: Exemption) -> datetime:
    """The last moment at which it counts."""
    return datetime.strptime(exemption.expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Chosen:
    exemption: Exemption
    namespaces: frozenset[str]


class Exemptions:
    """The exemptions that a cluster takes, and what of it each matches."""

    def __init__(
        self, exemptions: Iterable[Exemption], inventory: Inventory, *, now: datetime
    ) -> None:
        self._now = now
        self._chosen: list[_Chosen] = []
        self._by_namespace: defaultdict[str, list[Exemption]] = defaultdict(list)
        index = NamespaceIndex(found.namespace for found in inventory.namespaces)
        # The one that ends last speaks for what several match.
        for exemption in sorted(exemptions, key=lambda one: (one.expires, one.name), reverse=True):
            if not exemption.clusters.why_not(inventory.cluster, inventory.labels):
                self._take(exemption, index, inventory.own_namespace)

    def _take(self, exemption: Exemption, index: NamespaceIndex, own: str) -> None:
        candidates = index.candidates(exemption.namespaces)
        found = select_namespaces(exemption.namespaces, candidates, own_namespace=own)
        self._chosen.append(_Chosen(exemption, frozenset(found.names)))
        for name in found.names:
            self._by_namespace[name].append(exemption)

    def matching(self, namespace: str, claim: str = "") -> Iterator[Exemption]:
        """Those that match a claim, or the namespace with all that is in it; expired ones too."""
        for exemption in self._by_namespace.get(namespace, ()):
            globs = exemption.claims
            if not globs or (claim and any(fnmatch.fnmatchcase(claim, glob) for glob in globs)):
                yield exemption

    def expired(self, exemption: Exemption) -> bool:
        """Whether it counts no more."""
        return self._now > expiry(exemption)

    def waiver(self, namespace: str, claim: str = "") -> Waiver | None:
        """What exempts it now."""
        for one in self.matching(namespace, claim):
            if not self.expired(one):
                return Waiver(one.reason, one.name, one.owner, one.expires)
        return None

    def lapsed(self, namespace: str, claim: str = "") -> tuple[Reason, ...]:
        """The exemptions that matched until they expired, the last to end first."""
        return tuple(
            Reason(
                Cause.EXPIRED,
                f"exemption {one.name} of {one.owner} expired on {one.expires}",
                exemption=one.name,
            )
            for one in self.matching(namespace, claim)
            if self.expired(one)
        )

    def findings(
        self, lines: Sequence[ProtectionLine], places: Mapping[str, Place]
    ) -> tuple[tuple[Finding, ...], dict[str, frozenset[str]]]:
        """What must be said of them, by name; and the namespaces where each matches something."""
        matched: defaultdict[str, list[ProtectionLine]] = defaultdict(list)
        for line in lines:
            for name in line_matches(self, line):
                matched[name].append(line)
        found: list[Finding] = []
        for chosen in sorted(self._chosen, key=lambda one: one.exemption.name):
            name = chosen.exemption.name
            place = places.get(name)
            found += self._findings_of(chosen.exemption, matched.get(name, []), place)
        spaces = {
            one.exemption.name: frozenset(
                line.namespace for line in matched.get(one.exemption.name, ())
            )
            for one in self._chosen
        }
        return tuple(found), spaces

    def _findings_of(
        self, exemption: Exemption, lines: Sequence[ProtectionLine], place: Place | None
    ) -> Iterator[Finding]:
        name, facts = exemption.name, {"exemption": exemption.name, "owner": exemption.owner}
        end = expiry(exemption)
        bare = [line for line in lines if line.state is State.UNPROTECTED]
        if self._now > end:
            yield Finding(
                id=EXPIRED,
                severity=Severity.ERROR if bare else Severity.NOTE,
                message=f"exemption {name} of {exemption.owner} expired on {exemption.expires}"
                + (": what it matched is unprotected" if bare else ""),
                hint="extend it, or let a policy protect what it matches; else remove it",
                place=place,
                details=_titles(bare),
                facts={**facts, "expires": exemption.expires},
            )
        elif end - self._now <= SOON:
            days = (end - self._now).days
            when = f"in {days} day{'s' * (days != 1)}" if days else "within a day"
            yield Finding(
                id=EXPIRING,
                severity=Severity.NOTE,
                message=f"exemption {name} of {exemption.owner} expires {when},"
                f" on {exemption.expires}",
                hint="extend it, or let a policy protect what it matches",
                place=place,
                facts={**facts, "expires": exemption.expires},
            )
        if not lines:
            yield Finding(
                id=UNUSED,
                severity=Severity.NOTE,
                message=f"exemption {name} of {exemption.owner} matches nothing here",
                hint="remove it, or correct what it matches",
                place=place,
                facts=facts,
            )
        kept = [line for line in lines if line.state is State.PROTECTED]
        if kept:
            yield Finding(
                id=OVERRULED,
                severity=Severity.NOTE,
                message=f"exemption {name} matches what policies protect: they go on doing so",
                hint="an exemption never stops a backup; change the policy, or the exemption",
                place=place,
                details=_titles(kept),
                facts=facts,
            )


def line_matches(exemptions: Exemptions, line: ProtectionLine) -> set[str]:
    """Names of the exemptions that speak of a line, whether they count or not."""
    return {one.name for one in exemptions.matching(line.namespace, claim_name(line))}


def claim_name(line: ProtectionLine) -> str:
    """The claim that globs are held against; for a template its first replica's."""
    if not line.name:
        return ""
    workload = line.workload.rpartition("/")[2]
    return f"{line.name}-{workload}-0" if line.subject == "template" else line.name


def built_in(namespace: Namespace, own_namespace: str, *, manifests: bool) -> Waiver | None:
    """What needs no exemption: what is being deleted, and manifests that no user wrote.

    Not every ``kube-*``: there are applications of that name. Claims count everywhere.
    """
    if namespace.terminating:
        return Waiver("the namespace is being deleted")
    if manifests and namespace.name in _SYSTEM:
        return Waiver("Kubernetes makes it; a policy may name it")
    if manifests and namespace.name == own_namespace:
        return Waiver("Backstay's own; it comes from its installation and from Git")
    return None


def _titles(lines: Sequence[ProtectionLine]) -> tuple[str, ...]:
    shown = [line.title for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        shown.append(f"and {len(lines) - _SHOWN} more")
    return tuple(shown)
