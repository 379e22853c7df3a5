"""The commit of a run that could not be pushed, kept as a Git bundle in restic.

It lies in the repository of `_cluster`, which no mover ever opens: encrypted, and straight from
git's output into restic's input, so nothing is on a disk. What was delivered is not removed (a
run may have no right to): one small snapshot more says which runs were.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler import ports
from reconciler.capture import message
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.repositories import OpenRepository
from reconciler.model.errors import BackstayError, Stalled
from reconciler.model.policy import CLUSTER_NAMESPACE
from reconciler.model.run import RunRecord
from reconciler.model.volumes import ResticSnapshot

BUNDLE_PATH = "/run.bundle"
DELIVERED_PATH = "/delivered.txt"
TAG = "bundle"
_POLICY = "policy:"
_RUN = "run:"
_DELIVERED = "delivered:"


class NotPushed(BackstayError):
    """A run's commit waits as a bundle: it is kept, and on no branch yet."""

    exit_code = 3
    reason = "NotPushed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A bundle that nobody has delivered, as restic lists it."""

    run_id: str
    policy: str
    snapshot: str
    stored: datetime

    @property
    def started(self) -> datetime:
        """When its run began."""
        return message.parse_run_id(self.run_id)[1]


def keep(
    request: RunRequest,
    run: RunPorts,
    repository: OpenRepository,
    made: RunRecord,
    commit: str,
    parent: str | None,
    why: BackstayError,
) -> NotPushed:
    """Stores the bundle, proves that restic lists it, and says where it is. Raises what fails."""
    host, policy = _host(request.cluster), request.policy.name
    tags = (TAG, f"{_POLICY}{policy}", f"{_RUN}{made.name}")
    stored = repository.backend.backup_stream(
        run.store.bundle(request.branch, commit, parent), host=host, path=BUNDLE_PATH, tags=tags
    )
    if stored.id not in {found.id for found in repository.backend.snapshots(tags=tags, host=host)}:
        raise Stalled(
            f"restic reported snapshot {stored.id} of a bundle and does not list it in"
            f" {repository.ref.url}",
            hint="look at the storage: something removes what restic writes",
        )
    run.reporter.warning(
        "run not pushed, its commit waits as a bundle",
        run=made.name, repository=repository.ref.url, snapshot=stored.id, why=why.message,
    )  # fmt: skip
    return NotPushed(
        f"run {made.name} ({made.outcome}) is not on its branch yet: its commit waits as a bundle"
        f" in {repository.ref.url}, snapshot {stored.id[:8]}: {why.message}",
        hint=f"the next run of the policy delivers it; by hand: backstay deliver {policy}",
    )


def waiting_in(backend: ports.VolumeBackend, cluster: str, policy: str = "") -> tuple[Waiting, ...]:
    """Bundles of a repository that nobody has delivered, oldest run first. One question."""
    tags = (TAG, f"{_POLICY}{policy}") if policy else (TAG,)
    return waiting_of(backend.snapshots(tags=tags, host=_host(cluster)))


def waiting_of(snapshots: Iterable[ResticSnapshot]) -> tuple[Waiting, ...]:
    """The same, of snapshots that are known. Of a run that has two, the later one."""
    found: dict[str, Waiting] = {}
    delivered: set[str] = set()
    for snapshot in snapshots:
        if TAG not in snapshot.tags:
            continue
        delivered.update(_values(snapshot, _DELIVERED))
        run_id, policy = _values(snapshot, _RUN)[-1:], _values(snapshot, _POLICY)[-1:]
        if snapshot.paths == (BUNDLE_PATH,) and run_id and policy and _is_run(*run_id, *policy):
            found[run_id[0]] = Waiting(
                run_id=run_id[0], policy=policy[0], snapshot=snapshot.id, stored=snapshot.time
            )
    waiting = (one for run_id, one in found.items() if run_id not in delivered)
    return tuple(sorted(waiting, key=lambda one: (one.started, one.run_id)))


def mark_delivered(
    backend: ports.VolumeBackend, cluster: str, policy: str, run_ids: Sequence[str]
) -> None:
    """Says once and for all that these runs are on their branch. One process."""
    text = "".join(f"{run_id}\n" for run_id in run_ids).encode()
    tags = (TAG, f"{_POLICY}{policy}", *(f"{_DELIVERED}{run_id}" for run_id in run_ids))
    backend.backup_stream(iter([text]), host=_host(cluster), path=DELIVERED_PATH, tags=tags)


def _host(cluster: str) -> str:
    return f"{cluster}/{CLUSTER_NAMESPACE}"


def _values(snapshot: ResticSnapshot, prefix: str) -> list[str]:
    return [tag.removeprefix(prefix) for tag in snapshot.tags if tag.startswith(prefix)]


def _is_run(run_id: str, policy: str) -> bool:
    try:
        return message.parse_run_id(run_id)[0] == policy
    except ValueError:
        return False
