"""A bare repository with policies, written with git's plumbing; commits are exact and quick."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.model.store import render_revision

_IDENTITY = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


class PolicyRepository:
    """Made at ``path``; ``filters`` says whether its server can leave objects out."""

    def __init__(self, path: Path, *, filters: bool = True, branch: str = "main") -> None:
        self.path = path
        self.branch = branch
        self.message = "Change policies"
        if not path.exists():
            self.git("init", "--quiet", "--bare", str(path), cwd=path.parent)
        self.git("config", "uploadpack.allowFilter", "true" if filters else "false")

    @property
    def url(self) -> str:
        """For a client on this machine."""
        return f"file://{self.path}"

    def push(self, files: Mapping[str, bytes], *, rewrite: bool = False) -> str:
        """A commit with exactly these files on top of the branch, or in its place; its revision."""
        return self.push_entries(
            ((f"100644 blob {self.blob(data)}", path) for path, data in files.items()),
            rewrite=rewrite,
        )

    def push_entries(self, entries: Iterable[tuple[str, str]], *, rewrite: bool = False) -> str:
        """The same from ``<mode> <type> <id>`` and path, for what is not a plain file."""
        index = self.path / "rig-index"
        index.unlink(missing_ok=True)
        lines = [f"{meta.replace(' blob ', ' ').replace(' commit ', ' ')}\t{path}\n"
                 for meta, path in entries]  # fmt: skip
        own = {"GIT_INDEX_FILE": str(index)}
        self.git("update-index", "--add", "--index-info", stdin="".join(lines).encode(), env=own)
        return self.push_tree(self.git("write-tree", env=own), rewrite=rewrite)

    def push_tree(self, tree: str, *, rewrite: bool = False) -> str:
        """A commit of a tree that is there already."""
        ref = f"refs/heads/{self.branch}"
        tip = "" if rewrite else self.git("for-each-ref", "--format=%(objectname)", ref)
        parents = ("-p", tip) if tip else ()
        return self.move(self.git("commit-tree", *parents, "-m", self.message, tree))

    def move(self, sha: str) -> str:
        """The branch now is at this commit, whatever it was; its revision."""
        self.git("update-ref", f"refs/heads/{self.branch}", sha)
        return render_revision(self.branch, sha)

    def blob(self, data: bytes) -> str:
        """Stores bytes and returns their id."""
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def git(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> str:
        """git in this repository; its stdout without the last line break."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.path,
            input=stdin,
            env={**os.environ, **_IDENTITY, **(env or {})},
            check=True,
            capture_output=True,
        )
        return done.stdout.decode().rstrip("\n")
