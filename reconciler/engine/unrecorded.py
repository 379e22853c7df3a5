"""Runs that are on no branch: they died before they could record, or the branch lost them.

Nobody else would ever tell: a run that died for good says nothing, and a branch that was rewound
looks like a younger one. What they stored stays in restic until its time is over, and can be read
there; it is no recovery point. The next run names each once, in its log and in its record; where
that one fails, the next that does not names it again, because only then restic is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from reconciler.capture import message
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.model.errors import BackstayError
from reconciler.model.run import Outcome
from reconciler.model.store import Commit
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
    request: RunRequest,
    run: RunPorts,
    newest: str,
    dead: Iterable[str],
    stored: Stored | None,
    unasked: Sequence[str] = (),
) -> tuple[str, ...]:
    """One sentence per run without a record, for the record of this one; logs each.

    ``newest`` is the run on the branch's tip, empty where that has Failed; ``dead`` are runs that
    this one took over from. ``stored`` is None where restic was not asked, ``unasked`` are
    namespaces whose repository was not. The branch's history is read only where something is
    suspicious. Never raises: it only explains.
    """
    known = stored or {}
    suspects = {*dead, *_newer(known, request.policy.name, _started(newest))} - {request.run_id}
    if not suspects:
        return ()
    try:
        commits = list(run.store.log(request.branch, limit=_LOOK_BACK))
    except BackstayError as error:
        run.reporter.warning("runs without a record can't be told", why=error.message)
        return ()
    recorded = {commit.trailers.get(message.RUN, "") for commit in commits}
    last = _last_asked(commits)
    lost = {*dead, *_newer(known, request.policy.name, last)} - recorded - {request.run_id}
    for run_id in sorted(lost):
        run.reporter.warning(
            "run without a record", run=run_id, snapshots=list(known.get(run_id, ()))
        )
    return tuple(_sentences(sorted(lost), stored, unasked))


def _last_asked(commits: Sequence[Commit]) -> datetime:
    """When the last run began that asked restic; one that Failed did not, or not for all."""
    runs = [commit.trailers for commit in commits if message.RUN in commit.trailers]
    failed = str(Outcome.FAILED)
    asked = [_started(one[message.RUN]) for one in runs if one.get(message.OUTCOME) != failed]
    if not asked and len(commits) == _LOOK_BACK:
        # Many have Failed in a row. What is older than all of them was told, or is not known here.
        asked = [min(_started(one[message.RUN]) for one in runs)] if runs else []
    return max(asked, default=_NEVER)


def _sentences(lost: list[str], stored: Stored | None, unasked: Sequence[str]) -> Iterator[str]:
    for run_id in lost[-_NAMED:]:
        yield (
            f"run {run_id} is not on the branch: it died before it could record, or the branch"
            f" was rewound; {_held(run_id, stored, unasked)}"
        )
    if len(lost) > _NAMED:
        yield f"{len(lost) - _NAMED} more runs are not on the branch, the oldest is {lost[0]}"


def _held(run_id: str, stored: Stored | None, unasked: Sequence[str]) -> str:
    """What restic has of a run, as far as it was asked: nothing is said that nobody knows."""
    if stored is None:
        return "restic was not asked what it holds of it: the next run that does not fail tells"
    names = stored.get(run_id, ())
    text = f"restic holds of it: {_listed(names) if names else 'nothing'}"
    return f"{text}; not asked: the repository of {_listed(tuple(unasked))}" if unasked else text


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
