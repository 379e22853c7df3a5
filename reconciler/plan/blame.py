"""Since when does each field have its value? Held against older and older versions. Pure.

As `git blame` does for lines: a field is a run's if the version before that run's had it otherwise,
or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.model.store import Commit
from reconciler.plan.diff import Field, Kind, flatten

_Key = tuple[tuple[str, ...], str]


@dataclass(frozen=True, slots=True)
class Version:
    """A commit that changed the object; blob ids, None where it was not there.

    ``time`` is the run's start. ``run`` is empty where no run made the commit, ``cut`` says that
    what was before it is unknown.
    """

    commit: Commit
    run: str
    time: datetime
    old: str | None
    new: str | None
    cut: bool = False

    @property
    def kind(self) -> Kind:
        """What the commit did."""
        if self.old is None:
            return Kind.ADDED
        return Kind.REMOVED if self.new is None else Kind.CHANGED


@dataclass(frozen=True, slots=True)
class Origin:
    """A field, and the oldest version since which it has its value all the time."""

    field: Field
    version: Version


def attribute(versions: Iterable[tuple[Version, Mapping[str, Any] | None]]) -> tuple[Origin, ...]:
    """The fields of the first of ``versions``, in their order.

    Versions go back in time; None where there was no object. Nothing older is asked for behind
    that, nor when every field is explained.
    """
    fields: Sequence[Field] | None = None
    since: dict[_Key, Version] = {}
    unexplained: set[_Key] = set()
    for version, manifest in versions:
        if manifest is None:
            break
        found = tuple(flatten(manifest))
        keys = {(one.path, one.same) for one in found}
        if fields is None:
            fields, unexplained = found, keys
        unexplained &= keys
        if not unexplained:
            break
        since |= dict.fromkeys(unexplained, version)
    return tuple(Origin(one, since[one.path, one.same]) for one in fields or ())
