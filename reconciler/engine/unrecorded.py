"""Runs that are on no branch: they died before they could record, or the branch lost them.

Nobody else would ever tell: a run that died for good says nothing, and a branch that was rewound
looks like a younger one. What they stored stays in restic until its time is over, and can be read
there; it is no recovery point. The next run names each once, in its log and in its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from reconciler.capture import message
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.model.errors import BackstayError
from reconciler.model.volumes import ResticSnapshot

Stored = Mapping[str, tuple[str, ...]]
"""Run id → ``<namespace>/<snapshot>`` of all that restic holds of it."""

_LOOK_BACK = 50
"""Commits that are asked which runs they are of."""
_NAMED = 5
"""So many runs, and so many snapshots of each, are named one by one."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_TAG = "run:"


def stored_by_run(namespace: str, snapshots: Iterable[ResticSnapshot]) -> Stored:
    """Which snapshots of one repository are of which run."""
    found: dict[str, tuple[str, ...]] = {}
    for snapshot in snapshots:
        for tag in snapshot.tags:
            if tag.startswith(_TAG):
                run_id = tag.removeprefix(_TAG)
                found[run_id] = (*found.get(run_id, ()), f"{namespace}/{snapshot.id[:8]}")
    return found


def merge(parts: Iterable[Stored]) -> Stored:
    """Of several repositories."""
    found: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for run_id, names in part.items():
            found[run_id] = (*found.get(run_id, ()), *names)
    return found


def tell_unrecorded(
    request: RunRequest, run: RunPorts, newest: str, dead: Iterable[str], stored: Stored
) -> tuple[str, ...]:
    """One sentence per run without a record, for the record of this one; logs each.

    ``newest`` is the run on the branch's tip, ``dead`` are runs that this one took over from. The
    branch's history is read only where something is suspicious. Never raises: it only explains.
    """
    suspects = {*dead, *_newer(stored, request.policy.name, _started(newest))} - {request.run_id}
    if not suspects:
        return ()
    try:
        commits = list(run.store.log(request.branch, limit=_LOOK_BACK))
    except BackstayError as error:
        run.reporter.warning("runs without a record can't be told", why=error.message)
        return ()
    recorded = {commit.trailers.get(message.RUN, "") for commit in commits}
    last = max(map(_started, recorded), default=_NEVER)
    lost = {*dead, *_newer(stored, request.policy.name, last)} - recorded - {request.run_id}
    for run_id in sorted(lost):
        run.reporter.warning(
            "run without a record", run=run_id, snapshots=list(stored.get(run_id, ()))
        )
    return tuple(_sentences(sorted(lost), stored))


def _sentences(lost: list[str], stored: Stored) -> Iterator[str]:
    for run_id in lost[-_NAMED:]:
        names = stored.get(run_id, ())
        kept = _listed(names) if names else "nothing"
        yield (
            f"run {run_id} is not on the branch: it died before it could record, or the branch"
            f" was rewound; restic holds of it: {kept}"
        )
    if len(lost) > _NAMED:
        yield f"{len(lost) - _NAMED} more runs are not on the branch, the oldest is {lost[0]}"


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _newer(stored: Stored, policy: str, than: datetime) -> Iterator[str]:
    return (run_id for run_id in stored if _is_of(run_id, policy) and _started(run_id) > than)


def _is_of(run_id: str, policy: str) -> bool:
    try:
        return message.parse_run_id(run_id)[0] == policy
    except ValueError:
        return False


def _started(run_id: str) -> datetime:
    """When a run began, by its id; long ago where it is none."""
    try:
        return message.parse_run_id(run_id)[1]
    except ValueError:
        return _NEVER
