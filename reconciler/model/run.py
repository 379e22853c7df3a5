"""What a run leaves behind: the values of ``_run.yaml``, ``_repositories.yaml``, ``_cluster.yaml``.

Bytes and seconds are integers, times are aware and in UTC, a restic id is the full one. How the
values are written and read back is `reconciler.capture.record`; the format is docs/format.md.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.model.hooks import HookRecord
from reconciler.model.objects import Gap, ObjectRef
from reconciler.model.policywords import CopyMethod


class Outcome(enum.StrEnum):
    """How a run, a namespace of it or one volume ended."""

    SKIPPED = "Skipped"
    """Not done, and rightly so: another run was at work, or a rule leaves it out."""
    COMPLETED = "Completed"
    """All of it is there and was verified."""
    PARTIALLY_FAILED = "PartiallyFailed"
    """A recovery point with something missing; the reasons stand beside it."""
    FAILED_VALIDATION = "FailedValidation"
    """Refused before it began."""
    FAILED = "Failed"
    """No recovery point."""


_SEVERITY = tuple(Outcome)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The most severe one; `Outcome.COMPLETED` where there is none.

    A part that was skipped by rule does not worsen a whole that is otherwise complete:
    ``Skipped < Completed < PartiallyFailed < FailedValidation < Failed``.
    """
    return max(outcomes, key=_SEVERITY.index, default=Outcome.COMPLETED)


