"""The manifest store that Config names, to be read as a history.

It is a store with a cache of its own, in which the trees of old commits are too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.adapters import gitobjects, gitwalk
from reconciler.adapters.gitstore import GitManifestStore
from reconciler.model.errors import Transient
from reconciler.model.store import Commit, TouchedFiles

_EVERYTHING = 2147483647  # what git takes as an infinite depth (Documentation/shallow.txt)


class GitHistory(GitManifestStore):
    """The manifest store, to be read as a history. Its working folder is for nothing else.

    A store for runs leaves out the trees of old commits, and one that has a commit does not ask
    for its trees again: so this one has another cache, and asks for them at once.
    """

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]:
        """Commits of a branch, newest first; two connections fetch all of its history."""
        tip = self._whole(branch)
        if tip is not None:
            yield from gitobjects.walk_log(self._git, tip, limit)

    def changes(self, branch: str, paths: Sequence[str] = ()) -> Iterator[TouchedFiles]:
        """As `gitwalk.walk_changes` says; two connections."""
        tip = self._whole(branch)
        if tip is not None:
            yield from gitwalk.walk_changes(self._git, tip, paths)

    def commits(self, branch: str) -> Iterator[TouchedFiles]:
        """As `gitwalk.walk_commits` says; two connections."""
        tip = self._whole(branch)
        if tip is not None:
            yield from gitwalk.walk_commits(self._git, tip)

    def blobs(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """As `gitwalk.iter_blobs` says; what is not here comes over in one connection."""
        sizes = gitobjects.blob_sizes(self._git, ids)
        missing = [sha for sha, size in sizes.items() if size is None]
        if missing:
            self._bring(missing)
            sizes |= gitobjects.blob_sizes(self._git, missing)
            lost = next((sha for sha in missing if sizes[sha] is None), None)
            if lost is not None:
                raise Transient(
                    f"{self._git.shown} did not send the file {lost}",
                    hint="run `git fsck` on the server if it stays",
                )
        yield from gitwalk.iter_blobs(self._git, ids, sizes)

    def signatures(self, ids: Sequence[str], signers: Path) -> Iterator[tuple[str, str]]:
        """As `gitwalk.check_signatures` says."""
        yield from gitwalk.check_signatures(self._git, ids, signers)

    def _whole(self, branch: str) -> str | None:
        tip = self.tip(branch)
        if tip is not None:
            name = hashlib.sha256(branch.encode()).hexdigest()
            ours = f"refs/backstay/history/{name}"
            self._fetch(tip, ours, depth=_EVERYTHING, leave_out="blob:none")
        return tip
