"""RepositoryUpkeep on restic: the only code that has restic remove anything.

It is a class of its own, so that a run and its movers do not even have these methods. Snapshots
are named by their full ids: restic's own rules (`--keep-…`, `--group-by`) are never used.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from reconciler.adapters import resticexec
from reconciler.adapters.resticexec import ResticFailed
from reconciler.adapters.resticrepo import ResticRepository
from reconciler.model.errors import Refused, UsageError

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_AT_ONCE = 200
"""Ids in one command: 13 KB of arguments."""
_DAMAGED = "repository contains errors"


class KeptRepository(ResticRepository):
    """One restic repository that is kept in order. See `reconciler.ports.RepositoryUpkeep`."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """Removes these snapshots and proves it: restic 0.18 calls a refusal a success."""
        for name in snapshots:
            if not _ID.fullmatch(name):
                raise UsageError(f"not the full id of a restic snapshot: {name!r}")
        held = {found.id for found in self.snapshots()}
        # restic without an id would ask for rules, and one that is gone makes it ask storage twice.
        wanted = [name for name in dict.fromkeys(snapshots) if name in held]
        for begin in range(0, len(wanted), _AT_ONCE):
            self._upkeep("forget", *wanted[begin : begin + _AT_ONCE])
        left = {found.id for found in self.snapshots()}.intersection(wanted) if wanted else set()
        if left:
            raise Refused(
                f"restic repository {self._where}: {len(left)} of {len(wanted)} snapshots are still"
                " there after they were removed",
                hint="is the storage append-only? Then only its owner can remove from it",
            )

    def prune(self) -> None:
        """Frees what no snapshot needs."""
        self._upkeep("prune")

    def check(self, *, part: int = 1, parts: int = 1, read_data: bool = True) -> tuple[str, ...]:
        """What is damaged, a sentence each; empty where nothing is."""
        if not 1 <= part <= parts:
            raise UsageError(f"there is no part {part} of {parts}")
        subset = (f"--read-data-subset={part}/{parts}",) if read_data else ()
        try:
            self._upkeep("check", *subset, raw=True)
        except ResticFailed as error:
            outcome = error.outcome
            if outcome.code != 1 or _DAMAGED not in outcome.fatal:
                raise self._error(outcome) from error
            told = (self._mask(text) for text in outcome.errors)
            return tuple(told) or (self._mask(outcome.fatal),)
        return ()

    def _upkeep(self, *command: str, raw: bool = False) -> None:
        run = functools.partial(resticexec.execute, [*self._base(), *command])
        _, outcome = self._run(run, self._copying(None), raw=raw)
        if outcome.code != 0:
            # 3: restic 0.19 could not delete everything.
            raise self._error(outcome)
