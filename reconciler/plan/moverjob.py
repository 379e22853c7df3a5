"""The Kubernetes objects of one mover: a Job beside its volume, and the keys it gets. Pure.

The Job is made suspended; its Secret, owned by the Job, comes next; then the Job is let go. So at
every point where the run may die nothing is left that has no end: a suspended Job holds no keys
and starts nothing, and a Secret can't outlive its Job (Kubernetes collects it). The other order
would leave keys behind in somebody's namespace that no Job ever takes with it.

What a mover may do (invariant I14): no API token, one claim, one repository. It runs as the pod
that uses the claim does, never as root, unless the namespace's administrator has allowed
privileged movers. Then it is root with the fewest capabilities that read (or put back) everything.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import moverprotocol, naming
from reconciler.model.config import Config, Resources
from reconciler.model.volumes import CopyKind, Leftover, MoveKind, MoveResult, MoveTask, VolumeCopy

COMPONENT_MOVER = "mover"
COMPONENT_CREDENTIALS = "credentials"
CONTAINER = "mover"
DEFAULT_USER = 65532
"""Who a mover is where the pod beside it does not say, or there is none."""
DEFAULT_RESOURCES = Resources(requests={"cpu": "10m", "memory": "128Mi"})
"""Little: a mover is tied to its node, and where that is full a larger one could never start."""
LOST_PODS = 3
"""Pods that may die of something else than their own exit before the copy has failed."""
KEPT_SECONDS = 24 * 3600
"""How long a Job that nobody cleaned up stays after its end."""
GRACE_SECONDS = 60
"""restic takes its lock away when it is told to end."""
START_TIMEOUT = f"{naming.GROUP}/start-timeout"
"""Annotation: after how many seconds without a pod at work a run ends the Job."""
ENDED_BECAUSE = f"{naming.GROUP}/ended-because"
"""Annotation: why a run has ended the Job before its time."""
RESULT = f"{naming.GROUP}/result"
"""Annotation: what the mover said, for whoever looks when its pods are gone."""
OWN_EXITS = (1, 2, 3, 4, 10, 11, 12)
"""Said on purpose by the mover: another pod would end the same way."""

_CORDONED: Mapping[str, object] = {
    "key": "node.kubernetes.io/unschedulable",
    "operator": "Exists",
    "effect": "NoSchedule",
}
"""The pod that uses the claim runs there still, and there is no other place to read it."""

# Measured with restic on odd files, one left out at a time: each is needed. Without FSETID a
# restore loses setgid bits and still exits 0, without MKNOD it loses device files, without SETFCAP
# the capabilities of files.
_CAPABILITIES = {
    MoveKind.BACKUP: ("DAC_READ_SEARCH",),
    MoveKind.RESTORE: ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MoverSettings:
    """What the installation says of movers."""

    pull_policy: str = "IfNotPresent"
    resources: Resources = field(default_factory=lambda: DEFAULT_RESOURCES)

    @classmethod
    def of(cls, config: Config) -> MoverSettings:
        """As Config has them."""
        resources = config.movers.resources or DEFAULT_RESOURCES
        return cls(pull_policy=config.image_pull_policy, resources=resources)


def mover_name(task: MoveTask) -> str:
    """The name of the Job and of its Secret."""
    return naming.mover_name(task.run_id, task.namespace, task.claim, task.kind.value)


def name_of(one: MoveTask | Leftover) -> str:
    """The same of what may be a leftover."""
    return one.name if isinstance(one, Leftover) else mover_name(one)


def place_of(one: MoveTask | Leftover) -> str:
    """The namespace of the Job: the claim's, or Backstay's own for the copy of a snapshot."""
    copy = one.copy
    return copy.home if copy and copy.method is CopyKind.SNAPSHOT else one.namespace


def mounted(task: MoveTask) -> str:
    """The claim that the Job mounts."""
    return mover_name(task) if task.copy else task.claim


def copy_annotations(task: MoveTask) -> dict[str, str]:
    """What tells whose copy it is that an object belongs to; nothing where there is none."""
    if task.copy is None:
        return {}
    return {
        naming.NAMESPACE: task.namespace,
        naming.METHOD: task.copy.method.value,
        naming.HOME: task.copy.home,
    }


def copy_of(raw: Mapping[str, Any], *, home: str) -> VolumeCopy | None:
    """What such annotations say of a Job in ``home``, or of the snapshot that its copy is of."""
    told = (raw["metadata"].get("annotations") or {}).get(naming.METHOD, "")
    known = {kind.value: kind for kind in CopyKind}
    return VolumeCopy(method=known[told], home=home) if told in known else None


def taken_of(job: Mapping[str, Any]) -> str:
    """The moment that a copy's data is of, if its Job says one."""
    return str((job["metadata"].get("annotations") or {}).get(naming.TAKEN, ""))


