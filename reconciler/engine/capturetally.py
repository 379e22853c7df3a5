"""Counts of one capture: what is in the tree, what changed, what was left out, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconciler.model.objects import Resource
from reconciler.model.run import Counts, LeftOutCount


class Tally:
    """By part of the tree: a namespace, or an empty text for what is cluster-scoped."""

    def __init__(self) -> None:
        self._changes: Counter[tuple[str, str]] = Counter()
        self._left_out: Counter[tuple[str, str, str]] = Counter()
        self._unselected: Counter[tuple[str, str, str]] = Counter()
        self._uids: set[str] = set()
        """A list that began again gives what was left out twice."""

    def captured(self, part: str) -> None:
        """A file is in the tree."""
        self._changes[part, "captured"] += 1

    def written(self, part: str, *, new: bool) -> None:
        """It differs from the parent's."""
        self._changes[part, "created" if new else "changed"] += 1

    def deleted(self, part: str) -> None:
        """A file is gone from the tree, as its object is from the cluster."""
        self._changes[part, "deleted"] += 1

    def unselected(self, part: str, kind: str, reason: str) -> None:
        """A file is gone from the tree because its object is not selected any more."""
        self.deleted(part)
        self._unselected[part, kind, reason] += 1

    def left_out(self, part: str, resource: Resource, uid: str, reason: str) -> bool:
        """An object is not captured; False if that is known already."""
        if uid in self._uids:
            return False
        self._uids.add(uid)
        self._left_out[part, resource.folder, reason] += 1
        return True

    def others(self, part: str, resource: Resource, count: int, reason: str) -> None:
        """So many more objects are not captured, of which none was looked at."""
        if count:
            self._left_out[part, resource.folder, reason] += count

    def counts(self, part: str) -> Counts:
        """Numbers only."""

        def number(what: str) -> int:
            return self._changes[part, what]

        return Counts(
            captured=number("captured"),
            created=number("created"),
            changed=number("changed"),
            deleted=number("deleted"),
            left_out=sum(found.count for found in self.left_out_of(part)),
        )

    def left_out_of(self, part: str) -> tuple[LeftOutCount, ...]:
        """By kind and reason."""
        return tuple(_of(self._left_out, part))

    def unselected_of(self, part: str) -> tuple[LeftOutCount, ...]:
        """By kind and reason."""
        return tuple(_of(self._unselected, part))


def _of(counted: Counter[tuple[str, str, str]], part: str) -> Iterator[LeftOutCount]:
    for (where, kind, reason), count in sorted(counted.items()):
        if where == part:
            yield LeftOutCount(kind=kind, reason=reason, count=count)
