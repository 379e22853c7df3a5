"""Live objects as an API server sends them, shortened to what the rules look at."""

from __future__ import annotations

from typing import Any

from reconciler.model.objects import Resource


def resource(
    folder: str, *, version: str = "v1", namespaced: bool = True, kind: str = "", plural: str = ""
) -> Resource:
    """From ``deployment.apps``; the kind is the capitalised word unless it is given."""
    word, _, group = folder.partition(".")
    return Resource(
        group=group,
        version=version,
        kind=kind or KINDS.get(word, word.capitalize()),
        plural=plural or f"{word}s",
        namespaced=namespaced,
    )


KINDS = {
    "configmap": "ConfigMap",
    "serviceaccount": "ServiceAccount",
    "replicaset": "ReplicaSet",
    "daemonset": "DaemonSet",
    "statefulset": "StatefulSet",
    "cronjob": "CronJob",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "persistentvolume": "PersistentVolume",
    "customresourcedefinition": "CustomResourceDefinition",
    "clusterrole": "ClusterRole",
    "clusterrolebinding": "ClusterRoleBinding",
    "rolebinding": "RoleBinding",
    "storageclass": "StorageClass",
    "priorityclass": "PriorityClass",
    "ingressclass": "IngressClass",
    "runtimeclass": "RuntimeClass",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "endpointslice": "EndpointSlice",
    "apiservice": "APIService",
    "validatingwebhookconfiguration": "ValidatingWebhookConfiguration",
    "volumesnapshotcontent": "VolumeSnapshotContent",
    "podtemplate": "PodTemplate",
    "volumeattributesclass": "VolumeAttributesClass",
    "volumesnapshot": "VolumeSnapshot",
    "volumesnapshotclass": "VolumeSnapshotClass",
    "gatewayclass": "GatewayClass",
    "deviceclass": "DeviceClass",
    "mutatingwebhookconfiguration": "MutatingWebhookConfiguration",
}


def live(name: str, *, namespace: str = "shop", **fields: Any) -> dict[str, Any]:
    """An object with everything in its metadata that a server writes."""
    metadata: dict[str, Any] = {
        "name": name,
        "uid": "9d0f8f6a-6c1e-4a55-b3ab-5c8d3a3c9f10",
        "resourceVersion": "81234",
        "generation": 3,
        "creationTimestamp": "2026-11-21T04:17:03Z",
        "selfLink": f"/api/v1/{name}",
        "managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {}}],
    }
    if namespace:
        metadata["namespace"] = namespace
    metadata.update(fields.pop("metadata", {}))
    return {"metadata": metadata, **fields}


def owned_by(kind: str, name: str, api_version: str = "apps/v1") -> dict[str, Any]:
    """Metadata of an object that a controller made."""
    reference = {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": "1",
        "controller": True,
    }
    return {"ownerReferences": [reference]}


def managed(spec: dict[str, Any], *, manager: str = "kubectl") -> dict[str, Any]:
    """Metadata that says who set which fields of the spec."""
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": spec},
    }
    return {"managedFields": [entry]}
