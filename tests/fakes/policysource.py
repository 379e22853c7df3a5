"""A policy source in memory: a list of revisions that a test puts there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.errors import BackstayError, Problem
from reconciler.model.store import Descends, PolicyFiles, parse_revision, render_revision


@dataclass(slots=True)
class FakePolicySource:
    """PolicySource without Git. ``ref`` is the branch's name in revisions."""

    ref: str = "main"
    failures: list[BackstayError] = field(default_factory=list)
    limit: int = 1000
    """How many commits back ancestry is looked for."""
    _history: list[str] = field(default_factory=list)
    _newest: PolicyFiles | None = None

    def push(
        self,
        files: Mapping[str, bytes],
        *,
        problems: tuple[Problem, ...] = (),
        path_found: bool = True,
        rewrite: bool = False,
        message: str | None = "Change policies\n",
    ) -> str:
        """A new revision; with ``rewrite`` no older one is among its ancestors."""
        if rewrite:
            self._history.clear()
        seed = repr((sorted(files.items()), self._history, rewrite, message))
        sha = hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()
        self._history.append(sha)
        revision = render_revision(self.ref, sha)
        self._newest = PolicyFiles(
            revision=revision,
            descends=Descends.UNKNOWN,
            files=dict(files),
            problems=problems,
            path_found=path_found,
            message=message,
        )
        return revision

    def fetch(self, last: str | None) -> PolicyFiles:
        """As the port says."""
        if self.failures:
            raise self.failures.pop(0)
        newest = self._newest or self._first()
        return PolicyFiles(
            revision=newest.revision,
            descends=self._descends(last),
            files=newest.files,
            problems=newest.problems,
            path_found=newest.path_found,
            message=newest.message,
        )

    def _first(self) -> PolicyFiles:
        self.push({})
        return self.fetch(None)

    def _descends(self, last: str | None) -> Descends:
        if last is None:
            return Descends.UNKNOWN
        sha = parse_revision(last)[1]
        if sha in self._history[-self.limit :]:
            return Descends.YES
        return Descends.NO if len(self._history) <= self.limit else Descends.UNKNOWN
