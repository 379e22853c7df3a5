"""What of a tree is read as policies, whatever the tree lies in: a Git repository or a folder.

The tree may be hostile: anybody whose pull request is merged writes to it. Links and submodules
are not followed, what is hidden is passed over, and everything that grows has a cap (`Limits`).
"""

from __future__ import annotations

import stat
from collections.abc import Container
from dataclasses import dataclass

from reconciler.model.errors import Problem, Refused

SUFFIXES = (".yaml", ".yml")
SYMLINK, SUBMODULE = stat.S_IFLNK, 0o160000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Caps on what a policy source may cost; sizes in bytes, time in seconds."""

    fetched: int = 256 << 20
    """Bytes of one answer of the server, which is one file here."""
    memory: int = 1 << 30
    """Address space of one git process."""
    entries: int = 100_000
    """Names below the folder, of any kind."""
    listing: int = 32 << 20
    """Bytes of those names: a few kilobytes of trees can stand for very many long ones."""
    depth: int = 256
    """Folders in folders."""
    files: int = 10_000
    file_size: int = 256 << 10
    total_size: int = 64 << 20
    history: int = 20_000
    """Commits that are looked at for ancestry, at most."""
    deadline: float = 120.0
    stalled: int = 60
    """Seconds without a word from an HTTP server."""


class Census:
    """Counts names as they are listed; ``where`` and ``path`` name the tree in errors."""

    def __init__(self, limits: Limits, where: str, path: str) -> None:
        self._limits = limits
        self._where = where
        self._path = path
        self._entries = 0
        self._size = 0

    def add(self, entries: int, size: int) -> None:
        """So many more names, of so many bytes; raises Refused when they are too many."""
        limits = self._limits
        self._entries += entries
        self._size += size
        if self._entries > limits.entries or self._size > limits.listing:
            raise Refused(
                f"{self._where} has more than {limits.entries} entries, or"
                f" {limits.listing >> 20} MiB of names, in {self._path or 'its root'}",
                hint="give `path` in Config a folder that holds policies only",
            )


def too_deep(path: str, limits: Limits, where: str) -> Refused:
    """The error for folders in folders without end."""
    return Refused(
        f"{where} has folders more than {limits.depth} deep, such as {path[:100]}",
        hint="give `path` in Config a folder that holds policies only",
    )


def check_count(files: int, limits: Limits, where: str) -> None:
    """Raises Refused for more policy files than are allowed."""
    if files > limits.files:
        raise Refused(
            f"{where} has {files} policy files; {limits.files} are allowed",
            hint="put several policies into one file",
        )


def check_total(size: int, limits: Limits, where: str) -> None:
    """Raises Refused for more bytes of policies than are allowed."""
    if size > limits.total_size:
        raise Refused(
            f"{where} has more than {limits.total_size >> 20} MiB of policies",
            hint="remove what is no policy",
        )


def is_hidden(path: str, folder: str) -> bool:
    """Whether it lies in a hidden folder, or is hidden, below the folder with the policies."""
    below = path.removeprefix(folder).split("/")
    return any(step.startswith(".") and step not in {".", ".."} for step in below)


def why_unread(mode: int, path: str, known: Container[str] = ()) -> Problem | None:
    """The problem of what is not read, whatever is in it; ``mode`` as of a file or in a tree."""
    here = "put the file itself there"
    message, hint = "", ""
    if stat.S_IFMT(mode) == SYMLINK:
        message, hint = "a symbolic link is not followed", here
    elif stat.S_IFMT(mode) == SUBMODULE:
        message, hint = "a submodule is not followed", here
    elif not stat.S_ISREG(mode):
        message, hint = "this is no file and not read", here
    elif {".", "..", ""} & set(path.split("/")):
        message, hint = "a name with . or .. as a folder is not read", "rename it"
    elif path in known:
        message, hint = "this name stands more than once", "remove one of them"
    if not message:
        return None
    return Problem(file=path, line=1, column=1, message=message, hint=hint)


def too_large(path: str, limits: Limits) -> Problem:
    """The problem of a file over the cap."""
    return Problem(
        file=path,
        line=1,
        column=1,
        message=f"larger than {limits.file_size >> 10} KiB and not read",
        hint="split the file, or move it out of the policy folder",
    )
