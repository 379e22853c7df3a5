"""The plan of a restore: pure, from what was captured and what is there now.

An object that exists is never changed (invariant I12): equal or different, it is kept. A claim
that exists keeps its data, unless an earlier restore of the same recovery point created it and
did not end: `naming.RESTORING` on the claim says so until its data is proven.

Order and omissions follow what Velero learned (``pkg/cmd/server/config`` and ``pkg/restore`` there,
v1.18): definitions first and until they are served, claims with their data before workloads, ended
Jobs and Pods never, webhooks last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model import naming
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.restore import FillStep, Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.model.run import Outcome, RunRecord, VolumeRecord
from reconciler.plan.podids import PodIds
from reconciler.plan.reasons import tell_reasons

CRD = "customresourcedefinition.apiextensions.k8s.io"
CLAIM = "persistentvolumeclaim"

_PHASES: dict[str, Phase] = {
    CRD: Phase.DEFINITIONS,
    "namespace": Phase.NAMESPACES,
    "serviceaccount": Phase.CONFIGURATION,
    "secret": Phase.CONFIGURATION,
    "configmap": Phase.CONFIGURATION,
    "limitrange": Phase.CONFIGURATION,
    "role.rbac.authorization.k8s.io": Phase.CONFIGURATION,
    "rolebinding.rbac.authorization.k8s.io": Phase.CONFIGURATION,
    "clusterrole.rbac.authorization.k8s.io": Phase.CONFIGURATION,
    "clusterrolebinding.rbac.authorization.k8s.io": Phase.CONFIGURATION,
    CLAIM: Phase.CLAIMS,
    "pod": Phase.WORKLOADS,
    "replicaset.apps": Phase.WORKLOADS,
    "replicationcontroller": Phase.WORKLOADS,
    "deployment.apps": Phase.WORKLOADS,
    "statefulset.apps": Phase.WORKLOADS,
    "daemonset.apps": Phase.WORKLOADS,
    "job.batch": Phase.WORKLOADS,
    "cronjob.batch": Phase.WORKLOADS,
    "mutatingwebhookconfiguration.admissionregistration.k8s.io": Phase.WEBHOOKS,
    "validatingwebhookconfiguration.admissionregistration.k8s.io": Phase.WEBHOOKS,
    "validatingadmissionpolicybinding.admissionregistration.k8s.io": Phase.WEBHOOKS,
    "apiservice.apiregistration.k8s.io": Phase.WEBHOOKS,
}
_NEVER = {
    "persistentvolume": "its claim gets a new volume, and the data comes from restic",
    "volumesnapshotcontent.snapshot.storage.k8s.io": "it points to storage of the old cluster",
    "volumesnapshot.snapshot.storage.k8s.io": "made again, it would be of today's data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One manifest of the recovery point; ``fingerprint`` text and parsed object."""

    path: str
    folder: str
    ref: ObjectRef
    manifest: Mapping[str, Any]
    source: str = ""
    """Of a copy: the path in the recovery point; `reconciler.plan.mapping` makes copies."""
    obstacle: str = ""
    """Why a copy is not made."""
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What stands in the cluster at a manifest's place."""

    equal: bool
    restoring: str = ""
    """Value of `naming.RESTORING`, on a claim or a namespace."""


def phase_of(folder: str, ref: ObjectRef) -> Phase:
    """When an object of this kind is created."""
    return _PHASES.get(folder, Phase.REST if ref.namespace else Phase.CLUSTER)


