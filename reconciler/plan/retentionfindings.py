"""What a change of policies does to recovery points that there are. Pure.

With an inventory each point is decided twice, by the retention before and after; what only the
first one keeps is listed with its time. Without points the words alone are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model.finding import Finding, Place, Severity
from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.policy import BackupPolicy, Retention
from reconciler.plan import retention, retentionproof
from reconciler.plan.retention import Point

SHORTENED = "retention-shortened"
EXTENDED = "retention-extended"
OTHER = "retention-changed"
MOST_TIMES = 50
"""Times on one line; more are counted."""
_FEW = 5
_KEEP = "keep the words that keep them, or let them go knowingly (this version removes nothing yet)"

Places = Callable[[str, str], Place | None]
"""(policy, field below ``spec``) → the line that says it at the head."""


@dataclass(frozen=True, slots=True)
class WordChange:
    """One word of a retention before and after; None where it is not written."""

    word: str
    before: int | str | None
    after: int | str | None

    @property
    def smaller(self) -> bool:
        """Whether it keeps less than before."""
        return _size(self.after) < _size(self.before)

    def __str__(self) -> str:
        before, after = ("none" if value is None else value for value in (self.before, self.after))
        return f"{self.word} {before} → {after}"


@dataclass(frozen=True, slots=True)
class _Loss:
    """Namespaces that lose the same points, out of ``of``."""

    namespaces: tuple[str, ...]
    points: tuple[Point, ...]
    of: int

    def __str__(self) -> str:
        shown = [f"{point.started:%Y-%m-%dT%H:%MZ}" for point in self.points[:MOST_TIMES]]
        more = len(self.points) - len(shown)
        times = ", ".join((*shown, f"and {more} more") if more else shown)
        return f"{_list(self.namespaces)}: {len(self.points)} of {self.of} would expire: {times}"


def retention_findings(
    base: Sequence[BackupPolicy],
    head: Sequence[BackupPolicy],
    inventory: Inventory | None,
    now: datetime,
    places: Places,
) -> tuple[Finding, ...]:
    """`SHORTENED`, `EXTENDED` and `OTHER`, by policy; a policy that is new or gone expires nothing.

    ``inventory`` may be None, or lack points: then nobody knows what there is.
    """
    before = {policy.name: policy for policy in base}
    points: defaultdict[str, list[PointDigest]] = defaultdict(list)
    for digest in inventory.points if inventory else ():
        points[digest.policy].append(digest)
    found = []
    for policy in sorted(head, key=lambda one: one.name):
        old = before.get(policy.name)
        if old is None or old.retention == policy.retention:
            continue
        older = inventory.older_points.get(policy.name, 0) if inventory else 0
        known = points[policy.name] if inventory and inventory.points_known else None
        told = _finding(policy, old.retention, known, older, now, places)
        if told.severity is Severity.WARNING and known is not None and not older:
            told = _other(told, old, policy, now)
        found.append(told)
    return tuple(found)


def word_changes(before: Retention, after: Retention) -> tuple[WordChange, ...]:
    """The words that differ, in the order of the language."""
    old, new = before.words(), after.words()
    names = [word for word in {**_EVERY, **old, **new} if old.get(word) != new.get(word)]
    return tuple(WordChange(word, old.get(word), new.get(word)) for word in names)


def surely_keeps(before: Retention, after: Retention) -> bool:
    """Whether nothing can expire that was kept, whatever recovery points there are.

    Not said of spans: years have no one length. Nor of a retention that had no word.
    """
    return bool(before.words()) and not any(
        change.smaller or isinstance(change.before, str) for change in word_changes(before, after)
    )


def _finding(
    policy: BackupPolicy,
    before: Retention,
    points: Sequence[PointDigest] | None,
    older: int,
    now: datetime,
    places: Places,
) -> Finding:
    changes = word_changes(before, policy.retention)
    words = ", ".join(map(str, changes))
    losses = tuple(_losses(points or (), before, policy.retention, now))
    smaller = [change.word for change in changes if change.smaller]
    shortened = bool(losses or smaller)
    severity = Severity.ERROR if losses else Severity.WARNING if smaller else Severity.NOTE
    details = [str(loss) for loss in losses]
    if shortened and older:
        details.append(f"{older} older ones are not in the inventory; they may expire, too")
    field = f"retention.{smaller[0]}" if smaller else "retention"
    return Finding(
        id=SHORTENED if shortened else EXTENDED,
        severity=severity,
        message=f"policy {policy.name}: {_sentence(words, losses, points, bool(smaller))}",
        hint=_KEEP if losses else "",
        policy=policy.name,
        namespace=_only_namespace(losses),
        place=places(policy.name, field),
        details=tuple(details),
        facts={
            "words": words,
            "namespaces": str(sum(len(loss.namespaces) for loss in losses)),
            "points": str(_count(losses)) if points is not None else "unknown",
        },
    )


def _other(told: Finding, old: BackupPolicy, new: BackupPolicy, now: datetime) -> Finding:
    """A note in place of a warning where other words keep what the ones before kept."""
    schedules = dict.fromkeys((old.schedule, new.schedule))
    changes = word_changes(old.retention, new.retention)
    if all(change.smaller for change in changes) or not all(
        retentionproof.covers(old.retention, new.retention, schedule, now) for schedule in schedules
    ):
        return told
    return replace(
        told,
        id=OTHER,
        severity=Severity.NOTE,
        message=f"policy {new.name}: recovery points are kept by other words"
        f" ({told.facts['words']}); none would expire, of those of today or by its schedule",
    )


def _sentence(
    words: str, losses: Sequence[_Loss], points: Sequence[PointDigest] | None, smaller: bool
) -> str:
    if losses:
        namespaces = sum(len(loss.namespaces) for loss in losses)
        many = f"in {namespaces} namespaces" if namespaces > 1 else f"of {losses[0].namespaces[0]}"
        first = min(loss.points[-1].started for loss in losses)
        last = max(loss.points[0].started for loss in losses)
        count = _count(losses)
        what = "recovery point" if count == 1 else "recovery points"
        days = f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"
        when = f"from {days[0]} to {days[1]}" if len({*days}) > 1 else days[0]
        return f"the new retention would expire {count} {what} {many}, {when} ({words})"
    if not smaller:
        return f"recovery points are kept longer ({words})"
    if points:
        return f"recovery points are kept shorter ({words}); of those of today none would expire"
    known = "" if points is not None else "; which there are, no inventory says"
    return f"recovery points are kept shorter ({words}){known}"


def _losses(
    digests: Sequence[PointDigest], before: Retention, after: Retention, now: datetime
) -> Iterator[_Loss]:
    """What only the retention before keeps; namespaces with the same points together."""
    alike: defaultdict[tuple[Point, ...], list[str]] = defaultdict(list)
    for namespace in sorted({name for digest in digests for name in digest.namespaces}):
        alike[retention.points_in(digests, namespace)].append(namespace)
    for points, namespaces in alike.items():
        gone = set(retention.expired(points, before, now))
        lost = tuple(p for p in retention.expired(points, after, now) if p not in gone)
        if lost:
            yield _Loss(tuple(namespaces), lost, len(points))


def _count(losses: Sequence[_Loss]) -> int:
    return sum(len(loss.points) * len(loss.namespaces) for loss in losses)


def _only_namespace(losses: Sequence[_Loss]) -> str:
    names = [name for loss in losses for name in loss.namespaces]
    return names[0] if len(names) == 1 else ""


def _size(value: int | str | None) -> int:
    if value is None:
        return 0
    return value if isinstance(value, int) else retention.span_hours(value)


def _list(names: Sequence[str]) -> str:
    shown = list(names[:_FEW])
    return ", ".join(shown) + (f" and {len(names) - _FEW} more" if len(names) > _FEW else "")


_EVERY = dict.fromkeys(
    f"keep{within}{word}"
    for within in ("", "Within")
    for word in ("Last", "Hourly", "Daily", "Weekly", "Monthly", "Yearly", "")
)
