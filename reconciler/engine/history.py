"""Recovery points of a policy, read from the manifest store alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from reconciler.capture import message, paths, record
from reconciler.model.errors import Refused, Stalled
from reconciler.model.run import Outcome, RunRecord
from reconciler.model.store import Commit
from reconciler.plan.expiry import Expiry
from reconciler.plan.recoverypoints import RecoveryPoint, order_points


class StoreReader(Protocol):
    """The reading half of a ManifestStore; a local clone has it too."""

    def branches(self, prefix: str) -> Mapping[str, str]: ...

    def tip(self, branch: str) -> str | None: ...

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]: ...

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]: ...

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]: ...


class Promises(Protocol):
    """What expired; `reconciler.engine.expiries` reads it."""

    def of(self, policy: str, commits: Iterable[tuple[str, str]]) -> Expiry | None: ...


def read_points(
    store: StoreReader, branch: str, promises: Promises | None = None
) -> tuple[RecoveryPoint, ...]:
    """All recorded runs of a branch, newest first by start; those of a policy's former names, too.

    Of a former name: what began before the first run that said it. With ``promises`` the points
    know what expired. Raises Refused without a branch.
    """
    return points_of(read_parts(store, branch, promises=promises))


def read_parts(
    store: StoreReader,
    branch: str,
    believes: Believes | None = None,
    promises: Promises | None = None,
) -> tuple[BranchPart, ...]:
    """The same, by branch; see `lineage`. Raises Refused without a branch."""
    if store.tip(branch) is None:
        others = sorted(store.branches(branch.rpartition("/")[0] + "/"))
        known = ", ".join(name.rpartition("/")[2] for name in others if "/_" not in name)
        raise Refused(
            f"there is no branch {branch} in the manifest store",
            hint=f"policies with runs: {known}" if known else _other_clusters(store, branch),
        )
    parts = lineage(store, branch, believes)
    return tuple(parts if promises is None else (_promised(part, promises) for part in parts))


def _promised(part: BranchPart, promises: Promises) -> BranchPart:
    expiry = promises.of(part.policy, part.commits)
    if expiry is None:
        return part
    return replace(part, points=tuple(replace(point, expiry=expiry) for point in part.points))


@dataclass(frozen=True, slots=True)
class BranchPart:
    """Recorded runs of a branch that belong to a policy's history."""

    branch: str
    points: Sequence[RecoveryPoint]
    commits: Sequence[tuple[str, str]] = ()
    """Of the whole branch, newest first: (id, its run; empty where no run made it)."""

    @property
    def policy(self) -> str:
        """The name that the policy had there."""
        return self.branch.rpartition("/")[2]


Believes = Callable[[str, RecoveryPoint], bool]
"""Whether a point of this branch is to be believed what it says of a former name."""


def points_of(parts: Iterable[BranchPart]) -> tuple[RecoveryPoint, ...]:
    """All of them, newest first by start."""
    return order_points(point for part in parts for point in part.points)


def lineage(
    store: StoreReader, branch: str, believes: Believes | None = None
) -> Iterator[BranchPart]:
    """Points of the branch, and those of former names from before the first run of each heir.

    A record that once said the former name is enough, whatever later ones say. What runs under
    that name after its heir began is another policy's, that only took the name. With ``believes``
    a former name counts only where one of those that say it is believed.
    """
    folder = branch.rpartition("/")[0]
    read: dict[str, BranchPart] = {}
    taken: dict[str, datetime] = {}
    waiting = [(branch, datetime.max.replace(tzinfo=UTC))]
    while waiting:
        name, end = waiting.pop()
        if name in taken and taken[name] >= end:
            continue
        taken[name] = end
        if name not in read:
            read[name] = _points_of(store, name)
        known = [point for point in read[name].points if point.started < end]
        yield replace(read[name], points=known)
        saying: dict[str, list[RecoveryPoint]] = {}
        for point in known:
            if point.renamed_from:
                saying.setdefault(point.renamed_from, []).append(point)
        waiting.extend(
            # Who is not believed can still make it fewer points, never more.
            (f"{folder}/{former}", min(point.started for point in heirs))
            for former, heirs in saying.items()
            if believes is None or any(believes(name, point) for point in heirs)
        )


