"""Pods and what makes them: generated selectors, injected tokens, rollout bookkeeping go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reconciler.capture.fields import Line, annotate, child, children, drop, drop_annotations
from reconciler.capture.kept import COMPLETED, PHASE

CONTROLLER_UID = ("controller-uid", "batch.kubernetes.io/controller-uid")
JOB_NAME = ("job-name", "batch.kubernetes.io/job-name")
POD_NETWORK = (
    "cni.projectcalico.org/containerID",
    "cni.projectcalico.org/podIP",
    "cni.projectcalico.org/podIPs",
    "k8s.ovn.org/pod-networks",
    "k8s.v1.cni.cncf.io/network-status",
    "k8s.v1.cni.cncf.io/networks-status",
)
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where tokens are mounted
_SUFFIX = re.compile(r"[a-z0-9]{5}")
_INJECTED = re.compile(r"kube-api-access-[a-z0-9]{5}")

TABLE = (
    Line(
        "deployment, replicaset",
        "annotations deployment.kubernetes.io/*",
        "dropped",
        "rollout bookkeeping, counted from 1 again",
    ),
    Line(
        "daemonset",
        "annotation deprecated.daemonset.template.generation",
        "dropped",
        "rollout bookkeeping",
    ),
    Line(
        "kinds with a pod template, cronjob, statefulset's claims",
        "metadata.creationTimestamp: null; status of claim templates",
        "dropped",
        "written by the API server, in some versions",
    ),
    Line(
        "job",
        "labels and selector controller-uid, job-name (unless manualSelector)",
        "dropped",
        "generated from the new Job's uid and name",
    ),
    Line("job", "annotation batch.kubernetes.io/job-tracking", "dropped", "the API server's"),
    Line(
        "job",
        "status.completionTime or the Failed condition",
        f"kept as annotation `{COMPLETED}`",
        "so that restore does not run a finished Job again",
    ),
    Line(
        "pod",
        "spec: nodeName, priority, preemptionPolicy, ephemeralContainers",
        "dropped",
        "set by scheduler and admission; ephemeral containers are refused in a new pod",
    ),
    Line(
        "pod",
        "the two default tolerations of 300 s, the service account's token volume and mounts",
        "dropped",
        "put on by admission; before Kubernetes 1.21 the volume was the account's Secret",
    ),
    Line("pod", "annotations of network plugins", "dropped", "the old pod's addresses"),
    Line(
        "pod",
        "status.phase Succeeded or Failed",
        f"kept as annotation `{PHASE}`",
        "so that restore does not run a finished pod again",
    ),
)


def pod(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """A pod without an owner; the others are left out."""
    spec = child(found, "spec")
    drop(spec, "nodeName", "priority", "preemptionPolicy", "ephemeralContainers")
    if "tolerations" in spec:
        spec["tolerations"] = [item for item in spec["tolerations"] if not _is_default(item)]
        if not spec["tolerations"]:
            del spec["tolerations"]
    _drop_token(spec)
    drop_annotations(found, *POD_NETWORK)
    phase = (raw.get("status") or {}).get("phase")
    if phase in ("Succeeded", "Failed"):
        annotate(found, PHASE, phase)


def _is_default(toleration: Mapping[str, Any]) -> bool:
    return dict(toleration) in (
        {
            "key": f"node.kubernetes.io/{key}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": 300,
        }
        for key in ("not-ready", "unreachable")
    )


def _drop_token(spec: dict[str, Any]) -> None:
    """The volume ``kube-api-access-x7k2p`` with its mounts, and what was one before 1.21."""
    volumes = spec.get("volumes") or []
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    names = {
        item.get("name")
        for item in volumes
        if _is_injected(item) or _is_old_token(item, str(account), spec)
    }
    if not names:
        return
    spec["volumes"] = [item for item in volumes if item.get("name") not in names]
    if not spec["volumes"]:
        del spec["volumes"]
    for field in ("containers", "initContainers"):
        for container in children(spec, field):
            mounts = container.get("volumeMounts") or []
            kept = [m for m in mounts if m.get("name") not in names]
            if kept:
                container["volumeMounts"] = kept
            else:
                container.pop("volumeMounts", None)


def _is_injected(volume: Mapping[str, Any]) -> bool:
    return _INJECTED.fullmatch(str(volume.get("name"))) is not None and "projected" in volume


def _is_old_token(volume: Mapping[str, Any], account: str, spec: Mapping[str, Any]) -> bool:
    """By its name, and by where it is mounted: a Secret of a person's may be called like that."""
    name, begin = str(volume.get("name")), f"{account}-token-"
    secret = volume.get("secret")
    if not isinstance(secret, dict) or secret.get("secretName") != name:
        return False
    if not name.startswith(begin) or not _SUFFIX.fullmatch(name, len(begin)):
        return False
    places = {
        mount.get("mountPath")
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") == name
    }
    return places == {TOKEN_PATH}


