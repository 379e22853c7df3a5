"""The record of a run, put together from what its parts proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.engine.capturing import CapturedTree
from reconciler.engine.context import RunPorts, RunRequest
from reconciler.engine.hooks import NOTHING, Hooked
from reconciler.engine.proving import ProvenVolumes
from reconciler.engine.runplan import RunPlan
from reconciler.model.cluster import ClusterIdentity, Namespace
from reconciler.model.errors import BackstayError
from reconciler.model.policy import CopyMethod
from reconciler.model.run import (
    ClusterRef,
    Counts,
    FailureRecord,
    NamespaceRecord,
    Outcome,
    RunRecord,
    SecretsRecord,
    VolumeRecord,
)
from reconciler.plan import outcomes
from reconciler.plan.selection import decide_volume

_REPLACED = "it was deleted and made again while the run worked"
_TOO_LATE = "it appeared after the run had begun: its data will be in the next one"


def make_record(
    request: RunRequest,
    run: RunPorts,
    identity: ClusterIdentity,
    plan: RunPlan,
    captured: CapturedTree,
    secrets: SecretsRecord,
    proven: ProvenVolumes,
    warnings: Iterable[str] = (),
    hooked: Hooked = NOTHING,
) -> RunRecord:
    """The whole record; its outcome is the worst of its namespaces."""
    namespaces = [
        _namespace(
            chosen.namespace,
            captured,
            (
                *_same_claims(proven.records.get(chosen.name, ()), plan, captured, chosen.name),
                *_appeared(request, plan, captured, chosen.name),
            ),
            hooked,
        )
        for chosen in plan.selection.namespaces
    ]
    namespaces += [_gone(name, captured) for name in captured.left]
    return RunRecord(
        name=request.run_id,
        policy=request.policy,
        cluster=_cluster(request, identity),
        trigger=request.trigger,
        started=request.started,
        finished=run.clock.now().replace(microsecond=0),
        outcome=outcomes.judge_run(namespaces),
        namespaces=tuple(namespaces),
        cluster_scoped=captured.cluster_scoped,
        secrets=secrets,
        gaps=captured.gaps,
        left_out_kinds=captured.left_out_kinds,
        redacted=captured.redacted,
        guards=captured.guards,
        selection=captured.selection,
        warnings=(*proven.warnings, *captured.warnings, *hooked.warnings, *warnings),
        retention=request.compiled.policy.retention.words(),
        writer=request.writer,
    )


def make_failed_record(
    request: RunRequest,
    run: RunPorts,
    identity: ClusterIdentity,
    plan: RunPlan,
    error: BackstayError,
    warnings: Iterable[str] = (),
    hooked: Hooked = NOTHING,
) -> RunRecord:
    """A run that stored nothing: each namespace is Failed for the same reason.

    Where not even the namespaces are known, the reason is among the warnings. What came of hooks is
    told all the same: an application may be quiesced still.
    """
    now = run.clock.now().replace(microsecond=0)
    reasons = (error.hint,) if plan.selection.names else (error.message, error.hint)
    namespaces = tuple(
        NamespaceRecord(
            name=name,
            outcome=Outcome.FAILED,
            captured=now,
            objects=Counts(),
            hooks=hooked.records.get(name, ()),
            reasons=(error.message, *hooked.reasons.get(name, ())),
        )
        for name in plan.selection.names
    )
    return RunRecord(
        name=request.run_id,
        policy=request.policy,
        cluster=_cluster(request, identity),
        trigger=request.trigger,
        started=request.started,
        finished=now,
        outcome=Outcome.FAILED,
        namespaces=namespaces,
        failure=FailureRecord(reason=error.reason, exit_code=error.exit_code),
        warnings=(*filter(None, reasons), *hooked.warnings, *warnings),
        retention=request.compiled.policy.retention.words(),
        writer=request.writer,
    )


def _same_claims(
    records: tuple[VolumeRecord, ...], plan: RunPlan, captured: CapturedTree, namespace: str
) -> Iterator[VolumeRecord]:
    """A claim that was deleted and made again meanwhile is another one, with other data."""
    now = {claim.name: claim.uid for claim in captured.claims if claim.namespace == namespace}
    known = {found.claim.name: found.claim.uid for found in plan.decisions[namespace]}
    for found in records:
        if found.claim in now and now[found.claim] != known.get(found.claim):
            yield replace(found, outcome=Outcome.FAILED, reason=_REPLACED, snapshot=None)
        else:
            yield found


def _appeared(
    request: RunRequest, plan: RunPlan, captured: CapturedTree, namespace: str
) -> Iterator[VolumeRecord]:
    """Claims that are in the tree and came after the run had decided: nobody copied their data."""
    known = {decision.claim.name for decision in plan.decisions[namespace]}
    for claim in captured.claims:
        if claim.namespace != namespace or claim.name in known:
            continue
        decision = decide_volume(request.compiled.policy.volumes, claim, None, plan.storage)
        skipped = decision.method is CopyMethod.SKIP
        yield VolumeRecord(
            claim=claim.name,
            copy_method=str(decision.method),
            why=decision.why,
            outcome=Outcome.SKIPPED if skipped else Outcome.FAILED,
            reason="" if skipped else _TOO_LATE,
            capacity=claim.size,
            storage_class=claim.storage_class,
        )


def _cluster(request: RunRequest, identity: ClusterIdentity) -> ClusterRef:
    return ClusterRef(name=request.cluster, uid=identity.uid, version=identity.version)


def _namespace(
    found: Namespace, captured: CapturedTree, volumes: tuple[VolumeRecord, ...], hooked: Hooked
) -> NamespaceRecord:
    name = found.name
    part = captured.namespaces[name]
    verdict = outcomes.judge_namespace(
        name,
        volumes,
        captured.gaps,
        privileged=found.privileged_movers,
        hooks=(*part.reasons, *hooked.reasons.get(name, ())),
    )
    return NamespaceRecord(
        name=name,
        outcome=verdict.outcome,
        captured=part.at,
        objects=part.counts,
        volumes=volumes,
        hooks=hooked.records.get(name, ()),
        reasons=verdict.reasons,
        left_out=part.left_out,
        unselected=part.unselected,
    )


def _gone(name: str, captured: CapturedTree) -> NamespaceRecord:
    left = captured.left[name]
    verdict = outcomes.judge_left(left.why, intended=left.intended)
    return NamespaceRecord(
        name=name,
        outcome=verdict.outcome,
        captured=left.at,
        objects=Counts(deleted=left.deleted),
        reasons=verdict.reasons,
    )
