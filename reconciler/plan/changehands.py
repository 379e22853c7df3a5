"""Findings about namespaces that one policy leaves to another which does less for them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from reconciler.model.cronhash import compile_schedule
from reconciler.model.finding import Finding, Severity
from reconciler.model.policy import BackupPolicy
from reconciler.plan import runtimes
from reconciler.plan.changecoverage import Cover
from reconciler.plan.changewhy import POLICY, Sides
from reconciler.plan.clockchanges import hours
from reconciler.plan.retentionfindings import word_changes
from reconciler.plan.schedulefindings import LONGER

HANDED = "protector-changed"


def handover_findings(
    sides: Sides,
    before: Cover,
    after: Cover,
    former: Mapping[str, str],
    *,
    cluster: str,
    now: datetime,
) -> Iterator[Finding]:
    """`HANDED`: namespaces that lose one of their policies, and the rest give less.

    Less is a longer wait than the lost one's, a retention that keeps less than its, or another
    Repository. ``former``: policy of the head → its name in the base.
    """
    heirs = {old: new for new, old in former.items()}
    groups: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for namespace, policies in sorted(before.namespaces.items()):
        rest = after.namespaces.get(namespace, ())
        lost = [name for name in policies if heirs.get(name, name) not in rest]
        for name in lost if rest else ():
            groups[name, rest].append(namespace)
    begin = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for (name, rest), namespaces in sorted(groups.items()):
        old = sides.before.policies[name]
        less = tuple(_less(old, [sides.after.policies[one] for one in rest], cluster, begin))
        if less:
            yield Finding(
                id=HANDED,
                severity=Severity.WARNING,
                message=f"{_namespaces(namespaces)} left by policy {name} to"
                f" {' and '.join(rest)}, with {' and '.join(less)}",
                hint="what was backed up stays",
                policy=name,
                namespace=namespaces[0] if len(namespaces) == 1 else "",
                place=sides.at(name, "selector.namespaces") or sides.base.place(POLICY, name),
                details=tuple(namespaces),
                facts={"from": name, "to": ",".join(rest), "namespaces": str(len(namespaces))}
                | ({} if sides.at(name) else {"side": "base"}),
            )


def _namespaces(names: list[str]) -> str:
    return f"namespace {names[0]} is" if len(names) == 1 else f"{len(names)} namespaces are"


def _less(
    old: BackupPolicy, rest: list[BackupPolicy], cluster: str, begin: datetime
) -> Iterator[str]:
    was, gaps = _gap(old, cluster, begin), [_gap(one, cluster, begin) for one in rest]
    now = min((gap for gap in gaps if gap), default=0)
    if was and now > was * LONGER:
        yield f"up to {hours(now)} without a run instead of {hours(was)}"
    if all(
        any(word.smaller for word in word_changes(old.retention, one.retention)) for one in rest
    ):
        yield "a shorter retention"
    if all(one.volumes.repository != old.volumes.repository for one in rest):
        yield "another Repository"


def _gap(policy: BackupPolicy, cluster: str, begin: datetime) -> int:
    gap = runtimes.worst_gap(compile_schedule(policy, cluster), begin)
    return gap.seconds if gap else 0
