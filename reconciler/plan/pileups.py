"""Policies that a change lets start in the same minutes on one Repository. Pure.

A week and a day are looked at, or less where policies run so often that this is no small number
(`MOST_STARTS`): what collides that often collides within an hour as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.cronhash import compile_schedule, uses_hash
from reconciler.model.finding import Finding, Severity
from reconciler.model.policy import BackupPolicy
from reconciler.plan import runtimes
from reconciler.plan.retentionfindings import Places

PILE_UP = "pile-up"
MOST_STARTS = 100_000
MANY = 5
"""So many at once are worth a warning; fewer a note."""
_SPANS = (timedelta(days=8), timedelta(days=1), timedelta(hours=1))
_MOST_GROUPS = 10
_FEW = 5

_Starts = Mapping[datetime, Sequence[str]]


@dataclass(frozen=True, slots=True)
class _Pile:
    """The same policies, in the same minute so many times."""

    policies: tuple[str, ...]
    times: int
    first: datetime

    def __str__(self) -> str:
        names = ", ".join(self.policies[:_FEW])
        if len(self.policies) > _FEW:
            names += f" and {len(self.policies) - _FEW} more"
        often = "once" if self.times == 1 else f"{self.times} times"
        return f"{names}: {often}, first {self.first:%Y-%m-%dT%H:%MZ}"


def pileup_findings(
    base: Sequence[BackupPolicy],
    head: Sequence[BackupPolicy],
    cluster: str,
    now: datetime,
    places: Places,
) -> tuple[Finding, ...]:
    """One `PILE_UP` per Repository on which the change makes more start at once than before.

    Policies with ``H`` are left out where the name of the ``cluster`` is not known.
    """
    changed = _changed(base, head)
    found = []
    for repository in sorted({policy.volumes.repository for policy in changed.values()}):
        before = _on(repository, base, cluster)
        after = _on(repository, head, cluster)
        since = now.replace(second=0, microsecond=0)
        until = since + _span(after, cluster, since)
        old = _starts(before, cluster, since, until)
        piles = _piles(_starts(after, cluster, since, until), old, changed)
        if piles:
            found.append(_finding(repository, piles, until - since, changed, places))
    return tuple(found)


def _changed(base: Sequence[BackupPolicy], head: Sequence[BackupPolicy]) -> dict[str, BackupPolicy]:
    """Policies of the head that start at other times, or elsewhere, than before."""
    before = {policy.name: policy for policy in base if not policy.suspend}
    found = {}
    for policy in head:
        old = before.get(policy.name)
        same = old is not None and (old.schedule, old.volumes.repository) == (
            policy.schedule,
            policy.volumes.repository,
        )
        if not policy.suspend and not same:
            found[policy.name] = policy
    return found


def _on(repository: str, policies: Sequence[BackupPolicy], cluster: str) -> list[BackupPolicy]:
    return [
        policy
        for policy in sorted(policies, key=lambda one: one.name)
        if policy.volumes.repository == repository
        and not policy.suspend
        and (cluster or not uses_hash(policy.schedule.cron))
    ]


def _span(policies: Sequence[BackupPolicy], cluster: str, since: datetime) -> timedelta:
    for span in _SPANS[:-1]:
        count = 0
        for policy in policies:
            count += runtimes.count_runs(compile_schedule(policy, cluster), since, since + span)
            if count > MOST_STARTS:
                break
        else:
            return span
    return _SPANS[-1]


def _starts(
    policies: Sequence[BackupPolicy], cluster: str, since: datetime, until: datetime
) -> _Starts:
    found: defaultdict[datetime, list[str]] = defaultdict(list)
    for policy in policies:
        for run in runtimes.runs_between(compile_schedule(policy, cluster), since, until):
            found[run].append(policy.name)
    return found


def _piles(after: _Starts, before: _Starts, changed: Mapping[str, BackupPolicy]) -> list[_Pile]:
    """What the change makes worse, the largest first."""
    times: Counter[tuple[str, ...]] = Counter()
    first: dict[tuple[str, ...], datetime] = {}
    for moment in sorted(after):
        names = tuple(after[moment])
        if len(names) < 2 or changed.keys().isdisjoint(names):
            continue
        if len(names) <= len(before.get(moment, ())):
            continue
        times[names] += 1
        first.setdefault(names, moment)
    piles = [_Pile(names, count, first[names]) for names, count in times.items()]
    return sorted(piles, key=lambda pile: (-len(pile.policies), -pile.times, pile.policies))


def _finding(
    repository: str,
    piles: Sequence[_Pile],
    span: timedelta,
    changed: Mapping[str, BackupPolicy],
    places: Places,
) -> Finding:
    worst = piles[0]
    one = next(name for name in worst.policies if name in changed)
    return Finding(
        id=PILE_UP,
        severity=Severity.WARNING if len(worst.policies) >= MANY else Severity.NOTE,
        message=f"{len(worst.policies)} policies start in the same minute on Repository"
        f" {repository}",
        hint="write H for the minute, and each gets one of its own: H 2 * * *",
        policy=one,
        place=places(one, "schedule.cron"),
        details=tuple(_details(piles, span)),
        facts={"repository": repository, "policies": str(len(worst.policies))},
    )


def _details(piles: Sequence[_Pile], span: timedelta) -> Iterator[str]:
    window = f"{span.days} days" if span.days > 1 else "a day" if span.days else "an hour"
    for pile in piles[:_MOST_GROUPS]:
        yield f"{pile} in {window}"
    if len(piles) > _MOST_GROUPS:
        yield f"and {len(piles) - _MOST_GROUPS} smaller groups"