def plan_restore(
    record: RunRecord,
    commit: str,
    stored: Sequence[Stored],
    *,
    live: Mapping[str, Live],
    served: Mapping[str, Resource],
    ids: Mapping[tuple[str, str], PodIds],
    mapping: Mapping[str, str] | None = None,
) -> RestorePlan:
    """``live`` by path, ``served`` by folder (``deployment.apps``), ``ids`` by (namespace, claim).

    With ``mapping`` (captured namespace → target) ``stored`` is what `plan.mapping` made of it, and
    ``live`` and ``ids`` are of the targets.

    Same inputs, same plan; after it was executed, planning again finds nothing to do.
    """
    promised = _promised_kinds(stored)
    targets = mapping or {}
    marks = _marks(record.name, targets)
    steps = [
        _plan_object(
            found,
            live.get(found.path),
            served,
            promised,
            marks.get(found.ref.namespace, record.name),
        )
        for found in stored
    ]
    steps.sort(key=lambda step: (step.phase, step.path))
    privileged = _privileged(stored)
    by_claim = {
        (step.ref.namespace, step.ref.name): step for step in steps if step.phase is Phase.CLAIMS
    }
    fills = [
        _plan_fill(
            (target, part.name),
            volume,
            by_claim.get((target, volume.claim)),
            live,
            marks.get(target, record.name),
            privileged=target in privileged,
            ids=ids.get((target, volume.claim), PodIds()),
        )
        for part in record.namespaces
        for target in (targets.get(part.name, part.name),)
        for volume in part.volumes
        if volume.outcome is not Outcome.SKIPPED
    ]
    steps = _without_empty_claims(steps, fills)
    return RestorePlan(
        policy=record.policy.name,
        run_id=record.name,
        commit=commit,
        outcome=str(record.outcome),
        started=record.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        copied=record.copied.strftime("%Y-%m-%dT%H:%M:%SZ"),
        steps=tuple(steps),
        fills=tuple(fills),
        warnings=tell_reasons(
            part for part in record.namespaces if part.outcome is not Outcome.SKIPPED
        ),
        mapping=dict(targets),
    )


def _marks(run_id: str, mapping: Mapping[str, str]) -> dict[str, str]:
    """Target → the value of `naming.RESTORING` on what is made there."""
    return {
        target: naming.restoring(run_id, namespace=target, source=source)
        for source, target in mapping.items()
    }


def _promised_kinds(stored: Sequence[Stored]) -> frozenset[str]:
    """Kinds that the restore's own definitions will serve, as folders."""
    kinds = set()
    for found in stored:
        if found.folder == CRD:
            spec = found.manifest.get("spec") or {}
            kind = (spec.get("names") or {}).get("kind", "")
            kinds.add(f"{kind}.{spec.get('group', '')}".lower())
    return frozenset(kinds)


def _annotations(found: Stored) -> Mapping[str, Any]:
    return (found.manifest.get("metadata") or {}).get("annotations") or {}


def _privileged(stored: Sequence[Stored]) -> frozenset[str]:
    """Namespaces whose administrator allowed movers that run as root."""
    return frozenset(
        found.ref.name
        for found in stored
        if found.folder == "namespace"
        and _annotations(found).get(naming.PRIVILEGED_MOVERS) == "true"
    )


def _plan_object(
    found: Stored,
    live: Live | None,
    served: Mapping[str, Resource],
    promised: frozenset[str],
    mark: str,
) -> RestoreStep:
    action, why, differs = _decide(found, live, served, promised, mark)
    manifest = found.manifest
    pinned = (manifest.get("spec") or {}).get("volumeName") if found.folder == CLAIM else None
    if pinned:
        # Its volume is not restored, and a claim that asks for it by name would wait for ever.
        rest = {key: value for key, value in manifest["spec"].items() if key != "volumeName"}
        manifest = {**manifest, "spec": rest}
    if pinned and action is RestoreAction.CREATE:
        why += f"; it was pinned to volume {pinned} and gets a new one"
    return RestoreStep(
        path=found.path,
        ref=found.ref,
        resource=served.get(found.folder),
        phase=phase_of(found.folder, found.ref),
        action=action,
        why=why,
        differs=differs,
        manifest=manifest,
        source=found.source,
        begun=live.restoring if live is not None and action is RestoreAction.SKIP else "",
        changes=found.changes if action is RestoreAction.CREATE else (),
        warnings=found.warnings if action is RestoreAction.CREATE else (),
    )


