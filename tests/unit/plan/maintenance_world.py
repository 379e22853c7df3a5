"""Runs with records, and the restic repositories that they fill, as maintenance sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.model.policy import CLUSTER_NAMESPACE, Retention
from reconciler.model.run import (
    ClusterRef,
    Counts,
    NamespaceRecord,
    Outcome,
    PolicyRef,
    RepositoryRef,
    RunRecord,
    SecretsRecord,
    Trigger,
    VolumeRecord,
)
from reconciler.model.volumes import ResticSnapshot
from reconciler.plan.keptpoints import Facts, History, Listing, Memory
from reconciler.plan.maintenance import Line, MaintenancePlan, plan_maintenance

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLUSTER = "prod"
DAILY = Retention(keep_daily=2)
C, P, F = Outcome.COMPLETED, Outcome.PARTIALLY_FAILED, Outcome.FAILED


def days(count: float) -> datetime:
    """So many days before now."""
    return NOW - timedelta(days=count)


def run_id(policy: str, started: datetime) -> str:
    """As a run of that moment is called."""
    return f"{policy}-{started:%Y%m%d-%H%M%S}-{_hex(policy)[:5]}"


def ref(namespace: str, repository: str = "main") -> RepositoryRef:
    """The restic repository of a namespace."""
    name = f"{repository}/{namespace}"
    return RepositoryRef(name=repository, url=f"s3:s3/{name}", id=_hex(name), secret="s")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class World:
    """Change anything, then `plan`."""

    records: dict[str, list[RunRecord]] = field(default_factory=dict)
    stored: dict[tuple[str, str], list[ResticSnapshot]] = field(default_factory=dict)
    """(Repository, namespace) → snapshots."""
    retentions: dict[str, Retention] = field(default_factory=lambda: {"shop": DAILY})
    frozen: dict[str, str] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    approvals: frozenset[str] = frozenset()
    problems: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rewound: dict[str, datetime] = field(default_factory=dict)
    unlisted: set[tuple[str, str]] = field(default_factory=set)
    _count: int = 0

    def store(
        self, place: str, path: str, tags: Sequence[str], time: datetime, *,
        cluster: str = CLUSTER, repository: str = "main",
    ) -> str:  # fmt: skip
        """A snapshot in the repository of a namespace; returns its id."""
        self._count += 1
        made = ResticSnapshot(
            id=_hex(f"snapshot {self._count}"), time=time, host=f"{cluster}/{place}",
            paths=(path,), tags=tuple(tags), size=10, added=1,
        )  # fmt: skip
        self.stored.setdefault((repository, place), []).append(made)
        return made.id

    def volume(
        self, policy: str, started: datetime, namespace: str = "shop", repository: str = "main"
    ) -> str:
        """The copy of a claim."""
        tags = (f"policy:{policy}", f"run:{run_id(policy, started)}", "claim:files")
        return self.store(namespace, "/data/files", tags, started, repository=repository)

    def secrets(self, policy: str, started: datetime, repository: str = "main") -> str:
        """The Secrets of a run."""
        tags = (f"policy:{policy}", f"run:{run_id(policy, started)}")
        where = CLUSTER_NAMESPACE
        return self.store(where, "/secrets.jsonl", tags, started, repository=repository)

    def bundle(self, policy: str, started: datetime) -> str:
        """The commit of a run that could not be pushed."""
        tags = ("bundle", f"policy:{policy}", f"run:{run_id(policy, started)}")
        return self.store(CLUSTER_NAMESPACE, "/run.bundle", tags, started)

    def delivered(self, policy: str, started: datetime, when: datetime) -> str:
        """What says that it was."""
        tags = ("bundle", f"policy:{policy}", f"delivered:{run_id(policy, started)}")
        return self.store(CLUSTER_NAMESPACE, "/delivered.txt", tags, when)

    def record(
        self, policy: str, started: datetime, parts: Mapping[str, tuple[Outcome, Sequence[str]]], *,
        secrets: str = "", words: Retention | None = None, repository: str = "main",
        claims: Sequence[str] = (),
    ) -> RunRecord:  # fmt: skip
        """A record: namespace → its outcome, and the snapshots that it names, one per claim."""
        names = claims or ["files"] * max((len(ids) for _, ids in parts.values()), default=0)
        asked = words or self.retentions.get(policy) or DAILY
        made = RunRecord(
            name=run_id(policy, started),
            policy=PolicyRef(name=policy, revision="main@sha1:4", digest="sha256:1"),
            cluster=ClusterRef(name=CLUSTER, uid="u", version="1"),
            trigger=Trigger.SCHEDULE, started=started, finished=started, outcome=C,
            namespaces=tuple(
                NamespaceRecord(
                    name=name, outcome=outcome, captured=started, objects=Counts(),
                    volumes=tuple(
                        VolumeRecord(
                            claim=claim, copy_method="Direct", why="", outcome=outcome,
                            repository=ref(name, repository), snapshot=snapshot,
                        )
                        for claim, snapshot in zip(names, ids, strict=False)
                    ),
                )
                for name, (outcome, ids) in parts.items()
            ),
            secrets=SecretsRecord(
                mode="Restic", repository=ref(CLUSTER_NAMESPACE, repository), snapshot=secrets
            ) if secrets else None,
            retention=asked.words(),
        )  # fmt: skip
        self.records.setdefault(policy, []).append(made)
        return made

    def run(
        self, started: datetime, outcome: Outcome = C, *, policy: str = "shop",
        namespace: str = "shop", words: Retention | None = None,
    ) -> tuple[str, str]:  # fmt: skip
        """A whole run of one namespace: (volume's snapshot, Secrets' snapshot)."""
        ids = self.volume(policy, started, namespace), self.secrets(policy, started)
        parts = {namespace: (outcome, ids[:1])}
        self.record(policy, started, parts, secrets=ids[1], words=words)
        return ids

    def facts(self) -> Facts:
        """What is known of all that."""
        histories = {
            policy: History(
                policy=policy,
                commits=frozenset({f"tip-{policy}"}),
                records=tuple(records),
                problems=self.problems.get(policy, ()),
                rewound=self.rewound.get(policy),
            )
            for policy, records in self.records.items()
        }
        seen = {policy: Memory(tips=(f"tip-{policy}",), since=days(4000)) for policy in histories}
        listings = tuple(
            Listing(
                id=ref(namespace, repository).id, repository=repository,
                namespaces=frozenset({namespace}), url=ref(namespace, repository).url,
                snapshots=tuple(snapshots),
            )
            for (repository, namespace), snapshots in self.stored.items()
            if (repository, namespace) not in self.unlisted
        )  # fmt: skip
        return Facts(
            cluster=CLUSTER, histories=histories, listings=listings, retentions=self.retentions,
            frozen=self.frozen, memories={**seen, **self.memories}, approvals=self.approvals,
        )  # fmt: skip

    def plan(self, repository: str = "main") -> MaintenancePlan:
        """What maintenance would do now."""
        return plan_maintenance(self.facts(), repository, NOW)

    def removed(self) -> set[str]:
        """Snapshots that would go."""
        return {gone for place in self.plan().places for gone in place.removed}

    def forget(self, ids: set[str]) -> None:
        """As restic does."""
        for place, snapshots in self.stored.items():
            self.stored[place] = [one for one in snapshots if one.id not in ids]


def line_of(plan: MaintenancePlan, snapshot: str) -> Line:
    """What is said of one snapshot."""
    lines = [line for place in plan.places for line in place.lines]
    (found,) = [line for line in lines if line.snapshot.id == snapshot]
    return found
