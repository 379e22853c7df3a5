"""Values at the border to Git: revisions, policy files, commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from reconciler.model.errors import Problem


class Descends(Enum):
    """Whether the fetched revision has the remembered one among its ancestors."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def render_revision(ref: str, sha: str) -> str:
    """``main`` and a commit id → ``main@sha1:<hex>``, the form used everywhere."""
    return f"{ref}@sha1:{sha}"


def parse_revision(text: str) -> tuple[str, str]:
    """``main@sha1:<hex>`` → (``main``, commit id); raises ValueError on anything else."""
    ref, separator, sha = text.rpartition("@sha1:")
    if not separator or not ref or not sha:
        raise ValueError(f"not a revision: {text!r}")
    return ref, sha


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """One revision of the policy repository, read without a work tree.

    ``files`` maps paths relative to the repository's root to their bytes. ``problems`` are
    entries that were not read (symlink, submodule, too large). ``path_found`` says whether the
    configured folder exists: a missing one is not an empty one.
    """

    revision: str
    descends: Descends
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...] = ()
    path_found: bool = True
    message: str | None = None
    """Of the revision's own commit, its first kilobytes; None where a source has no messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of the manifest store; ``trailers`` in their order, last value wins."""

    sha: str
    parents: tuple[str, ...]
    time: datetime
    subject: str
    trailers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """A file of a commit with its whole content."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """A file that is gone from a commit."""

    path: str


FileChange = Write | Delete


@dataclass(frozen=True, slots=True)
class FileTouch:
    """A file that a commit changed; blob ids, None where it was not there, or was no file."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class TouchedFiles:
    """A commit, and what of the files that were asked for it changed.

    ``unread`` says why what it changed was not read, if so; ``files`` is empty then.
    """

    commit: Commit
    files: tuple[FileTouch, ...]
    unread: str = ""
