"""What is cleaned kind by kind: one function per kind, and the table that documents them.

Each function gets ``found``, the new mapping that goes to Git (its ``metadata`` and
``metadata.annotations`` are copies already), and ``raw``, the object as the server sent it, which
must stay as it is: a function copies what it changes. `TABLE` says for every field what is done
and why; docs/format.md shows it, and each line has a golden file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.capture import rules_network, rules_storage, rules_workloads
from reconciler.capture.fields import Line, child, drop_annotations
from reconciler.capture.kept import OWNERS

Rule = Callable[[dict[str, Any], Mapping[str, Any]], None]


def _namespace(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    spec = found.get("spec")
    if spec is not None and set(spec) <= {"finalizers"}:
        del found["spec"]
    labels = child(found["metadata"], "labels")
    if labels.get("kubernetes.io/metadata.name") == found["metadata"].get("name"):
        del labels["kubernetes.io/metadata.name"]


def _service_account(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    name = found["metadata"].get("name", "")
    made = (f"{name}-token-", f"{name}-dockercfg-")
    for field in ("secrets", "imagePullSecrets"):
        listed = found.get(field)
        if listed is None:
            continue
        kept = [entry for entry in listed if not str(entry.get("name", "")).startswith(made)]
        if kept:
            found[field] = kept
        else:
            del found[field]


def _secret(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    if found.get("type") != "kubernetes.io/service-account-token":
        return
    data = child(found, "data")
    for key in ("token", "ca.crt", "namespace"):
        data.pop(key, None)
    if not data:
        found.pop("data", None)
    drop_annotations(found, "kubernetes.io/service-account.uid")
    labels = child(found["metadata"], "labels")
    labels.pop("kubernetes.io/legacy-token-last-used", None)
    labels.pop("kubernetes.io/legacy-token-invalid-since", None)


def _custom_resource_definition(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    spec = child(found, "spec")
    if spec.get("preserveUnknownFields") is False:
        del spec["preserveUnknownFields"]
    if spec.get("conversion") == {"strategy": "None"}:
        del spec["conversion"]


def _horizontal_pod_autoscaler(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    drop_annotations(
        found,
        "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics",
    )


def _cluster_role(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    if found.get("aggregationRule"):
        found.pop("rules", None)


def _application(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    found.pop("operation", None)


BY_KIND: dict[str, Rule] = {
    "namespace": _namespace,
    "serviceaccount": _service_account,
    "secret": _secret,
    "service": rules_network.service,
    "pod": rules_workloads.pod,
    "podtemplate": rules_workloads.pod_template,
    "replicationcontroller": rules_workloads.with_template,
    "deployment.apps": rules_workloads.deployment,
    "daemonset.apps": rules_workloads.daemon_set,
    "statefulset.apps": rules_workloads.stateful_set,
    "replicaset.apps": rules_workloads.deployment,
    "job.batch": rules_workloads.job,
    "cronjob.batch": rules_workloads.cron_job,
    "persistentvolumeclaim": rules_storage.claim,
    "persistentvolume": rules_storage.volume,
    "volumesnapshotcontent.snapshot.storage.k8s.io": rules_storage.snapshot_content,
    "customresourcedefinition.apiextensions.k8s.io": _custom_resource_definition,
    "horizontalpodautoscaler.autoscaling": _horizontal_pod_autoscaler,
    "clusterrole.rbac.authorization.k8s.io": _cluster_role,
    "application.argoproj.io": _application,
}


TABLE: tuple[Line, ...] = (
    Line(
        "*",
        "metadata: uid, resourceVersion, generation, creationTimestamp, managedFields, selfLink",
        "dropped",
        "the API server writes them",
    ),
    Line(
        "*",
        "metadata: deletionTimestamp, deletionGracePeriodSeconds",
        "dropped",
        "an object that is being deleted is left out as a whole",
    ),
    Line("*", "status", "dropped", "what controllers saw, not what was asked for"),
    Line(
        "*",
        "metadata.ownerReferences",
        f"kept as annotation `{OWNERS}`",
        "they hold uids; a reference to a uid that is gone makes the garbage collector delete "
        "the object",
    ),
    Line(
        "*",
        "annotations with an earlier version (kubectl's last-applied, kapp's, Rancher's, Kopf's)",
        "dropped",
        "a copy of the object, with Secrets' values in it",
    ),
    Line(
        "*",
        "annotation backstay.dev/restoring",
        "dropped",
        "Backstay's own, while it fills a claim",
    ),
    Line(
        "*",
        "annotation backstay.dev/captured-fingerprints",
        "dropped",
        "of a file that is encrypted with SOPS; who applied that brought it along",
    ),
    Line(
        "*",
        "finalizers of the API server and its controllers",
        "dropped",
        "put on again wherever they apply; without their controller nothing could be deleted",
    ),
    Line("namespace", "spec.finalizers", "dropped", "the API server writes them"),
    Line(
        "namespace",
        "label kubernetes.io/metadata.name",
        "dropped",
        "the API server writes it",
    ),
    Line(
        "serviceaccount",
        "secrets, imagePullSecrets: `<name>-token-*`, `<name>-dockercfg-*`",
        "dropped",
        "made by the cluster for this very account",
    ),
    Line(
        "secret (service account token)",
        "data token, ca.crt, namespace; annotation service-account.uid; legacy-token labels",
        "dropped",
        "the cluster fills them in; an old token opens nothing",
    ),
    *rules_network.TABLE,
    *rules_workloads.TABLE,
    *rules_storage.TABLE,
    Line(
        "customresourcedefinition",
        "spec.preserveUnknownFields: false, spec.conversion: {strategy: None}",
        "dropped",
        "the API server's defaults",
    ),
    Line(
        "horizontalpodautoscaler",
        "annotations autoscaling.alpha.kubernetes.io/conditions, current-metrics",
        "dropped",
        "status in the form of an older version",
    ),
    Line(
        "clusterrole",
        "rules, where aggregationRule is set",
        "dropped",
        "gathered by a controller from other roles",
    ),
    Line(
        "application.argoproj.io",
        "operation",
        "dropped",
        "a command under way, not a wish; creating it again would run it again",
    ),
)
