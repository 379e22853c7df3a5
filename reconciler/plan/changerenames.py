"""Which policy of a change was which one before: those that say so, those that only look like it.

The controller's rules of `reconciler.plan.renames`: policies of folders with different grants, by
the Config that both revisions are read with, are never the same one. What is compared before and
after (retention, schedule, repository) is compared across a rename, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.change import Revision
from reconciler.model.grants import Grant
from reconciler.model.inventory import Inventory
from reconciler.model.policy import BackupPolicy, Document, Kind
from reconciler.plan.changeforce import keeps
from reconciler.plan.renames import selector_key

_POLICY = str(Kind.BACKUP_POLICY)


@dataclass(frozen=True, slots=True)
class Heir:
    """The policy that one which goes becomes; ``said``: its `renamedFrom` names just that one."""

    name: str
    said: bool
    written: str = ""
    """The `renamedFrom` that it has, whatever it names."""
    added: bool = True
    """Whether the base has no policy of the heir's name, which would be its own past."""


@dataclass(frozen=True, slots=True)
class ChangeRenames:
    """Former name → heir, and the policies whose `renamedFrom` names nobody."""

    heirs: Mapping[str, Heir] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Policy → the name that the base does not have."""
    strangers: Mapping[str, str] = field(default_factory=dict)
    """Policy that goes → the one that says `renamedFrom`, of a folder with another grant."""

    @property
    def former(self) -> dict[str, str]:
        """New policy → its former name; of several that look like it the first."""
        found: dict[str, str] = {}
        for old, heir in sorted(self.heirs.items(), key=lambda one: (not one[1].said, one[0])):
            if heir.added:
                found.setdefault(heir.name, old)
        return found

    def carried(self, before: Iterable[BackupPolicy]) -> tuple[BackupPolicy, ...]:
        """The policies of the base, and each that goes under its heir's name, too."""
        known = {policy.name: policy for policy in before}
        heirs = [replace(known[old], name=new) for new, old in self.former.items() if old in known]
        names = {heir.name for heir in heirs}
        return (*(one for name, one in known.items() if name not in names), *heirs)


def followed(
    inventory: Inventory | None, renames: ChangeRenames, base: Revision, head: Revision
) -> Inventory | None:
    """An inventory in which a policy has the recovery points of its former names, too.

    Not those from after its own first one that is known: they are of another policy, which only
    took the name.
    """
    links = {**_links(base), **renames.former, **_links(head)}
    for gone, stranger in renames.strangers.items():
        if links.get(stranger) == gone:
            del links[stranger]
    if inventory is None or not links:
        return inventory
    points = list(inventory.points)
    older = dict(inventory.older_points)
    for name in sorted(links):
        first = min((one.started for one in inventory.points_of(name)), default=None)
        seen, former = {name}, links.get(name)
        while former and former not in seen:
            known = inventory.points_of(former)
            earlier = [one for one in known if first is None or one.started < first]
            points += [replace(one, policy=name) for one in earlier]
            older[name] = older.get(name, 0) + inventory.older_points.get(former, 0)
            first = min((one.started for one in earlier), default=first)
            seen.add(former)
            former = links.get(former)
    points.sort(key=lambda one: (one.started, one.run))
    return replace(
        inventory, points=tuple(points), older_points={k: v for k, v in older.items() if v}
    )


def _links(revision: Revision) -> dict[str, str]:
    return {
        one.name: one.value.renamed_from
        for one in revision.parsed.documents
        if isinstance(one.value, BackupPolicy) and one.value.renamed_from
    }


def removed_policies(base: Revision, head: Revision) -> Iterator[Document]:
    """Policies for this cluster that the head has not, good or broken."""
    for document in base.parsed.documents:
        if document.kind != Kind.BACKUP_POLICY or not document.name or document.elsewhere:
            continue
        if head.document(_POLICY, document.name) is None and not keeps(head, document):
            yield document


def change_renames(base: Revision, head: Revision) -> ChangeRenames:
    """What is renamed between two revisions; the order of files does not matter."""
    policies = {
        one.name: one.value
        for one in head.parsed.documents
        if isinstance(one.value, BackupPolicy) and head.document(_POLICY, one.name) is one
    }
    added = {
        name: policy for name, policy in policies.items() if base.document(_POLICY, name) is None
    }
    said = {one.renamed_from: name for name, one in sorted(policies.items()) if one.renamed_from}
    unknown = {
        name: policy.renamed_from
        for name, policy in sorted(policies.items())
        if policy.renamed_from
        and base.document(_POLICY, policy.renamed_from) is None
        and not _said_before(base, name, policy.renamed_from)
    }
    free = {
        name: policy
        for name, policy in sorted(added.items())
        if not policy.renamed_from or name in unknown
    }
    heirs: dict[str, Heir] = {}
    strangers: dict[str, str] = {}
    for document in removed_policies(base, head):
        grant = base.grant(document)
        if document.name in said:
            name = said[document.name]
            if _grant_of(head, name) != grant:
                strangers[document.name] = name
            else:
                heirs[document.name] = Heir(name, True, document.name, name in added)
        elif isinstance(document.value, BackupPolicy):
            wanted = selector_key(document.value.selector.namespaces)
            like = (
                name
                for name, one in free.items()
                if selector_key(one.selector.namespaces) == wanted
                and _grant_of(head, name) == grant
            )
            if name := next(like, ""):
                heirs[document.name] = Heir(name, False, free[name].renamed_from or "")
    return ChangeRenames(heirs, unknown, strangers)


def _grant_of(head: Revision, name: str) -> Grant | None:
    document = head.document(_POLICY, name)
    return head.grant(document) if document else None


def _said_before(base: Revision, name: str, former: str) -> bool:
    document = base.document(_POLICY, name)
    value = document.value if document else None
    return isinstance(value, BackupPolicy) and value.renamed_from == former
