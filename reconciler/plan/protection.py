"""What of a cluster is protected, exempt or unprotected: each namespace, claim and template once.

Pure, and nothing is decided here that a run decides: what a policy selects and how a claim is
copied come from `reconciler.plan.selection` and `coverage`. What it adds:

- A suspended policy protects nothing, because it makes no new recovery points.
- An exemption counts until it expires, and only where no policy protects.
- A claim that is not bound yet, and a replica that may come, are judged as they will be.
- Adding a policy never makes anything less protected.
"""

from __future__ import annotations

import fnmatch
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.model.cluster import Namespace
from reconciler.model.finding import Place
from reconciler.model.inventory import ClaimTemplate, Inventory, NamespaceInventory
from reconciler.model.policy import BackupPolicy, Exemption
from reconciler.model.protection import (
    Cause,
    Protection,
    ProtectionLine,
    State,
    Subject,
    Unprotected,
)
from reconciler.plan.exemptions import Exemptions, built_in
from reconciler.plan.verdicts import Verdict, Verdicts, replica_names

_CAUSES = list(Cause)
_STATES = list(State)
_NOT_BOUND = "not bound yet: it holds no data"


def protect(
    policies: Iterable[BackupPolicy],
    exemptions: Iterable[Exemption],
    inventory: Inventory,
    *,
    now: datetime,
    revision: str = "",
    shared_key: bool = True,
    points_known: bool = True,
    places: Mapping[str, Place] | None = None,
) -> Protection:
    """The coverage of one cluster by the policies that it takes.

    ``shared_key`` is Config's ``sharedKeyInTenants``; ``points_known`` says that the inventory's
    recovery points are all there are; ``places``: exemption → where it is written.
    """
    scene = Verdicts(sorted(policies, key=lambda one: one.name), inventory, now, shared_key)
    waivers = Exemptions(exemptions, inventory, now=now)
    lines = tuple(
        line for found in inventory.namespaces for line in _lines_of(found, scene, waivers)
    )
    findings, matched = waivers.findings(lines, places or {})
    return Protection(
        cluster=inventory.cluster,
        now=now,
        taken=inventory.taken,
        revision=revision,
        lines=lines,
        findings=findings,
        notes=scene.notes,
        points_known=points_known,
        matched=matched,
    )


def unprotected(protection: Protection) -> Unprotected:
    """How many namespaces, claims and claim templates are unprotected."""
    counts = Counter(line.subject for line in protection.of(State.UNPROTECTED))
    return Unprotected(counts[Subject.NAMESPACE], counts[Subject.CLAIM], counts[Subject.TEMPLATE])


def points_wanted(protection: Protection) -> dict[str, set[tuple[str, str]]]:
    """Policy → (namespace, claim or empty) whose last recovery points tell how it does."""
    wanted: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for line in protection.lines:
        if line.subject is not Subject.TEMPLATE:
            policies = {found.policy for found in line.protectors}
            policies |= {one.policy for one in line.reasons if one.cause is Cause.SUSPENDED}
            for policy in policies:
                wanted[policy].add((line.namespace, line.name))
    return dict(wanted)


def narrow(protection: Protection, namespaces: Sequence[str]) -> Protection:
    """Only what lies in namespaces of these names or globs, and what is said about it."""

    def meant(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, glob) for glob in namespaces)

    matched = {
        name: found
        for name, spaces in protection.matched.items()
        if (found := frozenset(filter(meant, spaces)))
    }
    return replace(
        protection,
        lines=tuple(line for line in protection.lines if meant(line.namespace)),
        findings=tuple(f for f in protection.findings if f.facts.get("exemption") in matched),
        matched=matched,
    )


def _lines_of(
    found: NamespaceInventory, scene: Verdicts, waivers: Exemptions
) -> Iterator[ProtectionLine]:
    """The namespace, then its claims, then its templates."""
    judge = _Judge(found.namespace, scene, waivers)
    yield judge.namespace()
    for claim in found.claims:
        waits = claim.phase == "Pending" and not claim.restoring
        yield judge.claim(claim.name, found.workloads.get(claim.name, ""), waits=waits)
    for template in found.templates:
        yield judge.template(template)


class _Judge:
    """Puts together what policies and exemptions say about one namespace."""

    def __init__(self, namespace: Namespace, scene: Verdicts, waivers: Exemptions) -> None:
        self._namespace = namespace
        self._name = namespace.name
        self._scene = scene
        self._waivers = waivers

    def namespace(self) -> ProtectionLine:
        """Its manifests."""
        base = ProtectionLine(
            subject=Subject.NAMESPACE,
            namespace=self._name,
            state=State.PROTECTED,
            held=self._scene.held(self._name),
        )
        return self._state(base, "", self._scene.namespace(self._name))

    def claim(self, name: str, workload: str, *, waits: bool) -> ProtectionLine:
        """A claim that is there, or that manifests declare."""
        base = ProtectionLine(
            subject=Subject.CLAIM,
            namespace=self._name,
            name=name,
            workload=workload,
            state=State.PROTECTED,
            held=self._scene.held(self._name, name),
            note=_NOT_BOUND if waits else "",
            unbound=waits,
        )
        return self._state(base, name, self._scene.claim(self._name, name))

    def template(self, template: ClaimTemplate) -> ProtectionLine:
        """As its worst replica is, because each may be the one that is needed."""
        base = ProtectionLine(
            subject=Subject.TEMPLATE,
            namespace=self._name,
            name=template.name,
            workload=f"StatefulSet/{template.workload}",
            state=State.PROTECTED,
        )
        names = replica_names(template)
        made = [self._state(base, name, self._scene.replica(self._name, name)) for name in names]
        worst = min(range(len(made)), key=lambda index: _STATES.index(made[index].state))
        line = made[worst]
        if len({one.state for one in made}) > 1:
            line = replace(line, note=f"so it is for {names[worst]}")
        # Recovery points hold claims; each claim that is there has a line with its own.
        bare = tuple(replace(found, last=None, stale=False) for found in line.protectors)
        return replace(line, protectors=bare)

    def _state(self, base: ProtectionLine, claim: str, verdict: Verdict) -> ProtectionLine:
        if verdict.protectors:
            return replace(base, protectors=verdict.protectors)
        waiver = self._waivers.waiver(self._name, claim) or built_in(
            self._namespace, self._scene.own_namespace, manifests=not claim
        )
        lapsed = self._waivers.lapsed(self._name, claim)
        reasons = sorted(
            (*lapsed, *verdict.reasons), key=lambda reason: _CAUSES.index(reason.cause)
        )
        if waiver is not None:
            return replace(base, state=State.EXEMPT, waiver=waiver)
        told = tuple(reasons) or (self._scene.unmatched(self._name, within=bool(claim)),)
        return replace(base, state=State.UNPROTECTED, reasons=told)
