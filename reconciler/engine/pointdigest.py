"""A digest of each policy's recovery points, read from its branch: what is new, and no more.

A branch is asked for by its tip, a record is read once. What a single call reads is bounded in
records and in time; what it left is read by the next one, newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler import ports
from reconciler.capture import message
from reconciler.engine.context import policy_branch
from reconciler.engine.history import StoreReader, read_record_of
from reconciler.model.errors import Stalled
from reconciler.model.inventory import PointDigest
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.store import Commit
from reconciler.plan.inventoryfiles import MOST_POINTS, PolicyPoints, bound

_FEW = 20
"""Commits that are looked at before the whole history of a branch is."""


@dataclass(slots=True)
class Budget:
    """What may still be read. ``policy``: good records of one policy; ``until``: none after it."""

    clock: ports.Clock
    until: datetime
    policy: int = 20
    stopped: Callable[[], bool] = lambda: False

    @property
    def spent(self) -> bool:
        """Whether nothing more is to be read."""
        return self.stopped() or self.clock.now() >= self.until


def policy_tips(store: StoreReader, cluster: str) -> dict[str, str]:
    """Policy → the tip of its branch, of all policies that ever had a run. One connection."""
    prefix = policy_branch(cluster, "")
    found = {name.removeprefix(prefix): tip for name, tip in store.branches(prefix).items()}
    return {name: tip for name, tip in sorted(found.items()) if name[:1] != "_" and "/" not in name}


def digest_policy(
    store: StoreReader, branch: str, old: PolicyPoints, budget: Budget
) -> PolicyPoints:
    """The points of a branch, knowing those of ``old``.

    Its ``tip`` is empty where the budget did not suffice: then there is more to read.
    """
    tip = store.tip(branch)
    if tip is None:
        return PolicyPoints(policy=old.policy)
    fresh = _since(store.log(branch, limit=_FEW), old.tip) if old.tip else None
    if fresh is not None:
        have, older = {point.run: point for point in old.points}, old.older
        wanted = [*_runs(old.policy, fresh).items()]
    else:
        # Never read, not read to its end, or not the same history any more.
        runs = sorted(
            _runs(old.policy, store.log(branch)).items(),
            key=lambda item: item[1].started,
            reverse=True,
        )
        wanted, older = runs[:MOST_POINTS], max(0, len(runs) - MOST_POINTS)
        have = {point.run: point for point in old.points if point.run in dict(wanted)}
    left = _read_all(store, wanted, have, budget)
    found = PolicyPoints(
        policy=old.policy,
        tip="" if left else tip,
        older=older + left,
        points=tuple(sorted(have.values(), key=lambda point: (point.started, point.run))),
    )
    return bound(found)


@dataclass(frozen=True, slots=True)
class _Run:
    commit: str
    started: datetime
    outcome: Outcome


def _runs(policy: str, commits: Iterable[Commit]) -> dict[str, _Run]:
    """Run → its newest commit; what no run of this policy made is passed over."""
    found: dict[str, _Run] = {}
    for commit in commits:
        try:
            told = message.parse_summary(commit.trailers)
        except Stalled:
            continue
        if told is not None and told.policy == policy:
            found.setdefault(told.run_id, _Run(commit.sha, told.started, told.outcome))
    return found


def _since(commits: Iterable[Commit], tip: str) -> list[Commit] | None:
    """Those above ``tip``, newest first; None where it is not among them."""
    found: list[Commit] = []
    for commit in commits:
        if commit.sha == tip:
            return found
        found.append(commit)
    return None


def _read_all(
    store: StoreReader,
    wanted: Iterable[tuple[str, _Run]],
    have: dict[str, PointDigest],
    budget: Budget,
) -> int:
    """Adds what is not there yet to ``have``; how many were left unread."""
    missing = [(name, run) for name, run in wanted if name not in have]
    good = 0
    for count, (name, run) in enumerate(missing):
        if good >= budget.policy or budget.spent:
            return len(missing) - count
        try:
            record = read_record_of(store, run.commit, run_id=name, outcome=run.outcome)
        except Stalled:
            # No recovery point: nobody can restore from it either, and `log` and `doctor` tell. It
            # is not remembered either, so it must not count, or many would hide the older ones.
            continue
        have[name] = digest_record(record)
        good += 1
    return 0


def digest_record(record: RunRecord) -> PointDigest:
    """What retention and coverage need of a record."""
    held = {
        part.name: tuple(
            sorted(
                volume.claim
                for volume in part.volumes
                if volume.outcome is Outcome.COMPLETED and volume.snapshot
            )
        )
        for part in record.namespaces
    }
    return PointDigest(
        policy=record.policy.name,
        run=record.name,
        started=record.started,
        outcome=record.outcome,
        namespaces={part.name: part.outcome for part in record.namespaces},
        claims={name: claims for name, claims in held.items() if claims},
    )


def read_points(
    store: StoreReader,
    cluster: str,
    budget: Budget,
    known: Mapping[str, PolicyPoints] = {},
    *,
    only: Collection[str] | None = None,
) -> tuple[PolicyPoints, ...]:
    """All policies' points, or ``only`` some policies', from the manifest store itself, for a
    command at a terminal.

    ``budget`` bounds it: a policy's newest points come first, and ``older`` counts the others.
    """
    found = []
    for policy, tip in policy_tips(store, cluster).items():
        if only is not None and policy not in only:
            continue
        old = known.get(policy, PolicyPoints(policy=policy))
        if old.tip != tip:
            old = digest_policy(store, policy_branch(cluster, policy), old, budget)
        found.append(old)
    return tuple(found)
