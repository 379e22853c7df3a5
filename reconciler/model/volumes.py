"""Values at the border to restic and to the Jobs that run it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from reconciler.model import jsonform


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAccess:
    """How to open one restic repository. Its repr never shows the values of ``environment``.

    ``url`` carries no credentials. ``environment`` holds RESTIC_PASSWORD (already derived for
    this repository) and the storage's keys, as restic and VolSync name them.
    """

    name: str
    namespace: str
    url: str
    secret: str
    environment: Mapping[str, str] = field(repr=False)
    source: str = ""
    """Where the keys were read, if that is no Secret: ``folder credentials/restic-main``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResticSnapshot:
    """A restic snapshot as the repository tells it; ``size`` in bytes, -1 where unknown."""

    id: str
    time: datetime
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]
    parent: str = ""
    files: int = -1
    size: int = -1
    added: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResticLock:
    """A lock in a restic repository: who took it, and when it was last renewed.

    restic renews every 5 minutes, and takes a lock for stale after 30. ``user`` and ``pid`` are
    those on ``host``, which is a pod's name inside a cluster.
    """

    id: str
    time: datetime
    exclusive: bool
    host: str
    user: str = ""
    pid: int = 0


class MoveKind(Enum):
    """What a mover does with its volume."""

    BACKUP = "backup"
    RESTORE = "restore"


class MoveState(Enum):
    """How far a mover is."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    PARTIALLY_FAILED = "PartiallyFailed"
    FAILED = "Failed"


class CopyKind(Enum):
    """How a copy of a volume is made; the policy's words for it."""

    SNAPSHOT = "Snapshot"
    CLONE = "Clone"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCopy:
    """What a mover reads in the claim's place: a copy of it, made for this one task."""

    method: CopyKind
    home: str
    """Backstay's own namespace: there a snapshot's copy is mounted; a clone is where its claim
    is."""
    snapshot_class: str = ""
    storage_class: str = ""
    size: int = 0
    """Bytes that the claim has; a copy is never smaller."""
    timeout: int = 1800
    """Seconds until a snapshot that is not ready has failed."""
    taken: str = ""
    """UTC, ``2026-11-21T04:17:03Z``: the moment that its data is of, once that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTask:
    """One volume to be copied by one Job: in the volume's own namespace, unless ``copy`` says
    otherwise."""

    kind: MoveKind
    run_id: str
    policy: str
    namespace: str
    claim: str
    access: RepositoryAccess
    host: str
    image: str
    snapshot: str = ""
    """Restore only: the restic id that is put back."""
    exclude: tuple[str, ...] = ()
    node: str = ""
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    fs_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    tolerations: tuple[Mapping[str, object], ...] = ()
    timeout: int = 6 * 3600
    """Seconds until the Job is ended."""
    start_timeout: int = 600
    """Seconds without a pod at work until the Job is ended."""
    copy: VolumeCopy | None = None
    """None: the claim itself is read (`Direct`), or restored into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A mover that is there without its task; ``ended`` says whether it is still at work.

    ``name`` and ``uid`` are those of what carries it, so that no other is removed in its place: its
    Job, or where that is gone the snapshot.
    """

    kind: MoveKind
    run_id: str
    policy: str
    namespace: str
    claim: str
    name: str
    uid: str
    ended: bool
    copy: VolumeCopy | None = None
    """``name`` is then also that of the copy's objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveResult:
    """What a mover reports in its termination message; sizes in bytes, ``took`` in seconds.

    A backup whose files could not all be read is ``PARTIALLY_FAILED`` and has a snapshot.
    ``exit_code`` follows the command's exit codes (10, 11, 12 for the repository).
    """

    state: MoveState
    snapshot: str = ""
    files: int = 0
    size: int = 0
    added: int = 0
    took: int = 0
    started: str = ""
    """UTC, ``2026-11-21T04:17:03Z``: when the copy began."""
    errors: tuple[str, ...] = ()
    """The first few errors; never file contents."""
    error_count: int = 0
    exit_code: int = 0
    message: str = ""
    taken: str = field(default="", metadata=jsonform.WHEN_SET)
    """As ``started``: the moment that the data is of, where that is not when the copy began. While
    it is RUNNING: from then on the application is not needed at rest."""
