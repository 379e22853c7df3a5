"""Counts what policies protect, for their statuses: the classes of volumes are read if one asks."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.engine.storageclasses import StorageOnce
from reconciler.model.errors import Refused
from reconciler.plan.entries import Entry
from reconciler.plan.mirrorcover import Counter, Marks
from reconciler.plan.mirrorstatus import Protected


@dataclass(frozen=True, slots=True)
class Counting:
    """One cycle's. ``untold`` gets why a policy could not be counted, where one could not."""

    counter: Counter
    classes: StorageOnce
    marks: Marks
    untold: list[str] = field(default_factory=list)

    def count(self, entry: Entry) -> Protected | None:
        """None where it is not known; raises what a broken read raises, but for Refused."""
        wanted = entry.wanted
        if wanted is None:
            return None
        digest, newest = self.marks.get(entry.name, ("", None))
        try:
            storage = self.classes.wanted_by(wanted.policy.volumes)
        except Refused as error:
            self.untold.append(error.message)
            return None
        since = newest if digest == wanted.digest else None
        return self.counter.count(wanted, since=since, storage=storage)