def _decide(
    found: Stored,
    live: Live | None,
    served: Mapping[str, Resource],
    promised: frozenset[str],
    mark: str,
) -> tuple[RestoreAction, str, bool]:
    if live is not None:
        if live.restoring and live.restoring != mark:
            begun, source = naming.restoring_of(live.restoring)
            whose = f"{begun}, of {source}," if source else begun
            why = f"an unfinished restore of {whose} made it; end that one first"
            return RestoreAction.SKIP, why, True
        if live.equal:
            return RestoreAction.KEEP, "exists and is equal", False
        return RestoreAction.KEEP, "exists and differs; what exists is not changed", True
    obstacle = _obstacle(found, served, promised)
    if obstacle:
        return RestoreAction.SKIP, obstacle, False
    return RestoreAction.CREATE, "it does not exist", False


def _obstacle(found: Stored, served: Mapping[str, Resource], promised: frozenset[str]) -> str:
    """Why an object that is not there is not created, or an empty string."""
    if found.obstacle:
        return found.obstacle
    if found.folder in _NEVER:
        return _NEVER[found.folder]
    if naming.COMPONENT in ((found.manifest.get("metadata") or {}).get("labels") or {}):
        return "it is Backstay's own, and no run captures those"
    annotations = _annotations(found)
    if found.folder == "job.batch" and naming.CAPTURED_COMPLETED in annotations:
        return f"it had ended ({annotations[naming.CAPTURED_COMPLETED]}), and would run again"
    if found.folder == "pod" and naming.CAPTURED_PHASE in annotations:
        return f"it had ended ({annotations[naming.CAPTURED_PHASE]}), and would run again"
    if found.folder not in served and found.folder not in promised:
        return f"kind {found.folder} is not served here; install its definition first"
    return ""


def _without_empty_claims(
    steps: Sequence[RestoreStep], fills: Sequence[FillStep]
) -> list[RestoreStep]:
    """A claim without data in this recovery point is not created: empty, it would look restored."""
    lacking = {(fill.namespace, fill.claim) for fill in fills if fill.action is RestoreAction.SKIP}
    return [
        replace(step, action=RestoreAction.SKIP, why="no data for it in this recovery point")
        if step.phase is Phase.CLAIMS
        and step.action is RestoreAction.CREATE
        and (step.ref.namespace, step.ref.name) in lacking
        else step
        for step in steps
    ]


def _plan_fill(
    place: tuple[str, str],
    volume: VolumeRecord,
    step: RestoreStep | None,
    live: Mapping[str, Live],
    mark: str,
    *,
    privileged: bool,
    ids: PodIds,
) -> FillStep:
    """``place``: the namespace that is filled, and the one that the data is of."""
    namespace, source = place
    action, why = _decide_fill(volume, step, live, mark)
    return FillStep(
        namespace=namespace,
        source=source,
        claim=volume.claim,
        action=action,
        why=why,
        repository=volume.repository,
        snapshot=volume.snapshot or "",
        size=volume.size,
        files=volume.files,
        privileged=privileged,
        run_as_user=ids.user,
        run_as_group=ids.group,
        fs_group=ids.fs_group,
    )


def _decide_fill(
    volume: VolumeRecord, step: RestoreStep | None, live: Mapping[str, Live], mark: str
) -> tuple[RestoreAction, str]:
    if volume.snapshot is None or volume.repository is None:
        if step is not None and step.action is RestoreAction.KEEP:
            return RestoreAction.KEEP, "the claim exists; this recovery point has no data for it"
        return RestoreAction.SKIP, f"no data in this recovery point: {volume.reason}"
    if step is None:
        return RestoreAction.SKIP, "its claim is not in this recovery point"
    there = live.get(step.path)
    if there is not None and there.restoring == mark:
        return RestoreAction.CREATE, "an earlier restore began to fill it"
    if step.action is RestoreAction.CREATE:
        return RestoreAction.CREATE, f"snapshot {volume.snapshot[:8]}"
    if step.action is RestoreAction.KEEP:
        return RestoreAction.KEEP, "the claim exists; its data is not touched"
    return RestoreAction.SKIP, step.why
