"""What is in force in a cluster, and what a plan would leave in force, as two revisions. Pure.

So that a plan against a cluster leads with the same findings as one between two revisions. The base
is what the cluster's schedules name now, the head what they name once the plan is executed: a
policy that is held, or whose deletion is refused, stays what it is. A policy whose compiled text
stays is the same on both sides, whatever became of its files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.model import naming
from reconciler.model.change import Key, Revision, Written
from reconciler.model.finding import Finding, Place
from reconciler.model.inventory import Inventory
from reconciler.model.plan import Action, Change, Desired, Observed, Plan
from reconciler.model.policy import (
    BackupPolicy,
    Compiled,
    Document,
    Kind,
    ParsedFiles,
    Repository,
    load_compiled,
)
from reconciler.plan.change import plan_change
from reconciler.plan.changepolicies import KEYS, REPOSITORY, SELECTOR
from reconciler.plan.entries import Raw, annotations_of, last_good, ours_by_name, policy_of

_POLICY = str(Kind.BACKUP_POLICY)
_OWN = frozenset({Kind.BACKUP_POLICY, Kind.REPOSITORY})


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveChange:
    """Two revisions that differ in the policies that come, go or are compiled anew: ``changed``."""

    base: Revision
    head: Revision
    changed: frozenset[str] = frozenset()
    same_repository: frozenset[str] = frozenset()
    """Policies of the head that write to the very Repository that they were compiled with."""

    def points_wanted(self) -> frozenset[str]:
        """Policies of whose recovery points there is something to say; former names are among."""
        before = {one.name: one for one in self.base.parsed.policies}
        after = {one.name: one for one in self.head.parsed.policies}
        wanted = set()
        for name in self.changed:
            old, new = before.get(name), after.get(name)
            former = {one.renamed_from for one in (old, new) if one and one.renamed_from}
            if old and new and old.retention == new.retention:
                continue
            wanted |= former | ({name} if old else set())
        return frozenset(wanted)

    def with_lines(self, written: Mapping[Key, Written]) -> LiveChange:
        """``written``: lines of the files that the head was read from."""
        return replace(self, head=replace(self.head, written=written))

    def findings(
        self, inventory: Inventory | None, *, cluster: str, now: datetime
    ) -> tuple[Finding, ...]:
        """Loudest first; none where nothing changes. ``inventory`` is None where nobody may look.

        Its recovery points are those of `points_wanted`.
        """
        if not self.changed:
            return ()
        made = plan_change(self.base, self.head, inventory, cluster=cluster, now=now)
        return tuple(map(_live, filter(self._is_true, made.findings)))

    def _is_true(self, finding: Finding) -> bool:
        # A Repository has one version per side, but a policy that is held has an older one.
        return finding.id not in (REPOSITORY, KEYS) or finding.policy not in self.same_repository


def _live(finding: Finding) -> Finding:
    if finding.id != SELECTOR:
        return finding
    return replace(finding, hint="let this account list namespaces and claims")


@dataclass(frozen=True, slots=True)
class _InForce:
    """What a schedule names."""

    document: Document
    repository: Repository | None = None


@dataclass(slots=True)
class _Sides:
    """Policies by name, filled in one by one."""

    before: dict[str, _InForce] = field(default_factory=dict)
    after: dict[str, Document] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


def live_change(plan: Plan, desired: Desired, observed: Observed) -> LiveChange:
    """Without lines of the head; see `LiveChange.with_lines`."""
    jobs = {policy_of(raw): raw for raw in ours_by_name(observed.cron_jobs).values()}
    good = {one.name: one for one in desired.parsed.documents if _is_policy(one)}
    sides = _Sides(before=dict(_in_force(jobs, observed)))
    changes = {one.policy: one for one in plan.changes if one.object.kind == "CronJob"}
    for name in sorted(jobs.keys() | good.keys()):
        _decide(sides, name, changes.get(name), jobs.get(name), good.get(name))
    others = [
        one for one in desired.parsed.documents if one.value is not None and one.kind not in _OWN
    ]
    left = [
        one for one in desired.parsed.documents if one.elsewhere and one.name not in sides.after
    ]
    now = {one.name: one for one in desired.parsed.repositories}
    then = _repositories(sides, now)
    now = {**then, **now}
    return LiveChange(
        base=Revision(
            shown="what is in force",
            parsed=_parsed(*(one.document for one in sides.before.values()), *others, of=then),
            written={
                (_POLICY, name): Written(place=Place(one.document.file))
                for name, one in sides.before.items()
                if one.document.file
            },
            grants=desired.grants,
        ),
        head=Revision(
            shown=plan.revision,
            parsed=_parsed(*sides.after.values(), *left, *others, of=now),
            grants=desired.grants,
        ),
        changed=frozenset(sides.changed),
        same_repository=frozenset(_same_repository(sides, now)),
    )


def _is_policy(document: Document) -> bool:
    return isinstance(document.value, BackupPolicy) and not document.elsewhere


def _in_force(jobs: Mapping[str, Raw], observed: Observed) -> Iterator[tuple[str, _InForce]]:
    config_maps = ours_by_name(observed.config_maps)
    for name, raw in sorted(jobs.items()):
        found = last_good(raw, config_maps)
        if found is not None:
            compiled: Compiled = load_compiled(found.text)
            file, _, index = found.source.rpartition("#")
            document = Document(
                file=file,
                index=int(index) if index.isdecimal() else 0,
                kind=_POLICY,
                name=name,
                value=compiled.policy,
            )
            yield name, _InForce(document, compiled.repository)


def _decide(
    sides: _Sides, name: str, change: Change | None, job: Raw | None, good: Document | None
) -> None:
    old = sides.before.get(name)
    if change is None or change.action is Action.SKIPPED:
        if old is not None:
            sides.after[name] = old.document
        return
    if change.action is Action.DELETED:
        sides.changed.add(name)
        return
    has = annotations_of(job).get(naming.DIGEST) if job is not None else None
    wanted = annotations_of(change.body).get(naming.DIGEST) if change.body is not None else has
    if wanted != has:
        sides.changed.add(name)
        if good is not None:
            sides.after[name] = good
    elif old is not None:
        sides.after[name] = replace(good or old.document, value=old.document.value)
    elif good is not None:
        # Its ConfigMap is gone and is written again as it was: that is no other policy.
        sides.before[name], sides.after[name] = _InForce(good), good


def _repositories(sides: _Sides, now: Mapping[str, Repository]) -> dict[str, Repository]:
    """One version per name: of several in force the one which a policy leaves for the head's."""
    found = [
        (name in sides.changed, one.repository != now.get(one.repository.name), one.repository)
        for name, one in sorted(sides.before.items())
        if one.repository is not None
    ]
    ordered = sorted(found, key=lambda one: one[:2])
    return {repository.name: repository for *_, repository in ordered}


def _same_repository(sides: _Sides, now: Mapping[str, Repository]) -> Iterator[str]:
    for name, document in sides.after.items():
        policy = document.value
        if not isinstance(policy, BackupPolicy):
            continue
        old = sides.before.get(name) or sides.before.get(policy.renamed_from or "")
        if old is None or old.repository is None:
            continue
        if name not in sides.changed or old.repository == now.get(policy.volumes.repository):
            yield name


def _parsed(*documents: Document, of: Mapping[str, Repository]) -> ParsedFiles:
    """``of``: its Repositories."""
    return ParsedFiles((*documents, *_documents(of.values())))


def _documents(repositories: Iterable[Repository]) -> Iterator[Document]:
    for one in repositories:
        yield Document(file="", index=0, kind=str(Kind.REPOSITORY), name=one.name, value=one)
