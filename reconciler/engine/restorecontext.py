"""What a restore is asked for, what it works with, and what it tells in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler import ports
from reconciler.model.config import Config


def _anything(_: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePorts:
    """The world of a restore."""

    reader: ports.ClusterReader
    writer: ports.ClusterWriter
    store: ports.ManifestStore
    mover: ports.VolumeMover
    keyring: ports.Keyring
    reporter: ports.Reporter
    clock: ports.Clock
    opener: ports.Opener | None = None
    """None: this process has no private keys."""
    vouch: Callable[[str], None] = _anything
    """Raises Refused for a commit that nobody signed whom this installation trusts."""


def _nobody(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What somebody asked for. ``deadline`` bounds the copying of volumes."""

    config: Config
    policy: str
    at: str
    allow_partial: bool
    deadline: datetime
    namespace: str
    """Backstay's own namespace, whether it is there or not."""
    holder: str
    """Who restores, as the Lease names it."""
    map_namespaces: Mapping[str, str] = field(default_factory=dict)
    """Captured namespace → the one that its copy goes to; all others go to where they were."""
    only_namespaces: tuple[str, ...] = ()
    """Captured namespaces that are restored, with what these need; none named is all of them."""
    workers: int = 12
    """How many objects are created at a time."""
    is_dead: Callable[[str], bool] = _nobody
    """Whether a holder of the Lease is known to have died, so that nobody need wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What was done. ``differing`` objects were created and do not equal what was captured."""

    created: int
    kept: int
    skipped: int
    filled: int
    differing: tuple[str, ...]