def result_of(job: Mapping[str, Any]) -> MoveResult | None:
    """What its mover said, where that was put beside the Job: its pods may be gone."""
    annotations = job["metadata"].get("annotations") or {}
    return moverprotocol.parse_result(annotations.get(RESULT, ""))


def make_job(
    task: MoveTask,
    settings: MoverSettings,
    *,
    suspend: bool,
    ended: str = "",
) -> dict[str, Any]:
    """The Job, for server-side apply; with a reason why it is ``ended``, its time is over."""
    metadata = _metadata(task, COMPONENT_MOVER)
    annotations = {**metadata["annotations"], START_TIMEOUT: f"{task.start_timeout}s"}
    if ended:
        annotations[ENDED_BECAUSE] = ended
    if task.copy and task.copy.taken:
        annotations[naming.TAKEN] = task.copy.taken
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": mover_name(task),
            "namespace": place_of(task),
            "labels": metadata["labels"],
            "annotations": annotations,
        },
        "spec": {
            "suspend": suspend,
            "backoffLimit": LOST_PODS,
            "activeDeadlineSeconds": 1 if ended else task.timeout,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "podFailurePolicy": {"rules": _rules()},
            "template": {
                "metadata": {
                    "labels": {**metadata["labels"], "sidecar.istio.io/inject": "false"},
                    "annotations": {
                        **metadata["annotations"],
                        "linkerd.io/inject": "disabled",
                        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                    },
                },
                "spec": _pod(task, settings),
            },
        },
    }


def end_changes(why: str) -> dict[str, Any]:
    """What tells a Job, as it is, that its time is over."""
    return {
        "metadata": {"annotations": {ENDED_BECAUSE: why}},
        "spec": {"activeDeadlineSeconds": 1},
    }


def result_changes(result: MoveResult) -> dict[str, Any]:
    """What puts a result beside a Job, as it is, for `result_of`."""
    return {"metadata": {"annotations": {RESULT: moverprotocol.render_result(result)}}}


def make_secret(task: MoveTask, job_uid: str) -> dict[str, Any]:
    """The repository's keys as environment variables, owned by the Job."""
    environment = {**task.access.environment, "RESTIC_REPOSITORY": task.access.url}
    data = {key: _encoded(value) for key, value in sorted(environment.items())}
    name = mover_name(task)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": place_of(task),
            "ownerReferences": [owner],
            **_metadata(task, COMPONENT_CREDENTIALS),
        },
        "type": "Opaque",
        "data": data,
    }


def kind_of(name: str, *, run_id: str, namespace: str, claim: str) -> MoveKind | None:
    """What a mover of this name does; None if it is no mover of that run and claim.

    The kind is part of what the name is hashed from, and nobody can change a name afterwards. A
    name can be made of nothing, too: that is no mover's.
    """
    if not (run_id and namespace and claim):
        return None
    for kind in MoveKind:
        if naming.mover_name(run_id, namespace, claim, kind.value) == name:
            return kind
    return None


