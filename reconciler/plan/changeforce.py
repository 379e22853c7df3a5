"""What is in force at a revision: its good documents, and for a broken one what was there before.

As the controller does it: a policy or Repository with a problem keeps its last good version, and
so does what refers to it. The base of a change stands for that version here. An Exemption with a
problem excuses nothing until it is mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from reconciler.model.change import Revision
from reconciler.model.policy import (
    BackupPolicy,
    Document,
    Exemption,
    Kind,
    Repository,
    Value,
)

T = TypeVar("T", bound=Value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Force:
    """Good documents by name; ``elsewhere``: policies of other clusters → why."""

    policies: Mapping[str, BackupPolicy]
    repositories: Mapping[str, Repository]
    exemptions: Mapping[str, Exemption]
    elsewhere: Mapping[str, str]
    uncertain: frozenset[str] = frozenset()
    """Policies of some clusters, where nobody said which one this is."""
    kept: frozenset[str] = frozenset()
    """Policies that are broken at this revision, and stay what they were before."""

    @property
    def all(self) -> tuple[BackupPolicy, ...]:
        """Every policy that this cluster takes, by name."""
        return tuple(one for _, one in sorted(self.policies.items()))

    @property
    def active(self) -> tuple[BackupPolicy, ...]:
        """The policies that start runs, by name; not those of which nobody knows."""
        return tuple(
            one
            for name, one in sorted(self.policies.items())
            if not one.suspend and name not in self.uncertain
        )


def base_force(base: Revision, *, cluster: str) -> Force:
    """What the base's own files say; ``cluster`` is empty where nobody named one."""
    return _force(base.parsed.documents, frozenset(), _uncertain(cluster, base))


def head_force(base: Revision, head: Revision, *, cluster: str) -> Force:
    """What the head's files say, and the base's where a policy or Repository has a problem."""
    good = [one for one in head.parsed.documents if one.value is not None]
    kept = [
        one
        for one in base.parsed.documents
        if one.value is not None and not isinstance(one.value, Exemption) and keeps(head, one)
    ]
    names = frozenset(one.name for one in kept if one.kind == Kind.BACKUP_POLICY)
    return _force((*good, *kept), names, _uncertain(cluster, base, head))


def _uncertain(cluster: str, *revisions: Revision) -> frozenset[str]:
    if cluster:
        return frozenset()
    return frozenset(
        name
        for revision in revisions
        for (_, name), written in revision.written.items()
        if any(one.path.partition(".")[0] == "clusters" for one in written.fields)
    )


def keeps(head: Revision, document: Document) -> bool:
    """Whether the head has a problem where a good document of the base stood."""
    found = head.document(document.kind, document.name)
    if found is not None:
        return found.value is None
    return any(not one.name and one.file == document.file for one in head.parsed.broken)


def _force(documents: Iterable[Document], kept: frozenset[str], uncertain: frozenset[str]) -> Force:
    documents = list(documents)
    here = [one for one in documents if not one.elsewhere]
    return Force(
        policies=dict(_of(BackupPolicy, here)),
        repositories=dict(_of(Repository, documents)),
        exemptions=dict(_of(Exemption, documents)),
        elsewhere={
            one.name: one.elsewhere
            for one in documents
            if one.elsewhere and one.kind == Kind.BACKUP_POLICY
        },
        uncertain=uncertain,
        kept=kept,
    )


def _of(kind: type[T], documents: Iterable[Document]) -> Iterator[tuple[str, T]]:
    for document in documents:
        if isinstance(document.value, kind):
            yield document.name, document.value
