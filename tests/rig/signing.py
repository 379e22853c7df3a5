"""SSH keys that sign commits, made by the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.rig.policyrepo import PolicyRepository


class Signer:
    """One person with a key of their own, kept in ``folder``."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.key = folder / f"key-{name}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.key], check=True
        )
        self.public = " ".join(Path(f"{self.key}.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen shows it: ``SHA256:…``."""
        done = subprocess.run(
            ["ssh-keygen", "-l", "-f", f"{self.key}.pub"], check=True, capture_output=True
        )
        return done.stdout.decode().split()[1]

    def line(self, options: str = "") -> bytes:
        """A line of allowed_signers for this key."""
        return " ".join(filter(None, (f"{self.name}@example.org", options, self.public))).encode()

    def push(self, repository: PolicyRepository, files: dict[str, bytes], *, when: str = "") -> str:
        """A signed commit on top of the branch; ``when`` as git writes dates. Its revision."""
        revision = repository.push(files)
        sha = revision.rpartition(":")[2]
        parents = repository.git("log", "-1", "--format=%P", sha).split()
        dates = {"GIT_COMMITTER_DATE": when} if when else {}
        made = repository.git(
            "-c", "gpg.format=ssh", "-c", f"user.signingKey={self.key}",
            "commit-tree", "-S", *(word for parent in parents for word in ("-p", parent)),
            "-m", "Change policies", f"{sha}^{{tree}}",
            env=dates,
        )  # fmt: skip
        return repository.move(made)
