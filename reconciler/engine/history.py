"""Recovery points of a policy, read from the manifest store alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from reconciler.capture import message, paths, record
from reconciler.model.errors import Refused, Stalled
from reconciler.model.run import RunRecord
from reconciler.model.store import Commit
from reconciler.plan.recoverypoints import RecoveryPoint, order_points


class StoreReader(Protocol):
    """The reading half of a ManifestStore; a local clone has it too."""

    def branches(self, prefix: str) -> Mapping[str, str]: ...

    def tip(self, branch: str) -> str | None: ...

    def tree(self, commit: str, prefix: str = "") -> Mapping[str, str]: ...

    def read(self, commit: str, paths: Sequence[str]) -> Mapping[str, bytes]: ...

    def log(self, branch: str, *, limit: int = 0) -> Iterator[Commit]: ...


def read_points(store: StoreReader, branch: str) -> tuple[RecoveryPoint, ...]:
    """All recorded runs of a branch, newest first by start. Raises Refused without a branch."""
    if store.tip(branch) is None:
        others = sorted(store.branches(branch.rpartition("/")[0] + "/"))
        known = ", ".join(name.rpartition("/")[2] for name in others if "/_" not in name)
        raise Refused(
            f"there is no branch {branch} in the manifest store",
            hint=f"policies with runs: {known}" if known else "no run was recorded yet",
        )
    return order_points(_points(store.log(branch)))


def _points(commits: Iterable[Commit]) -> Iterator[RecoveryPoint]:
    for commit in commits:
        try:
            found = message.parse_summary(commit.trailers)
        except Stalled:
            # Somebody else's commit that looks like ours; `verify` is what judges it.
            continue
        if found is not None:
            counts = found.objects
            yield RecoveryPoint(
                run_id=found.run_id,
                commit=commit.sha,
                started=found.started,
                outcome=found.outcome,
                revision=found.revision,
                objects=counts,
                volumes_stored=found.volumes_stored,
                volumes_wanted=found.volumes_wanted,
                volumes_added=found.volumes_added,
            )


def read_record(store: StoreReader, commit: str) -> RunRecord:
    """The record in a commit; raises Refused if it holds none."""
    data = store.read(commit, [paths.RECORD_PATH]).get(paths.RECORD_PATH)
    if data is None:
        raise Refused(f"commit {commit} holds no {paths.RECORD_PATH}: no run made it")
    return record.parse_record(data, where=f"{commit[:10]}:{paths.RECORD_PATH}")
