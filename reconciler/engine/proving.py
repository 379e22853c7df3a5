"""What movers reported is asked of restic again: the repository is the authority.

A snapshot that a mover names and the repository does not list, or lists under another host, path
or tag, is not a backup. A snapshot of this run that no mover names is told, and left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.patience import Patience, insist
from reconciler.engine.repositories import ENOUGH, PATIENCE, OpenRepository, Repositories
from reconciler.engine.runplan import RunPlan, is_copied
from reconciler.engine.unrecorded import Stored, merge, stored_by_run
from reconciler.engine.volumes import Moves
from reconciler.model.errors import BackstayError, Interrupted, Transient
from reconciler.model.policy import CopyMethod
from reconciler.model.run import Outcome, VolumeRecord
from reconciler.model.volumes import MoveResult, MoveState, ResticSnapshot
from reconciler.plan.selection import VolumeDecision

_OUTCOMES = {
    MoveState.COMPLETED: Outcome.COMPLETED,
    MoveState.PARTIALLY_FAILED: Outcome.PARTIALLY_FAILED,
    MoveState.FAILED: Outcome.FAILED,
}


@dataclass(frozen=True, slots=True)
class ProvenVolumes:
    """Volume records by namespace, in the order of the plan, and what people should know."""

    records: Mapping[str, tuple[VolumeRecord, ...]]
    warnings: tuple[str, ...]
    by_run: Stored
    """What the repositories hold of which run of the policy."""
    unasked: tuple[str, ...]
    """Namespaces of the plan whose repository could not be asked."""


def volume_tags(policy: str, run_id: str, claim: str) -> tuple[str, ...]:
    """Tags of a volume's snapshot."""
    return (f"policy:{policy}", f"run:{run_id}", f"claim:{claim}")


