"""A change of the policies → what it will do to the backups of a cluster. Pure, no cluster asked.

The same two revisions, inventory and time give the same plan; the order of files never matters;
a policy that is added changes nothing that is said of another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.model.change import ChangePlan, Revision
from reconciler.model.finding import Finding, Severity
from reconciler.model.inventory import Inventory
from reconciler.model.naming import DEFAULT_NAMESPACE
from reconciler.model.policy import Kind
from reconciler.plan.changecover import Covered, Ground, named_only
from reconciler.plan.changecoverage import Cover, coverage_findings
from reconciler.plan.changedocuments import document_changes
from reconciler.plan.changeempty import empty_findings
from reconciler.plan.changeexemptions import exemption_findings, waived_by
from reconciler.plan.changeforce import base_force, head_force
from reconciler.plan.changegrants import grant_findings
from reconciler.plan.changehands import handover_findings
from reconciler.plan.changehooks import hook_findings
from reconciler.plan.changepolicies import policy_findings
from reconciler.plan.changeredaction import redaction_findings
from reconciler.plan.changerenames import change_renames, followed
from reconciler.plan.changewhy import Sides
from reconciler.plan.pileups import pileup_findings
from reconciler.plan.restoreintents import restore_findings
from reconciler.plan.retentionfindings import retention_findings
from reconciler.plan.schedulefindings import schedule_findings

_OLD = timedelta(days=1)
_LOUDNESS = list(Severity)


def plan_change(
    base: Revision,
    head: Revision,
    inventory: Inventory | None,
    *,
    cluster: str,
    now: datetime,
) -> ChangePlan:
    """``cluster`` is the name that ``H``, URLs and `clusters` are worked out for, or empty."""
    before, after = base_force(base, cluster=cluster), head_force(base, head, cluster=cluster)
    everything = (*before.policies.values(), *after.policies.values())
    known = inventory or named_only(everything, own_namespace=DEFAULT_NAMESPACE)
    sides = Sides(base=base, head=head, before=before, after=after, ground=Ground(known))
    old, new = _covers(sides)
    renames = change_renames(base, head)
    was, will_be, carried = before.all, after.all, renames.carried(before.all)
    points = followed(inventory, renames, base, head)
    findings = [
        *coverage_findings(
            sides, old, new, waived_by(sides, inventory, now), seen=inventory is not None
        ),
        *(empty_findings(sides, new, renames.former) if inventory else ()),
        *policy_findings(sides, old, new, cluster=cluster, inventory=inventory),
        *grant_findings(sides, old, new, renames.former),
        *redaction_findings(sides, renames.former),
        *hook_findings(sides, old, new, renames.former, inventory),
        *handover_findings(sides, old, new, renames.former, cluster=cluster, now=now),
        *exemption_findings(sides, now),
        *retention_findings(carried, will_be, points, now, sides.at),
        *schedule_findings(carried, will_be, cluster, now, sides.at),
        *pileup_findings(was, will_be, cluster, now, sides.at),
        *restore_findings(
            base.parsed.restores,
            head.parsed.restores,
            points,
            cluster,
            lambda name, path: head.place(Kind.RESTORE, name, path),
        ),
    ]
    return ChangePlan(
        cluster=cluster,
        base=base.shown,
        head=head.shown,
        findings=tuple(sorted(findings, key=_rank)),
        changes=document_changes(base, head),
        problems=head.parsed.problems,
        notes=tuple(_notes(sides, inventory, cluster=cluster, now=now)),
        before=old.count if inventory else None,
        after=new.count if inventory else None,
        taken=inventory.taken if inventory else None,
    )


def _rank(finding: Finding) -> tuple[int, str, str, str, str, str]:
    loudness = _LOUDNESS.index(finding.severity)
    key = (finding.id, finding.policy, finding.namespace, finding.claim, finding.message)
    return (loudness, *key)


def _covers(sides: Sides) -> tuple[Cover, Cover]:
    """What both sides protect; a policy that is the same on both is looked at once."""
    old = {name: sides.ground.cover(one) for name, one in sides.before.policies.items()}
    new: dict[str, Covered] = {}
    for name, policy in sides.after.policies.items():
        same = name in old and sides.before.policies[name] == policy
        new[name] = old[name] if same else sides.ground.cover(policy)
    return Cover.of(sides.before, old), Cover.of(sides.after, new)


def _notes(
    sides: Sides, inventory: Inventory | None, *, cluster: str, now: datetime
) -> Iterator[str]:
    """What the plan could not know."""
    if inventory is None:
        yield (
            "no inventory of a cluster was given: only namespaces that policies call by their"
            " whole name are known, labels and claims are not"
        )
    elif inventory.taken is not None and now - inventory.taken > _OLD:
        yield (
            f"the inventory is of {inventory.taken:%Y-%m-%dT%H:%M:%SZ}: what the cluster got"
            " or lost since then is not known"
        )
    if not cluster:
        yield (
            "no cluster was named: what policies with `clusters` protect, and what depends on the"
            " cluster's name, is not known"
        )
    broken = [one for one in sides.base.parsed.broken if one.kind == Kind.BACKUP_POLICY]
    if sides.base.parsed.problems:
        names = ", ".join(sorted(one.name for one in broken if one.name)) or "no whole policy"
        yield (
            f"the base has {_count(len(sides.base.parsed.problems))} itself ({names}): what is in"
            " force in their place is not known, and what is mended looks new"
        )
    if sides.head.parsed.problems:
        yield (
            "as long as the head has a problem nothing is deleted, and what is broken stays as it"
            " was; findings are those of the rest"
        )


def _count(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"