class Trigger(enum.StrEnum):
    """What started a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRef:
    """The policy as the run had it: name, Git revision (``main@sha1:…``), digest (``sha256:…``)."""

    name: str
    revision: str
    digest: str
    source: str = ""
    """``policies/shop.yaml#0``: file and index of the document in it."""
    renamed_from: str = ""
    """The policy's former name: its branch holds the recovery points of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRef:
    """The cluster that was read; ``uid`` is the one of its kube-system namespace."""

    name: str
    uid: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryRef:
    """A restic repository, so that a restore needs nothing but the record and the master password.

    ``url`` has no credentials, ``id`` is restic's own, ``secret`` the name of the Secret in
    Backstay's namespace that opened it.
    """

    name: str
    url: str
    id: str
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Objects of one part of the tree; created, changed and deleted against its parent commit."""

    captured: int = 0
    created: int = 0
    changed: int = 0
    deleted: int = 0
    left_out: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            captured=self.captured + other.captured,
            created=self.created + other.created,
            changed=self.changed + other.changed,
            deleted=self.deleted + other.deleted,
            left_out=self.left_out + other.left_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LeftOutCount:
    """So many objects of one kind (``pod``, ``replicaset.apps``) were left out, for this reason."""

    kind: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class LeftOutKind:
    """A kind that the cluster serves and that was not even listed: nobody counted its objects."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    """One claim: how its data was copied, why so, where it lies, how it ended.

    ``repository`` and ``snapshot`` are None where nothing was stored. ``size`` is what the
    snapshot holds, ``added`` what the repository grew by (bytes), ``took`` seconds. ``taken`` is
    the moment that the data is of: when the copy began (Direct) or the snapshot was ready.
    """

    claim: str
    copy_method: str
    why: str
    outcome: Outcome
    reason: str = ""
    taken: datetime | None = None
    repository: RepositoryRef | None = None
    snapshot: str | None = None
    files: int = 0
    size: int = 0
    added: int = 0
    took: int = 0
    capacity: int = 0
    """What the claim asked for, in bytes."""
    storage_class: str = ""

    @property
    def copied(self) -> datetime | None:
        """When the last of it was read; None where nothing was stored, or nobody knows.

        A volume that is in use changes while it is copied directly.
        """
        if self.snapshot is None or self.taken is None:
            return None
        during = self.took if self.copy_method == CopyMethod.DIRECT else 0
        return self.taken + timedelta(seconds=during)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceRecord:
    """A run's part for one namespace: this is a recovery point."""

    name: str
    outcome: Outcome
    captured: datetime
    objects: Counts
    volumes: tuple[VolumeRecord, ...] = ()
    hooks: tuple[HookRecord, ...] = ()
    """Commands in its pods around the copy, in the order in which they ended."""
    reasons: tuple[str, ...] = ()
    """Why the outcome is not Completed, one sentence each."""
    left_out: tuple[LeftOutCount, ...] = ()
    unselected: tuple[LeftOutCount, ...] = ()
    """Files that left the tree because the policy does not select their objects any more. They
    are among ``objects.deleted``, and say nothing of the objects."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """A cluster-scoped object that was captured because something selected needs it."""

    object: ObjectRef
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterScopedRecord:
    """The cluster-scoped part of the tree."""

    objects: Counts
    references: tuple[Reference, ...] = ()
    """With ``All`` there are more objects than these."""
    selection: str = ""
    """``Referenced``, ``All`` or ``None``, as the policy had it; empty in older records."""
    left_out: tuple[LeftOutCount, ...] = ()
    unselected: tuple[LeftOutCount, ...] = ()
    """As in `NamespaceRecord`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsRecord:
    """Where the values of the run's Secrets are: one restic snapshot with ``count`` objects."""

    mode: str
    repository: RepositoryRef | None = None
    snapshot: str | None = None
    count: int = 0
    omitted: tuple[str, ...] = ()
    """``<namespace>/<name>`` of Secrets that are kept nowhere, as the policy wants it."""
    sealed: int = 0
    """How many Secrets the tree holds encrypted with SOPS."""
    recipients: tuple[str, ...] = ()
    """For whom: public keys of age, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class WithheldCount:
    """So many files of one kind whose objects were in run ``since`` and are gone."""

    namespace: str
    """Empty for what is cluster-scoped."""
    kind: str
    count: int
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardsRecord:
    """What the policy's guards stopped at: it stays in the tree, unless it was ``accepted``."""

    withheld: tuple[WithheldCount, ...]
    accept: str
    """The digest by which exactly this may go."""
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RedactedValue:
    """A credential outside a Secret: Git has its fingerprint, the Secrets' snapshot its value."""

    object: str
    """Path of the file."""
    field: str
    """Its place in it: ``spec.template.spec.containers[web].env[TOKEN].value``."""
    rule: str
    """What said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRecord:
    """Why a run as a whole Failed: the class of its error, and the exit code that it ends with."""

    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """``_run.yaml``: everything that one run did. Rendered by `reconciler.capture.record`."""

    name: str
    """The run id: ``shop-20261121-041703-7c1e9``."""
    policy: PolicyRef
    cluster: ClusterRef
    trigger: Trigger
    started: datetime
    finished: datetime
    outcome: Outcome
    namespaces: tuple[NamespaceRecord, ...]
    failure: FailureRecord | None = None
    cluster_scoped: ClusterScopedRecord | None = None
    secrets: SecretsRecord | None = None
    gaps: tuple[Gap, ...] = ()
    left_out_kinds: tuple[LeftOutKind, ...] = ()
    """By kind. What was listed and left out is counted in its part."""
    redacted: tuple[RedactedValue, ...] = ()
    """The first thousand."""
    guards: GuardsRecord | None = None
    """Only of a run in which too much was gone."""
    selection: str = ""
    """Digest of what the policy selected (``sha256:…``); empty in older records."""
    warnings: tuple[str, ...] = ()
    retention: Mapping[str, int | str] = field(default_factory=dict)
    """As the policy had it, in restic's words: ``keepDaily: 7``."""
    writer: str = ""
    """Program and version that wrote it: ``backstay 0.1.0``."""

    @property
    def copied(self) -> datetime:
        """When the last of its copies was taken: nothing in it is of a later moment.

        The end of the run where the parts don't tell.
        """
        volumes = [volume for part in self.namespaces for volume in part.volumes]
        stored = [volume for volume in volumes if volume.snapshot is not None]
        known = [volume.copied for volume in stored if volume.copied is not None]
        if not self.namespaces or len(known) < len(stored):
            return self.finished
        return max(*known, *(part.captured for part in self.namespaces), self.started)

    @property
    def objects(self) -> Counts:
        """Counts over all parts."""
        total = self.cluster_scoped.objects if self.cluster_scoped else Counts()
        for namespace in self.namespaces:
            total += namespace.objects
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryEntry:
    """A line of ``_repositories.yaml``: a restic repository that a run has initialised.

    ``namespace`` is ``_cluster`` for the one that holds Secrets.
    """

    repository: str
    namespace: str
    url: str
    id: str
    secret: str
    first_run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """A person said: from ``at`` on, the cluster with ``uid`` writes here."""

    uid: str
    at: datetime
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMarker:
    """``_cluster.yaml``: which cluster writes these branches now, and which ones did before."""

    name: str
    uid: str
    adopted: tuple[Adoption, ...] = ()
    """Oldest first; the first entry is the first run's, the last one has today's ``uid``."""
