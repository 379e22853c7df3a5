"""Policies under a new name: those that say so, and those that only look like it. Pure.

A renamed policy takes its former schedule along: its CronJob goes without being counted as a
deletion. Where nobody says so, a new policy that selects just what one that is gone selected is
most likely the same one, and its recovery points would not be found under the new name: the plan
asks, and until it is answered the old schedule goes on and the new one is not made. Policies of
folders with different grants are never the same one, whatever they select: labels are everybody's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import naming
from reconciler.model.config import Config
from reconciler.model.grants import find_grant
from reconciler.model.policy import NamespaceSelector
from reconciler.plan.entries import Entry, annotations_of, last_good, policy_of

Raw = Mapping[str, Any]
_Key = tuple[frozenset[str], frozenset[tuple[str, str]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Renames:
    """Former name → new name."""

    said: Mapping[str, str] = field(default_factory=dict)
    likely: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def questions(self) -> tuple[str, ...]:
        """One sentence for each that only looks like it."""
        return tuple(
            f"policy {new} looks like {old} under a new name: add `renamedFrom: {old}` to it"
            for old, new in sorted(self.likely.items())
        )


def find_renames(
    entries: Mapping[str, Entry],
    gone: Sequence[Raw],
    known: Mapping[str, Raw],
    config_maps: Sequence[Raw],
    config: Config,
) -> Renames:
    """``gone`` are schedules without a policy, ``known`` all of ours, by the objects' names."""
    if not gone:
        return Renames()
    by_name = {raw["metadata"]["name"]: raw for raw in config_maps}
    former: dict[str, Entry] = {}
    new: dict[tuple[_Key, object], str] = {}
    for name, entry in sorted(entries.items()):
        if entry.wanted is None or entry.held:
            continue
        policy = entry.wanted.policy
        if policy.renamed_from:
            former[policy.renamed_from] = entry
        elif naming.cronjob_name(name) not in known:
            grant = find_grant(config.grants, _file(entry.source))
            new.setdefault((selector_key(policy.selector.namespaces), grant), name)
    said, likely, notes = dict[str, str](), dict[str, str](), list[str]()
    for raw in gone:
        old = policy_of(raw)
        if old in former:
            heir = former[old]
            if _grant(raw, config) == find_grant(config.grants, _file(heir.source)):
                said[old] = heir.name
                notes += _never_ran(raw, by_name, heir.name)
            else:
                notes.append(f"policy {heir.name} is not of the folder that {old} was of")
        elif new and (before := last_good(raw, by_name)) is not None:
            looks = new.get((selector_key(before.policy.selector.namespaces), _grant(raw, config)))
            if looks is not None:
                likely[old] = looks
    return Renames(said, likely, tuple(notes))


def _never_ran(raw: Raw, config_maps: Mapping[str, Raw], heir: str) -> list[str]:
    """What to say of a name between two others that leads no further back: no run recorded it."""
    before = last_good(raw, config_maps)
    first = before.policy.renamed_from if before is not None else None
    if not first or (raw.get("status") or {}).get("lastScheduleTime"):
        return []
    old = policy_of(raw)
    told = (
        f"policy {old}, which was {first} before, has not run by its schedule: unless a run of it"
        f" was recorded, write renamedFrom: {first} in policy {heir}, for what {first} backed up to"
        " be found under the new name"
    )
    return [told]


def _grant(raw: Raw, config: Config) -> object:
    return find_grant(config.grants, _file(annotations_of(raw).get(naming.SOURCE, "")))


def _file(source: str) -> str:
    return source.rpartition("#")[0]


def selector_key(selector: NamespaceSelector) -> _Key:
    """Equal for selectors of which one may be the other under a new policy's name."""
    return (
        frozenset(selector.names),
        frozenset(selector.match_labels.items()),
        frozenset(selector.exclude),
    )
