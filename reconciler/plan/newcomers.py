"""What came into the cluster since the last look, and what the policies make of it. Pure.

Both looks are judged by the same policies, those of now, with the decisions of `backstay coverage`:
so what is told here is what the cluster did, never what a merge did. A plan tells that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model.cronhash import compile_schedule
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.policy import BackupPolicy, Exemption
from reconciler.model.protection import Cause, ProtectionLine, State
from reconciler.plan.crontimes import next_time
from reconciler.plan.mirrorevents import EventReason, MirrorEvent
from reconciler.plan.protection import protect

_WANTED = frozenset({Cause.IMPOSSIBLE, Cause.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A namespace or claim that is new, or that the policies see in another way than before."""

    title: str
    """``namespace shop``, ``claim shop/data``."""
    namespace: str
    claim: str = ""
    state: State
    policies: tuple[str, ...] = ()
    """Those that protect it now."""
    lost: tuple[str, ...] = ()
    """Those that did at the last look, and do not now."""
    unable: tuple[str, ...] = ()
    """Those that want it and can't have it: data that can't be copied, or they are suspended."""
    new: bool = True
    """Whether it was not there at the last look."""
    sentence: str
    """``protected by shop from its next run at 2026-11-22T02:17Z``."""


def find_newcomers(
    before: Inventory,
    after: Inventory,
    policies: Sequence[BackupPolicy],
    exemptions: Iterable[Exemption],
    *,
    now: datetime,
    shared_key: bool,
) -> tuple[Newcomer, ...]:
    """By namespace, then its claims; what goes, and what is on its way out, is not among them."""
    old = {found.namespace.name: found for found in before.namespaces}
    changed = [found for found in after.namespaces if old.get(found.namespace.name) != found]
    if not changed:
        return ()
    waivers = tuple(exemptions)

    def judge(inventory: Inventory, parts: Iterable[NamespaceInventory]) -> _Lines:
        whole = replace(inventory, namespaces=tuple(parts))
        made = protect(policies, waivers, whole, now=now, shared_key=shared_key)
        return {line.title: line for line in made.lines}

    names = {found.namespace.name for found in changed}
    were = judge(before, (found for name, found in old.items() if name in names))
    are = judge(after, changed)
    leaving = set(_leaving(changed))
    following = _following({policy.name: policy for policy in policies}, after.cluster, now)
    return tuple(
        _newcomer(line, were.get(title), following)
        for title, line in are.items()
        if title not in leaving and not _left_out(line) and _view(were.get(title)) != _view(line)
    )


_Lines = Mapping[str, ProtectionLine]
_Next = Callable[[str], datetime | None]


def _view(line: ProtectionLine | None) -> object:
    """What makes two looks at a thing different."""
    return line and (line.state, tuple(found.policy for found in line.protectors), _unable(line))


def _unable(line: ProtectionLine) -> tuple[str, ...]:
    wanted = {one.policy for one in line.reasons if one.cause in _WANTED and one.policy}
    return tuple(sorted(wanted))


def _left_out(line: ProtectionLine) -> bool:
    """Whether Backstay leaves it out by itself: ``kube-*`` and the like are no applications."""
    return line.waiver is not None and not line.waiver.exemption


def _leaving(changed: Iterable[NamespaceInventory]) -> Iterator[str]:
    for found in changed:
        if found.namespace.terminating:
            yield f"namespace {found.namespace.name}"
        for claim in found.claims:
            if found.namespace.terminating or claim.terminating:
                yield f"claim {claim.namespace}/{claim.name}"


def _following(policies: Mapping[str, BackupPolicy], cluster: str, now: datetime) -> _Next:
    def next_of(policy: str) -> datetime | None:
        return next_time(compile_schedule(policies[policy], cluster), now)

    return next_of


def _newcomer(line: ProtectionLine, was: ProtectionLine | None, next_of: _Next) -> Newcomer:
    now = tuple(found.policy for found in line.protectors)
    before = (found.policy for found in was.protectors) if was else ()
    return Newcomer(
        title=line.title,
        namespace=line.namespace,
        claim=line.name,
        state=line.state,
        policies=now,
        lost=tuple(policy for policy in before if policy not in now),
        unable=_unable(line),
        new=was is None,
        sentence=_sentence(line, next_of),
    )


def newcomer_events(newcomers: Iterable[Newcomer]) -> Iterator[tuple[str, MirrorEvent]]:
    """(policy, what to tell of it); of what no policy ever had there is none to tell it of."""
    for found in newcomers:
        note = f"{found.title}: {found.sentence}"
        for policy in found.policies:
            yield policy, MirrorEvent(EventReason.PROTECTED, note, once=True)
        for policy in found.lost:
            yield policy, MirrorEvent(EventReason.PROTECTION_LOST, note, warning=True, once=True)
        for policy in found.unable:
            if policy not in found.lost:
                told = MirrorEvent(EventReason.CANNOT_PROTECT, note, warning=True, once=True)
                yield policy, told


def _sentence(line: ProtectionLine, next_of: _Next) -> str:
    if line.protectors:
        runs = ((found.policy, next_of(found.policy)) for found in line.protectors)
        return " and ".join(
            f"protected by {policy} from its next run{f' at {at:%Y-%m-%dT%H:%MZ}' if at else ''}"
            for policy, at in runs
        )
    if line.waiver is not None:
        return f"exempt by {line.waiver.exemption}: {line.waiver.reason}"
    return f"unprotected: {line.reasons[0].why}" if line.reasons else "unprotected"
