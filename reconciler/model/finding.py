"""What a reviewer of a policy change must not miss: one sentence, an id for machines, a line.

Made by pure functions of `reconciler.plan`; shown as text, Markdown, JSON and annotations.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reconciler.model.errors import one_line


class Severity(enum.StrEnum):
    """How loud a finding is; the words of SARIF, in order."""

    ERROR = "error"
    """Protection or recovery points go, or a promise is broken."""
    WARNING = "warning"
    """Somebody should have a look."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the policy repository; lines count from 1, line 0 is the whole file."""

    file: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One consequence of a change. ``id`` is stable: what ``--fail-on`` names."""

    id: str
    """Such as ``coverage-lost``; every id is in the documentation's table."""
    severity: Severity
    message: str
    hint: str = ""
    policy: str = ""
    namespace: str = ""
    claim: str = ""
    place: Place | None = None
    """The line that says so; None where no file says it (a cluster's own doing)."""
    details: tuple[str, ...] = ()
    """Lines below the sentence: dates, names, commands. Shortened first where room is short."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """For machines, such as ``{"from": "7", "to": "3"}``; never a secret."""

    def __post_init__(self) -> None:
        """Makes every text one line that no terminal acts on."""
        for name in ("message", "hint", "policy", "namespace", "claim"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        object.__setattr__(self, "details", tuple(one_line(line) for line in self.details))


FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "coverage-lost": "Namespaces or claims that a policy protects are protected by none any"
        " more: the line that excludes, skips, suspends or removes",
        "coverage-gained": "Namespaces or claims are protected that were not",
        "selects-nothing": "A policy selects no namespace, its run would fail",
        "grant-excludes": "A policy selects namespaces that the grant of its folder does not give:"
        " runs pass them over",
        "protector-changed": "Namespaces lose one of their policies, and the rest run more seldom,"
        " keep less or write elsewhere",
        "claim-twice": "Two policies copy the same claim",
        "copy-impossible": "A policy wants a claim's data and can't have it: its runs would be"
        " `PartiallyFailed`",
        "method-changed": "A claim's data is copied in another way than before",
        "excluded-more": "A policy leaves more files out of the claims that it copies",
        "objects-left-out": "A policy captures fewer objects: labels, kinds, or what is"
        " cluster-scoped",
        "kept-in-clear": "A policy's `manifests.redact.keep` leaves in clear what a default rule"
        " may take for a credential: each entry, with its reason",
        "redacts-less": "A policy no longer redacts what a rule of its own did",
        "hook-executes": "A command executes in pods that did not before, or in more of them: word"
        " for word, with container, pods, namespaces",
        "hook-changed": "A hook has another time-out or `onError`, or hooks have another order",
        "hook-removed": "A hook's command executes no more",
        "repository-changed": "A policy writes to another restic repository, which starts from"
        " zero",
        "repository-secret-changed": "A Repository takes its keys from another Secret",
        "policy-removed": "A policy is gone: its schedule ends, what it backed up stays",
        "policy-renamed": "A policy goes and another one selects the same, or says `renamedFrom`",
        "rename-unknown": "A policy's `renamedFrom` names none that the base has",
        "selector-changed": "A policy selects by other words, and there is no inventory to say"
        " what that means",
        "retention-shortened": "A retention keeps less: the recovery points that would expire,"
        " with their times",
        "retention-changed": "A retention keeps by other words: no recovery point would expire, of"
        " those of today or by its schedule",
        "retention-extended": "A retention keeps more",
        "rpo-missed": "A schedule can't keep the promised RPO: its worst gap within a year",
        "rpo-loosened": "A policy promises less than before",
        "runs-seldomer": "A policy's longest wait between two runs grows, promised or not",
        "never-runs": "A schedule has no run within five years",
        "run-lost": "A schedule has a run that does not happen when clocks change",
        "run-doubled": "A schedule has a run that happens twice when clocks change",
        "pile-up": "More policies than before start in the same minutes on one Repository",
        "exemption-added": "An exemption is new or other than before",
        "exemption-removed": "An exemption is gone",
        "exemption-expired": "A new or changed exemption has expired already",
        "exemption-expiring": "A new or changed exemption expires within two weeks",
        "restore-not-executed": "A Restore that this version does not execute",
        "restore-no-point": "A Restore names a recovery point that there is not",
        "deletion-refused": "In a cluster: something would be deleted, and a brake holds it",
        "approval-loses": "In a cluster: namespaces or claims lose protection, or one of their"
        " policies, once somebody approves what a brake holds",
        "change-skipped": "In a cluster: something stands in the way of a change",
        "hook-not-run": "In a cluster: a hook would not run where it should",
    }
)
"""Id → what it says, for documentation and ``--fail-on``; ids are never given another meaning."""
