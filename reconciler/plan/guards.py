"""Which deletions of a run are suspicious: too much is gone since the last good run. Pure.

``maxShrink`` compares numbers of objects, not names: a ConfigMap that is replaced by one of another
name makes nothing smaller. It is asked of each namespace as a whole, of each kind in it, and of
each kind over all selected namespaces, for an operator that is gone takes a few objects from each.
Of a whole, one object may always go; a kind is asked from `FEW` objects on, because of two Services
one is the half. What is cluster-scoped is a part like a namespace, with an empty name.

``minObjects`` is a floor for each selected namespace.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import jsonform
from reconciler.model.policy import Guards

Place = tuple[str, str]
"""(namespace, kind as the tree has it: ``deployment.apps``)."""
FEW = 10
"""A kind with fewer objects is judged with its namespace only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """Objects by place: in the last good run, now, and of those that went, what is in the tree.

    What the policy does not select any more by its own change is in none of them.
    """

    before: Mapping[Place, int]
    now: Mapping[Place, int]
    gone: Mapping[Place, int]


def judge(guards: Guards, shrink: Shrink, lost: Collection[str]) -> dict[Place, str]:
    """Places whose deletions are held, each with why.

    ``lost``: namespaces that left the selection without a change of the policy.
    """
    judge_of = _Judge(guards, shrink, frozenset(lost))
    found = ((place, judge_of.why(place)) for place, count in shrink.gone.items() if count)
    return {place: why for place, why in sorted(found) if why}


def too_few(guards: Guards, now: Mapping[Place, int], selected: Iterable[str]) -> dict[str, str]:
    """Selected namespaces below ``minObjects`` → what to say of them."""
    if guards.min_objects is None:
        return {}
    totals = _by_namespace(now)
    return {
        name: f"{totals[name]} objects, fewer than guards.minObjects: {guards.min_objects}"
        for name in selected
        if totals[name] < guards.min_objects
    }


def shrink_digest(cluster: str, policy: str, since: Iterable[str], withheld: Iterable[str]) -> str:
    """128 bits in hex over what is held (paths) and the runs that it is compared with.

    Once it was accepted there is a newer run to compare with, so it never comes again.
    """
    body = {
        "formatVersion": 1,
        "cluster": cluster,
        "policy": policy,
        "since": sorted(set(since)),
        "withheld": sorted(withheld),
    }
    return hashlib.sha256(jsonform.dumps(body).encode()).hexdigest()[:32]


def words(guards: Guards | None) -> str:
    """What a plan says of a policy's guards."""
    if guards is None or (guards.max_shrink is None and guards.min_objects is None):
        return "no guards: whatever is gone leaves the tree at once, however much it is"
    parts = []
    if guards.max_shrink is not None:
        parts.append(f"maxShrink {guards.max_shrink}%")
    if guards.min_objects is not None:
        parts.append(f"minObjects {guards.min_objects}")
    if guards.accept:
        parts.append(f"accepts {guards.accept} once")
    return f"guards: {', '.join(parts)}"


class _Judge:
    def __init__(self, guards: Guards, shrink: Shrink, lost: frozenset[str]) -> None:
        self._guards = guards
        self._shrink = shrink
        self._lost = lost
        self._before = _by_namespace(shrink.before)
        self._now = _by_namespace(shrink.now)
        self._all_before = _by_kind(shrink.before, lost)
        self._all_now = _by_kind(shrink.now, lost)

    def why(self, place: Place) -> str:
        """Why what went from a place is held; empty where it may go."""
        namespace, kind = place
        floor = self._guards.min_objects
        if namespace in self._lost:
            if floor is None and (self._guards.max_shrink or 0) >= 100:
                return ""
            return f"all {self._before[namespace]} objects of the namespace are gone"
        here, name = self._shrink, namespace or "what is cluster-scoped"
        if namespace and floor is not None and self._now[namespace] < floor:
            return f"namespace {name} has {self._now[namespace]} objects, minObjects is {floor}"
        if self._shrank(self._before[namespace], self._now[namespace]):
            what = f"namespace {name}" if namespace else name
            return self._told(what, self._before[namespace], self._now[namespace])
        before, now = here.before.get(place, 0), here.now.get(place, 0)
        if before >= FEW and self._shrank(before, now):
            return self._told(kind, before, now)
        before, now = self._all_before[kind], self._all_now[kind]
        if namespace and before >= FEW and self._shrank(before, now):
            return self._told(f"{kind} of all namespaces", before, now)
        return ""

    def _shrank(self, before: int, now: int) -> bool:
        percent = self._guards.max_shrink
        if percent is None:
            return False
        allowed = before * percent // 100
        return before - now > (max(1, allowed) if percent else 0)

    def _told(self, what: str, before: int, now: int) -> str:
        limit = f"maxShrink is {self._guards.max_shrink}%"
        return f"{what}: {now} of {before} objects are left, {limit}"


def _by_namespace(counts: Mapping[Place, int]) -> Counter[str]:
    total: Counter[str] = Counter()
    for (namespace, _), count in counts.items():
        total[namespace] += count
    return total


def _by_kind(counts: Mapping[Place, int], without: frozenset[str]) -> Counter[str]:
    """Over all namespaces; what is cluster-scoped has its own count."""
    total: Counter[str] = Counter()
    for (namespace, kind), count in counts.items():
        if namespace and namespace not in without:
            total[kind] += count
    return total
