"""A restic repository in memory that is kept in order, with RepositoryUpkeep's promises."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.errors import RepositoryLocked, UsageError
from tests.fakes.volumebackend import FakeVolumeBackend, StoredRepository


class FakeUpkeep(FakeVolumeBackend):
    """`FakeVolumeBackend` for maintenance. A snapshot's data stays until it is pruned."""

    def forget(self, snapshots: Sequence[str]) -> None:
        """As the port says."""
        if any(len(name) != 64 for name in snapshots):
            raise UsageError(f"not the full id of a restic snapshot: {list(snapshots)}")
        held = self._exclusively()
        held.snapshots = [one for one in held.snapshots if one.id not in snapshots]

    def prune(self) -> None:
        """As the port says."""
        held = self._exclusively()
        alive = {one.id for one in held.snapshots}
        held.trees = {name: tree for name, tree in held.trees.items() if name in alive}

    def check(self, *, part: int = 1, parts: int = 1, read_data: bool = True) -> tuple[str, ...]:
        """As the port says: a snapshot without its data is damage."""
        del read_data
        if not 1 <= part <= parts:
            raise UsageError(f"there is no part {part} of {parts}")
        held = self._exclusively()
        return tuple(
            f"snapshot {one.id[:8]} has no data"
            for one in held.snapshots
            if one.id not in held.trees
        )

    def _exclusively(self) -> StoredRepository:
        held = self._opened()
        if held.locks or held.locked:
            raise RepositoryLocked(f"restic repository {self._access.url} is locked")
        return held