def _points_of(store: StoreReader, branch: str) -> BranchPart:
    if store.tip(branch) is None:
        return BranchPart(branch, ())
    read = [(commit.sha, _point(commit)) for commit in store.log(branch)]
    return BranchPart(
        branch,
        tuple(point for _, point in read if point is not None),
        tuple((sha, "" if point is None else point.run_id) for sha, point in read),
    )


def clusters_of(store: StoreReader) -> tuple[str, ...]:
    """Names of all clusters that have a branch, sorted."""
    return tuple(sorted({branch.split("/")[1] for branch in store.branches("clusters/")}))


def _other_clusters(store: StoreReader, branch: str) -> str:
    names = clusters_of(store)
    if not names:
        return "no run was recorded yet"
    return (
        f"no run of cluster {branch.split('/')[1]} was recorded; clusters that have branches:"
        f" {', '.join(names)}; the name is cluster.name in Config, or --cluster of log and show"
    )


def _point(commit: Commit) -> RecoveryPoint | None:
    try:
        found = message.parse_summary(commit.trailers)
    except Stalled:
        # Somebody else's commit that looks like ours; `verify` is what judges it.
        return None
    if found is None:
        return None
    return RecoveryPoint(
        run_id=found.run_id,
        commit=commit.sha,
        started=found.started,
        outcome=found.outcome,
        revision=found.revision,
        objects=found.objects,
        volumes_stored=found.volumes_stored,
        volumes_wanted=found.volumes_wanted,
        volumes_added=found.volumes_added,
        renamed_from=found.renamed_from,
    )


def read_record(store: StoreReader, commit: str) -> RunRecord:
    """The record in a commit; raises Refused, naming the commit, if none can be read."""
    data = store.read(commit, [paths.RECORD_PATH]).get(paths.RECORD_PATH)
    if data is None:
        raise Refused(f"commit {commit} holds no {paths.RECORD_PATH}: no run made it")
    try:
        return record.parse_record(data)
    except Stalled as error:
        raise Refused(
            f"the record in commit {commit} can't be read; somebody else wrote it: {error.message}",
            hint=f"only runs write here; see who did with: git show {commit[:10]}; the recovery"
            " points: backstay log",
        ) from error


def read_record_of(store: StoreReader, commit: str, *, run_id: str, outcome: Outcome) -> RunRecord:
    """The same, where the commit's trailers named a run; raises Refused if it is another's."""
    found = read_record(store, commit)
    if (found.name, found.outcome) != (run_id, outcome):
        raise Refused(
            f"commit {commit} says that it is run {run_id}, {outcome}, and its"
            f" record is of {found.name}, {found.outcome}",
            hint="somebody copied or changed a run's commit; restore another one",
        )
    return found


def copied_until(store: StoreReader) -> Callable[[RecoveryPoint], datetime]:
    """Until when a point's copies were taken, from its record; each record is read once.

    One that can't be read says its start: it is refused where it is chosen, and hides no other.
    """

    @functools.cache
    def copied(point: RecoveryPoint) -> datetime:
        try:
            return read_record_of(
                store, point.commit, run_id=point.run_id, outcome=point.outcome
            ).copied
        except Stalled:
            return point.started

    return copied


def doubt_newest(store: StoreReader, branch: str) -> str:
    """Why a branch's newest commit is none that a run made; empty where all is well."""
    for commit in store.log(branch, limit=1):
        try:
            summary = message.parse_summary(commit.trailers)
            if summary is None:
                return f"no run made the newest commit, {commit.sha}; somebody else did"
            read_record_of(store, commit.sha, run_id=summary.run_id, outcome=summary.outcome)
        except Stalled as error:
            return f"no run made the newest commit, {commit.sha}: {error.message}"
    return ""