def belongs_to(
    task: MoveTask | Leftover, raw: Mapping[str, Any], component: str = COMPONENT_MOVER
) -> bool:
    """Whether an object is ours and was made for this very task."""
    metadata = raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return (
        labels.get(naming.COMPONENT) == component
        and annotations.get(naming.RUN) == task.run_id
        and annotations.get(naming.CLAIM) == task.claim
        and annotations.get(naming.NAMESPACE, place_of(task)) == task.namespace
    )


def image_of(job: Mapping[str, Any]) -> str:
    """The image that a Job's container runs."""
    containers: list[dict[str, Any]] = job["spec"]["template"]["spec"].get("containers") or [{}]
    return str(containers[0].get("image", ""))


def _metadata(task: MoveTask, component: str) -> dict[str, dict[str, str]]:
    return {
        "labels": naming.labels(component, policy=task.policy, run_id=task.run_id),
        "annotations": {
            naming.POLICY: task.policy,
            naming.RUN: task.run_id,
            naming.CLAIM: task.claim,
            **copy_annotations(task),
        },
    }


def _rules() -> list[dict[str, Any]]:
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    own = {"containerName": CONTAINER, "operator": "In", "values": list(OWN_EXITS)}
    return [
        # First: an evicted pod may end with any exit code, and is no failure.
        {"action": "Ignore", "onPodConditions": [disrupted]},
        {"action": "FailJob", "onExitCodes": own},
    ]


def _pod(task: MoveTask, settings: MoverSettings) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "securityContext": _pod_security(task),
        "containers": [_container(task, settings)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": mounted(task)}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if task.node:
        # By name, not by a label that may differ from it; the volume can only be mounted there.
        here = {"key": "metadata.name", "operator": "In", "values": [task.node]}
        terms = [{"matchFields": [here]}]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        pod["affinity"] = {"nodeAffinity": required}
    tolerations = [dict(toleration) for toleration in task.tolerations]
    if task.node and _CORDONED not in tolerations:
        tolerations.append(dict(_CORDONED))
    if tolerations:
        pod["tolerations"] = tolerations
    return pod


def _pod_security(task: MoveTask) -> dict[str, Any]:
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    if task.privileged:
        # No fsGroup: the kubelet would give every file of the volume another group.
        return {"runAsUser": 0, "runAsGroup": 0, **seccomp}
    user = task.run_as_user or DEFAULT_USER  # root is not ours to take
    group = task.run_as_group or (user if user == DEFAULT_USER else None)
    context: dict[str, Any] = {"runAsNonRoot": True, "runAsUser": user, **seccomp}
    if group is not None:
        context["runAsGroup"] = group
    if task.fs_group is not None:
        context |= {"fsGroup": task.fs_group, "fsGroupChangePolicy": "OnRootMismatch"}
    if task.supplemental_groups:
        context["supplementalGroups"] = list(task.supplemental_groups)
    return context


def _container(task: MoveTask, settings: MoverSettings) -> dict[str, Any]:
    capabilities: dict[str, Any] = {"drop": ["ALL"]}
    if task.privileged:
        capabilities["add"] = list(_CAPABILITIES[task.kind])
    read_only = task.kind is MoveKind.BACKUP
    resources = settings.resources
    parts = {"requests": dict(resources.requests), "limits": dict(resources.limits)}
    return {
        "name": CONTAINER,
        "image": task.image,
        "imagePullPolicy": settings.pull_policy,
        "args": list(moverprotocol.render_arguments(task)),
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own, see volumes
            {"name": "RESTIC_CACHE_DIR", "value": "/tmp/restic"},  # noqa: S108
        ],
        "envFrom": [{"secretRef": {"name": mover_name(task)}}],
        "resources": {key: value for key, value in parts.items() if value},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": capabilities,
        },
        "terminationMessagePath": moverprotocol.PATH,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {
                "name": "data",
                "mountPath": moverprotocol.volume_path(task.claim),
                "readOnly": read_only,
            },
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir
        ],
    }


def _encoded(value: str) -> str:
    return base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
