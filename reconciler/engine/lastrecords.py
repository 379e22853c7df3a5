"""The newest recovery points of policies, read from the manifest store: how old are they?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.engine.context import policy_branch
from reconciler.engine.history import StoreReader, read_points, read_record_of
from reconciler.model.errors import Stalled
from reconciler.model.inventory import PointDigest
from reconciler.model.run import Outcome, RunRecord
from reconciler.plan.recoverypoints import RecoveryPoint

MOST_RECORDS = 20
"""Records that are read of one policy: what none of them holds was not copied for long."""
FARTHEST = 100
"""More are read, up to this, where the newest do not reach back as far as a promise does."""
_ANY_TIME = datetime.max.replace(tzinfo=UTC)
_STORED = (Outcome.COMPLETED, Outcome.PARTIALLY_FAILED)


@dataclass(frozen=True, slots=True)
class LastRecords:
    """Oldest first; ``older``: policy → runs whose records were not read, but may hold more."""

    points: tuple[PointDigest, ...]
    older: dict[str, int]


def read_last_records(
    store: StoreReader,
    cluster: str,
    wanted: Mapping[str, Collection[tuple[str, str]]],
    *,
    reach: Mapping[str, datetime] | None = None,
) -> LastRecords:
    """The newest records of each policy, until all that is ``wanted`` is found, or `MOST_RECORDS`.

    ``wanted``: policy → (namespace, claim), an empty claim for the manifests. ``reach``: policy →
    how far back its records are to tell at least, within `FARTHEST` of them. A policy that never
    ran has none. A record that can't be read is passed over: it is not a recovery point.
    """
    reach = reach or {}
    branches = store.branches(f"clusters/{cluster}/")
    points: list[PointDigest] = []
    older: dict[str, int] = {}
    for policy in sorted(wanted):
        branch = policy_branch(cluster, policy)
        if branch not in branches:
            continue
        runs = [run for run in read_points(store, branch) if run.outcome in _STORED]
        missing = set(wanted[policy])
        for number, run in enumerate(runs):
            far = number == 0 or runs[number - 1].started <= reach.get(policy, _ANY_TIME)
            if not missing or number == FARTHEST or (number >= MOST_RECORDS and far):
                older[policy] = len(runs) - number
                break
            found = _digest(store, policy, run)
            if found is not None:
                points.append(found)
                missing -= _held(found)
    return LastRecords(tuple(sorted(points, key=lambda one: (one.started, one.run))), older)


def _digest(store: StoreReader, policy: str, run: RecoveryPoint) -> PointDigest | None:
    try:
        record = read_record_of(store, run.commit, run_id=run.run_id, outcome=run.outcome)
    except Stalled:
        return None
    return digest_of(record, policy)


def digest_of(record: RunRecord, policy: str) -> PointDigest:
    """What a run stored: of each namespace its outcome, and the claims that have a snapshot."""
    return PointDigest(
        policy=policy,
        run=record.name,
        started=record.started,
        outcome=record.outcome,
        namespaces={part.name: part.outcome for part in record.namespaces},
        claims={
            part.name: tuple(one.claim for one in part.volumes if one.snapshot is not None)
            for part in record.namespaces
        },
    )


def _held(point: PointDigest) -> set[tuple[str, str]]:
    held = {(name, "") for name, outcome in point.namespaces.items() if outcome in _STORED}
    return held | {(name, claim) for name, claims in point.claims.items() for claim in claims}
