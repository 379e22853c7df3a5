"""Policy files that a person named on the command line: what the controller would read.

The same rules and limits as for a Git repository (`reconciler.adapters.gitsource`): ``*.yaml`` and
``*.yml`` that are not hidden; links, submodules and special files are problems, never followed;
the number of names and files, and the bytes kept in memory, have caps.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from reconciler import policy
from reconciler.model.errors import Problem, Refused, UsageError, one_line
from reconciler.policy import nodes

MAX_ENTRIES = 100_000
MAX_FILES = 10_000
MAX_TOTAL = 64 << 20
MAX_FOLDERS_DEEP = 100
STDIN = "-"


@dataclass(slots=True)
class PolicyFiles:
    """Name as it is shown → bytes, and what was not read."""

    files: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    entries: int = 0
    size: int = 0
    seen: dict[Path, str] = field(default_factory=dict)
    """Real path → name: a file that was named twice is read once."""
    most: int = nodes.MAX_BYTES
    """Bytes that are read of a file, and one more, which tells that it is too large."""

    def add(self, path: Path) -> None:
        """Reads one file."""
        real = path.parent.resolve() / path.name
        if real in self.seen:
            return
        self.seen[real] = str(path)
        data = read_file(path, self.most)
        if data is not None:
            self._keep(str(path), data)
        elif path.is_symlink():
            self._refuse(path, "a symbolic link is not followed", "put the file itself there")
        else:
            self._refuse(path, "a special file is not read", "put a file there")

    def add_config(self, path: Path) -> str:
        """Reads the installation's own file, which may be a link; returns its name."""
        real = path.resolve()
        if real not in self.seen:
            self.seen[real] = str(path)
            self._keep(str(path), read_file(real) or b"")
        return self.seen[real]

    def add_stdin(self, name: str) -> None:
        """Reads standard input as a file of this name."""
        if name not in self.files:
            self._keep(name, sys.stdin.buffer.read(self.most + 1))

    def add_folder(self, folder: Path) -> None:
        """Reads everything below a folder."""
        for path, entry in self._walk(folder):
            if entry.is_dir(follow_symlinks=False):
                hint = "it is a repository of its own: put the files themselves there"
                self._refuse(path, "a submodule is not followed", hint)
            elif entry.is_symlink() or policy.is_policy_file(path.name):
                self.add(path)

    def _walk(self, folder: Path) -> Iterator[tuple[Path, os.DirEntry[str]]]:
        """Files, links and submodules that are not hidden, folder by folder, by name."""
        waiting = [(folder, 0)]
        while waiting:
            here, depth = waiting.pop()
            below = []
            for entry in self._list(here):
                path = here / entry.name
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir(follow_symlinks=False) or (path / ".git").exists():
                    yield path, entry
                elif depth == MAX_FOLDERS_DEEP:
                    message = f"folders nested more than {MAX_FOLDERS_DEEP} deep are not read"
                    self._refuse(path, message, "")
                else:
                    below.append((path, depth + 1))
            waiting += reversed(below)

    def _list(self, folder: Path) -> list[os.DirEntry[str]]:
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    found.append(entry)
                    self.entries += 1
                    if self.entries > MAX_ENTRIES:
                        raise Refused(
                            f"there are more than {MAX_ENTRIES} names below the folder",
                            hint="give a folder that holds policies only",
                        )
        except OSError as error:
            raise _unreadable(folder, error) from error
        return sorted(found, key=lambda entry: entry.name)

    def _keep(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.size += len(data)
        if len(self.files) > MAX_FILES or self.size > MAX_TOTAL:
            raise Refused(
                f"there are more than {MAX_FILES} YAML files, or {MAX_TOTAL >> 20} MiB of them",
                hint="give a folder that holds policies only",
            )

    def _refuse(self, path: Path, message: str, hint: str) -> None:
        self.problems.append(Problem(file=str(path), line=1, column=1, message=message, hint=hint))


def collect(paths: tuple[str, ...], *, stdin_name: str, most: int = nodes.MAX_BYTES) -> PolicyFiles:
    """All files that the paths name; raises UsageError for what is no policy file."""
    found = PolicyFiles(most=most)
    for name in paths:
        path = Path(name)
        if name == STDIN:
            found.add_stdin(stdin_name)
        elif path.is_dir():
            found.add_folder(path)
        elif policy.is_policy_file(path.name):
            found.add(path)
        else:
            shown = one_line(name)
            raise UsageError(f"{shown} is no policy file", hint="give *.yaml, *.yml or a folder")
    return found


def read_file(path: Path, most: int = nodes.MAX_BYTES) -> bytes | None:
    """At most one byte more than ``most``, which tells that it is too large; None for a link.

    Never waits: a named pipe is no file.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            return None
        raise _unreadable(path, error) from error
    with os.fdopen(number, "rb") as stream:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        try:
            return stream.read(most + 1)
        except OSError as error:
            raise _unreadable(path, error) from error


_COLOURS: dict[str, dict[str, Any]] = {
    "place": {"bold": True},
    "error": {"fg": "red"},
    "hint": {"fg": "cyan"},
}


def paint(shown: str, what: str) -> str:
    """A part of a problem in its colour; click takes it out again where there is no terminal."""
    return shown if "NO_COLOR" in os.environ else click.style(shown, **_COLOURS[what])


def _unreadable(path: Path, error: OSError) -> Refused:
    return Refused(f"{one_line(str(path))} can't be read: {error.strerror}")