def with_template(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    """Anything with ``spec.template``."""
    _clean_template_metadata(child(found, "spec"), "template")


def pod_template(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    """PodTemplate has its template at the top."""
    _clean_template_metadata(found, "template")


def deployment(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """Deployments, and ReplicaSets that nobody owns."""
    with_template(found, raw)
    drop_annotations(
        found,
        "deployment.kubernetes.io/revision",
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
    )


def daemon_set(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """DaemonSets."""
    with_template(found, raw)
    drop_annotations(found, "deprecated.daemonset.template.generation")


def stateful_set(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """StatefulSets; their claim templates come back from the server with a status."""
    with_template(found, raw)
    for claim in children(child(found, "spec"), "volumeClaimTemplates"):
        claim.pop("status", None)
        _clean_metadata(claim)


def job(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """Jobs that no CronJob or other controller made."""
    spec = child(found, "spec")
    _clean_template_metadata(spec, "template")
    drop_annotations(found, "batch.kubernetes.io/job-tracking")
    if not spec.get("manualSelector"):
        drop(spec, "manualSelector")
        name = found["metadata"].get("name")
        selector = child(spec, "selector", "matchLabels")
        drop(selector, *CONTROLLER_UID)
        if "selector" in spec and not selector and set(spec["selector"]) <= {"matchLabels"}:
            del spec["selector"]
        _drop_generated_labels(found["metadata"], name)
        _drop_generated_labels(child(spec, "template", "metadata"), name)
        _drop_empty_metadata(child(spec, "template"))
    ended = _ended(raw.get("status") or {})
    if ended:
        annotate(found, COMPLETED, ended)


def _drop_generated_labels(metadata: dict[str, Any], name: Any) -> None:
    labels = child(metadata, "labels")
    drop(labels, *CONTROLLER_UID)
    drop(labels, *(key for key in JOB_NAME if labels.get(key) == name))
    if "labels" in metadata and not labels:
        del metadata["labels"]


def _ended(status: Mapping[str, Any]) -> str:
    if status.get("completionTime"):
        return str(status["completionTime"])
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Failed" and condition.get("status") == "True":
            return f"Failed {condition.get('lastTransitionTime', '')}".rstrip()
    return ""


def cron_job(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    """CronJobs have a Job's template with a pod's template in it."""
    spec = child(found, "spec")
    inner = child(spec, "jobTemplate")
    if inner:
        _clean_metadata(inner)
        _clean_template_metadata(child(inner, "spec"), "template")


def _clean_template_metadata(parent: dict[str, Any], key: str) -> None:
    template = child(parent, key)
    if template:
        _clean_metadata(template)


def _clean_metadata(holder: dict[str, Any]) -> None:
    if "creationTimestamp" in (holder.get("metadata") or ()):
        drop(child(holder, "metadata"), "creationTimestamp")
    _drop_empty_metadata(holder)


def _drop_empty_metadata(holder: dict[str, Any]) -> None:
    """``metadata: {}`` says nothing, and only some versions of the API server write it."""
    if "metadata" in holder and not holder["metadata"]:
        del holder["metadata"]
