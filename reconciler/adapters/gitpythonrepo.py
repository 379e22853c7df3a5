"""GitPython's classes on our processes. Loaded only where they are needed.

GitPython starts git with whatever the caller's environment holds; here `ScrubbedGit` takes its
place inside `git.Repo`, so that every command, also one that GitPython starts by itself, gets the
same fixed environment. Loading it takes longer than the whole of a short command that reads a
clone: `gitprocess` opens repositories of the usual shape without it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# The import of GitPython asks git for its version, twice, and fails without git. Told of a program
# that is none it starts no process and takes `git`; our error comes later and says what to install.
os.environ.setdefault("GIT_PYTHON_GIT_EXECUTABLE", os.devnull)
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import git
import git.exc

from reconciler.adapters import process
from reconciler.adapters.gitenvironment import make_environment
from reconciler.model.errors import Bug

LOCAL_SECONDS = 120.0
NOT_THERE = (git.exc.InvalidGitRepositoryError, git.exc.NoSuchPathError)
FAILED = git.exc.GitCommandError


class ScrubbedGit(git.Git):
    """GitPython's command class with our executor in place of its own."""

    def execute(self, command: Any, *unused: Any, **options: Any) -> Any:
        """Runs a command that GitPython made; only its simplest form is ever asked for."""
        if not isinstance(command, list) or unused or set(options) - {"env", "cwd"}:
            raise Bug(f"GitPython was asked for more than we run: {sorted(options)}")
        done = process.run(
            command,
            env=make_environment(),
            cwd=Path(self.working_dir or "."),
            deadline=LOCAL_SECONDS,
        )
        if done.code != 0:
            raise FAILED(command, done.code, done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


class Repository(git.Repo):
    """A repository as GitPython opens it."""

    GitCommandWrapperType = ScrubbedGit


def resolve(repository: Repository, ref: str) -> str | None:
    """The commit id that a full ref name has, without a process; None if it has none."""
    try:
        return git.SymbolicReference.dereference_recursive(repository, ref)
    except ValueError:
        return None
