"""What is backed up, what is not on purpose, and what is not: a line for each, with its reason.

Made by `reconciler.plan.protection`, with the decisions of a run; shown by `reconciler.report`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.finding import Finding
from reconciler.model.run import Outcome


class Subject(enum.StrEnum):
    """What a line speaks of."""

    NAMESPACE = "namespace"
    """Its manifests."""
    CLAIM = "claim"
    """The data of a persistent volume claim."""
    TEMPLATE = "template"
    """The claims that a StatefulSet's template will make for replicas, those to come included."""


class State(enum.StrEnum):
    """How a line counts; the worst first."""

    UNPROTECTED = "unprotected"
    EXEMPT = "exempt"
    PROTECTED = "protected"


class Cause(enum.StrEnum):
    """Why something is unprotected; where several are true, the first of these counts."""

    EXPIRED = "expired"
    """An exemption has ended."""
    IMPOSSIBLE = "impossible"
    """A policy wants its data, and this can't be done."""
    SUSPENDED = "suspended"
    """Only suspended policies would protect it."""
    SKIPPED = "skipped"
    """A rule of a policy skips it."""
    EXCLUDED = "excluded"
    """A policy's ``exclude`` leaves it out."""
    UNMATCHED = "unmatched"
    """No policy selects it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why something is unprotected, with the policy or exemption that gives it."""

    cause: Cause
    why: str
    policy: str = ""
    exemption: str = ""


@dataclass(frozen=True, slots=True)
class LastPoint:
    """The newest recovery point that holds something."""

    policy: str
    run: str
    started: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Protector:
    """A policy that protects something. ``method`` is empty for a namespace's manifests."""

    policy: str
    why: str
    method: str = ""
    last: LastPoint | None = None
    """None: none yet, or nobody looked (`Protection.points_known`)."""
    older: bool = False
    """None of the newest recovery points; there are older ones, which nobody looked into."""
    stale: bool = False
    """The last recovery point is older than the policy's ``objectives.rpo``."""
    left_out: tuple[str, ...] = ()
    """Of a namespace: what the policy's ``selector.objects`` leaves out of its manifests."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """What exempts something. ``exemption`` and the rest are empty for what Backstay leaves out."""

    reason: str
    exemption: str = ""
    owner: str = ""
    expires: str = ""
    """``2027-03-31T23:59:59Z``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionLine:
    """One namespace, claim or claim template; ``name`` is empty for a namespace."""

    subject: Subject
    namespace: str
    name: str = ""
    workload: str = ""
    """``StatefulSet/db``: whose template it is, or who mounts the claim."""
    state: State
    protectors: tuple[Protector, ...] = ()
    waiver: Waiver | None = None
    reasons: tuple[Reason, ...] = ()
    """Of what is unprotected, the one that counts first."""
    held: LastPoint | None = None
    """The newest recovery point of any policy that holds it, in force or not."""
    note: str = ""
    unbound: bool = False
    """A claim that holds no data yet."""

    @property
    def title(self) -> str:
        """``namespace shop``, ``claim shop/data``, ``template shop/data of StatefulSet/db``."""
        if self.subject is Subject.NAMESPACE:
            return f"namespace {self.namespace}"
        of = f" of {self.workload}" if self.subject is Subject.TEMPLATE else ""
        return f"{self.subject} {self.namespace}/{self.name}{of}"

    @property
    def stale(self) -> bool:
        """Whether a policy does not keep its promise now."""
        return any(protector.stale for protector in self.protectors)

    @property
    def never(self) -> bool:
        """Whether policies protect it and no recovery point of theirs is known to hold it."""
        if self.subject is Subject.TEMPLATE or self.unbound:
            return False  # claims with data have recovery points, and each has a line of its own
        return bool(self.protectors) and not any(found.last for found in self.protectors)

    @property
    def partial(self) -> bool:
        """Whether every policy that protects it leaves a part of its manifests out."""
        return bool(self.protectors) and all(found.left_out for found in self.protectors)


@dataclass(frozen=True, slots=True)
class Unprotected:
    """How many of each are unprotected."""

    namespaces: int = 0
    claims: int = 0
    templates: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.namespaces or self.claims or self.templates)

    def __str__(self) -> str:
        """``1 namespace, 2 claims``; ``nothing``."""
        counts = (
            (self.namespaces, "namespace"),
            (self.claims, "claim"),
            (self.templates, "claim template"),
        )
        return ", ".join(f"{n} {what}{'s' * (n > 1)}" for n, what in counts if n) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A cluster's coverage at one moment; lines by namespace, its claims, its templates."""

    cluster: str
    now: datetime
    taken: datetime | None = None
    """When the cluster was looked at; None for manifests."""
    revision: str = ""
    """Of the policies."""
    lines: tuple[ProtectionLine, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be known."""
    points_known: bool = True
    matched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Exemption for this cluster → the namespaces in which it matches something."""

    def of(self, state: State) -> Iterator[ProtectionLine]:
        """The lines of one state, in order."""
        return (line for line in self.lines if line.state is state)
