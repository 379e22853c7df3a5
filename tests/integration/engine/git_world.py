"""A run's world whose manifest repository is Git's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from reconciler.adapters.gitcredentials import GitCredentials
from reconciler.adapters.gitnames import local_url
from reconciler.adapters.gitstore import GitManifestStore
from tests.unit.engine.run_world import RunWorld


class GitWorld(RunWorld):
    """A run's world with a bare repository on disk; each store has a folder of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.server = folder / "server.git"
        subprocess.run(["git", "init", "--quiet", "--bare", self.server], check=True)
        self.opened: list[GitManifestStore] = []
        self.make_store = self.git_store

    def git_store(self) -> GitManifestStore:
        """The adapter, with a cache of its own."""
        self.opened.append(
            GitManifestStore(
                local_url(self.server),
                author_name="Backstay",
                author_email="backstay@example.org",
                credentials=GitCredentials(),
                workdir=self.folder / f"work{len(self.opened)}",
                allow_local=True,
            )
        )
        return self.opened[-1]

    def git(self, *arguments: str) -> str:
        """git on the server."""
        command = ["git", "-C", str(self.server), *arguments]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode(errors="replace")

    def clone(self) -> Path:
        """A clone as a person makes it."""
        target = self.folder / "clone"
        subprocess.run(["git", "clone", "--quiet", self.server, target], check=True)
        return target
