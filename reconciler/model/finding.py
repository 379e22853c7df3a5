"""What a reviewer of a policy change must not miss: one sentence, an id for machines, a line.

Made by pure functions of `reconciler.plan`; shown as text, Markdown, JSON and annotations.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

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
