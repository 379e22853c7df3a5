"""A restore as a value: what will be created, kept or skipped, and why, before anything happens."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.run import RepositoryRef


class RestoreAction(enum.StrEnum):
    """What happens to one object or claim."""

    CREATE = "create"
    KEEP = "keep"
    SKIP = "skip"


class Phase(enum.IntEnum):
    """The order of a restore: nothing is created before what it needs is there."""

    DEFINITIONS = 0
    """CustomResourceDefinitions, until the API server serves them."""
    NAMESPACES = 1
    CLUSTER = 2
    """Classes, priorities and the like."""
    CONFIGURATION = 3
    """Service accounts, Secrets, ConfigMaps, roles and bindings."""
    CLAIMS = 4
    """Claims with their data, before any workload that mounts them."""
    REST = 5
    """Services, policies, custom resources."""
    WORKLOADS = 6
    WEBHOOKS = 7
    """Last, because they could refuse everything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreStep:
    """One object. ``manifest`` is what is created; of a Secret it holds no values yet."""

    path: str
    ref: ObjectRef
    resource: Resource | None
    phase: Phase
    action: RestoreAction
    why: str
    differs: bool = False
    """Kept although it is not what was captured."""
    manifest: Mapping[str, Any] = field(repr=False, default_factory=dict)
    source: str = ""
    """Path of the manifest that this is a copy of, where it goes to another place than captured."""
    begun: str = ""
    """The mark (`naming.RESTORING`) of another restore, which made it and has not ended."""
    changes: tuple[str, ...] = ()
    """What the copy has otherwise than the original, a sentence each."""
    warnings: tuple[str, ...] = ()
    """Where the copy goes on naming the original's namespace, or needs somebody's hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FillStep:
    """One claim's data. Only a claim that the restore creates, or began to fill, is filled."""

    namespace: str
    claim: str
    action: RestoreAction
    why: str
    repository: RepositoryRef | None = None
    snapshot: str = ""
    size: int = 0
    files: int = 0
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    source: str = ""
    """Namespace that the data is of: its repository, password and snapshots' host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """Everything that a restore will do, in its order."""

    policy: str
    run_id: str
    commit: str
    outcome: str
    started: str
    steps: tuple[RestoreStep, ...]
    fills: tuple[FillStep, ...]
    warnings: tuple[str, ...] = ()
    """What is missing."""
    notes: tuple[str, ...] = ()
    """What to know about the choice of the recovery point."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Captured namespace → the one that its copy goes to."""
    copied: str = ""
    """When the last of the recovery point's copies was taken, as ``started`` is written."""
    blocked: tuple[str, ...] = ()
    """What is in the way: as long as it is, nothing at all is done."""

    def count(self, action: RestoreAction) -> int:
        """How many objects."""
        return sum(step.action is action for step in self.steps)

    @property
    def lacking(self) -> tuple[str, ...]:
        """``namespace/claim`` of what does not come back; its `FillStep` says why."""
        return tuple(
            f"{fill.namespace}/{fill.claim}"
            for fill in self.fills
            if fill.action is RestoreAction.SKIP
        )

    @property
    def empty(self) -> bool:
        """Whether nothing is left to do."""
        steps = any(step.action is RestoreAction.CREATE for step in self.steps)
        return not steps and not any(fill.action is RestoreAction.CREATE for fill in self.fills)