def prove_volumes(
    request: RunRequest,
    run: RunPorts,
    plan: RunPlan,
    opened: Repositories,
    moves: Moves,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> ProvenVolumes:
    """One record per claim of the plan; one question to each restic repository.

    A storage that is away is waited for: what was copied is there, and only not proven yet. Raises
    Interrupted when ``stopped`` turns true meanwhile.
    """
    ask = _Asking(request, run, stopped)
    records: dict[str, tuple[VolumeRecord, ...]] = {}
    warnings: list[str] = []
    stored: list[Stored] = []
    unasked = list(opened.failed)
    for namespace, decisions in plan.decisions.items():
        repository = opened.opened.get(namespace)
        every, problem = ask.listed(namespace, repository)
        stored.append(stored_by_run(namespace, every))
        unasked += [namespace] if problem else []
        own = f"run:{request.run_id}"
        listed = {snapshot.id: snapshot for snapshot in every if own in snapshot.tags}
        made = []
        for decision in decisions:
            result = moves.results.get((namespace, decision.claim.name))
            made.append(
                _record(decision, repository, opened.failed.get(namespace), result)
                if result is None or not result.snapshot or result.state is MoveState.FAILED
                else _prove(request, decision, repository, result, listed, problem)
            )
        records[namespace] = tuple(made)
        reported = {result.snapshot for result in moves.results.values()}
        warnings += [
            f"restic lists snapshot {found} of this run in {namespace}, and it is no backup: "
            + ("its copy failed, or is not proven" if found in reported else "no mover reported it")
            for found in sorted(set(listed) - {one.snapshot for one in made})
        ]
    return ProvenVolumes(records, tuple(warnings), merge(stored), tuple(unasked))


class _Asking:
    """Asks repositories what they hold of the policy; for a while, if their storage is away."""

    def __init__(self, request: RunRequest, run: RunPorts, stopped: Callable[[], bool]) -> None:
        self._policy = request.policy.name
        self._run = run
        self._stopped = stopped
        self._until = min(request.deadline, run.clock.now() + PATIENCE)
        self._away: list[Transient] = []

    def listed(
        self, namespace: str, repository: OpenRepository | None
    ) -> tuple[tuple[ResticSnapshot, ...], str]:
        """All that the repository holds of the policy, and why it could not be asked."""
        if repository is None:
            return (), ""
        try:
            return self._ask(namespace, repository), ""
        except Interrupted:
            raise
        except BackstayError as error:
            self._away = [*self._away, error] if isinstance(error, Transient) else []
            self._run.reporter.warning(
                "snapshots not proven", namespace=namespace, why=error.message
            )
            return (), error.message

    def _ask(self, namespace: str, repository: OpenRepository) -> tuple[ResticSnapshot, ...]:
        if len(self._away) >= ENOUGH:
            raise self._away[-1]
        patience = Patience(
            what=f"proving the snapshots of {namespace}",
            clock=self._run.clock,
            reporter=self._run.reporter,
            deadline=self._until,
            stopped=self._stopped,
        )
        tags = (f"policy:{self._policy}",)
        found = insist(lambda: repository.backend.snapshots(tags=tags), patience)
        self._away = []
        return found


def _prove(
    request: RunRequest,
    decision: VolumeDecision,
    repository: OpenRepository | None,
    result: MoveResult,
    listed: Mapping[str, ResticSnapshot],
    problem: str,
) -> VolumeRecord:
    record = _record(decision, repository, None, result)
    flaw = problem or _flaw(request, decision, listed.get(result.snapshot))
    if not flaw:
        return record
    reason = f"snapshot {result.snapshot} is not proven: {flaw}"
    return replace(record, outcome=Outcome.FAILED, reason=reason, snapshot=None)


def _flaw(request: RunRequest, decision: VolumeDecision, snapshot: ResticSnapshot | None) -> str:
    """What differs between a snapshot and what the record is going to say of it."""
    claim = decision.claim
    if snapshot is None:
        return "restic does not list it"
    host = f"{request.cluster}/{claim.namespace}"
    if snapshot.host != host:
        return f"its host is {snapshot.host}, not {host}"
    if snapshot.paths != (f"/data/{claim.name}",):
        return f"its paths are {', '.join(snapshot.paths)}"
    missing = set(volume_tags(request.policy.name, request.run_id, claim.name))
    missing -= set(snapshot.tags)
    return f"it lacks the tags {', '.join(sorted(missing))}" if missing else ""


def _record(
    decision: VolumeDecision,
    repository: OpenRepository | None,
    failed: BackstayError | None,
    result: MoveResult | None,
) -> VolumeRecord:
    claim = decision.claim
    base = VolumeRecord(
        claim=claim.name,
        copy_method=str(decision.method),
        why=decision.why,
        outcome=Outcome.SKIPPED,
        capacity=claim.size,
        storage_class=claim.storage_class,
    )
    if decision.method is CopyMethod.SKIP:
        return base
    if not is_copied(decision):
        return replace(base, outcome=Outcome.FAILED, reason=decision.why)
    if failed is not None:
        return replace(base, outcome=Outcome.FAILED, reason=failed.message)
    if result is None or repository is None:
        return replace(base, outcome=Outcome.FAILED, reason="no mover ran")
    return replace(
        base,
        outcome=_outcome(result),
        reason=_reason(result),
        taken=_time(result.taken or result.started),
        repository=repository.ref,
        # What a failed copy left in the repository is no backup, whatever its id is.
        snapshot=(result.snapshot or None) if result.state is not MoveState.FAILED else None,
        files=result.files,
        size=result.size,
        added=result.added,
        took=result.took,
    )


def _outcome(result: MoveResult) -> Outcome:
    return _OUTCOMES[result.state] if result.snapshot else Outcome.FAILED


def _reason(result: MoveResult) -> str:
    if result.state is MoveState.COMPLETED:
        return "" if result.snapshot else "the mover ended well and named no snapshot"
    parts = [result.message] if result.message else []
    if result.error_count:
        count = result.error_count
        told = "1 error: " if count == 1 else f"{count} errors, first: "
        parts.append(told + "; ".join(result.errors[:3]))
    return ": ".join(parts) or str(result.state.value)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        # Empty, or the word of a mover of another version: then nobody knows.
        return None
