"""A Restore as the policy repository asks for it: one restore, for one cluster, once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class RestoreVolumes(enum.StrEnum):
    """Which claims are filled."""

    NEW = "New"
    """Those that the restore creates."""
    IN_PLACE = "InPlace"
    """Also those that exist, with their users scaled to 0 and back."""
    SKIP = "Skip"


class ExistingPolicy(enum.StrEnum):
    """What happens to objects that exist."""

    KEEP = "Keep"
    UPDATE = "Update"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSource:
    """Which recovery point; exactly one of ``at``, ``run`` and ``commit`` is not empty."""

    policy: str
    """Whose recovery point it is; of a run, the one that its name has."""
    at: str = ""
    """A date (its end, UTC) or a time, never ``latest``."""
    run: str = ""
    commit: str = ""
    cluster: str = ""
    """Whose; empty for the cluster that executes it."""

    def __str__(self) -> str:
        if self.run:
            return f"run {self.run}"
        if self.commit:
            return f"commit {self.commit} of policy {self.policy}"
        return f"policy {self.policy} at {self.at}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Empty selections mean everything."""

    name: str
    cluster: str
    """Where it is to be executed."""
    source: RestoreSource
    namespaces: tuple[str, ...] = ()
    match_labels: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()
    """Globs."""
    paths: tuple[str, ...] = ()
    """Below the volumes' roots."""
    map_namespaces: Mapping[str, str] = field(default_factory=dict)
    """Captured namespace → the one that it is restored as."""
    volumes: RestoreVolumes = RestoreVolumes.NEW
    existing: ExistingPolicy = ExistingPolicy.KEEP
