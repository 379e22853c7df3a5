"""What the controller measures, as a value: made by the engine, shown by an adapter.

Moments are UTC. None means that it is not known, and then nothing is shown: an alert that needs
the figure can tell "unknown" from zero. docs/metrics.md says what each means to a reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

MOST_POLICIES = 2000
"""Policies with series of their own: what a policy repository holds must not fill a database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFigures:
    """One policy's schedule as the cluster has it."""

    name: str
    suspended: bool = False
    last_success: datetime | None = None
    """When the last run ended that protected everything."""
    recovery_point: datetime | None = None
    """When that run began: data of later than that is not in it."""
    next_run: datetime | None = None
    rpo: int | None = None
    """Seconds that were promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unprotected:
    """What no policy protects and no exemption covers."""

    namespaces: int
    claims: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """As the last cycle saw it."""

    policies: tuple[PolicyFigures, ...] = ()
    """At most `MOST_POLICIES`, the first by name."""
    policy_count: int | None = None
    unprotected: Unprotected | None = None
    revision_seen: str = ""
    """The newest revision that was fetched (``main@sha1:<hex>``)."""
    revision_in_force: str = ""
    """The last one that was applied whole."""
    problems: int | None = None
    """In the revision that was seen."""
    source_read: datetime | None = None
    """When the policies were last read from where they come from, changed or not."""
