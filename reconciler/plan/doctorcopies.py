"""Copies of volumes whose run is over: snapshots, contents and claims that nobody reads. Pure.

One finding for each copy, with what removes it in the order that is safe. The label alone proves
nothing: an object counts as ours only where its name is made of what its annotations say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.plan import moverjob
from reconciler.plan.entries import annotations_of

Raw = Mapping[str, Any]
ID = "leftovers/copy"
_ORDER = ("PersistentVolumeClaim", "VolumeSnapshot", "VolumeSnapshotContent")


def find_copies(
    copies: Iterable[Raw],
    *,
    alive: frozenset[str],
    waiting: frozenset[str],
    scheduled: frozenset[str],
    policy: str = "",
) -> Iterator[Finding]:
    """``alive``, ``waiting``: ids of runs; ``scheduled``: policies whose next run cleans up."""
    found: defaultdict[str, list[Raw]] = defaultdict(list)
    for raw in copies:
        owner = annotations_of(raw).get(naming.POLICY, "")
        if policy not in ("", owner):
            continue
        if not _is_ours(raw):
            yield Finding(
                id=ID,
                level=Level.WARNING,
                where=_where(raw),
                message="it carries the label of Backstay's copies and is none of them",
                hint=f"find out who made it; to remove it: {_delete(raw)}",
            )
        else:
            found[raw["metadata"]["name"]].append(raw)
    for _, parts in sorted(found.items()):
        run_id = annotations_of(parts[0])[naming.RUN]
        if run_id in waiting:
            yield _finding(parts, Level.INFO, f"run {run_id} has lost its pod", "")
        elif run_id not in alive:
            owner = annotations_of(parts[0]).get(naming.POLICY, "")
            next_run = f"the next run of policy {owner} removes it; at once: "
            told = next_run if owner in scheduled else ""
            yield _finding(parts, Level.WARNING, f"run {run_id} is over", told)


def _finding(parts: Sequence[Raw], level: Level, state: str, told: str) -> Finding:
    ordered = sorted(parts, key=_place)
    annotations = annotations_of(ordered[-1])
    claim = f"{annotations[naming.NAMESPACE]}/{annotations[naming.CLAIM]}"
    commands = "; ".join(_delete(raw) for raw in ordered)
    return Finding(
        id=ID,
        level=level,
        where=_where(ordered[-1]),
        message=f"copy of claim {claim} ({len(ordered)} object{'s'[: len(ordered) > 1]}); {state}",
        hint=told + commands if level is Level.WARNING else "nothing: its next pod goes on with it",
    )


def _is_ours(raw: Raw) -> bool:
    annotations = annotations_of(raw)
    kind = moverjob.kind_of(
        raw["metadata"]["name"],
        run_id=annotations.get(naming.RUN, ""),
        namespace=annotations.get(naming.NAMESPACE, ""),
        claim=annotations.get(naming.CLAIM, ""),
    )
    return kind is not None


def _place(raw: Raw) -> tuple[bool, int, str]:
    """Claims first, the snapshot beside the application's claim last."""
    own = raw["metadata"].get("namespace") == annotations_of(raw)[naming.NAMESPACE]
    beside = own and raw["kind"] == "VolumeSnapshot"
    return beside, _ORDER.index(raw["kind"]), _where(raw)


def _where(raw: Raw) -> str:
    metadata = raw["metadata"]
    place = metadata.get("namespace", "")
    return f"{raw['kind']} {f'{place}/' if place else ''}{metadata['name']}"


def _delete(raw: Raw) -> str:
    metadata = raw["metadata"]
    place = metadata.get("namespace", "")
    kind = str(raw["kind"]).lower()
    return f"kubectl {f'-n {place} ' if place else ''}delete {kind} {metadata['name']}"
