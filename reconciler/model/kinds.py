"""Kinds that Backstay itself works with, as the API server serves them: one place for each."""

from __future__ import annotations

from reconciler.model.objects import Resource


def _kind(group: str, kind: str, plural: str, *, namespaced: bool = True) -> Resource:
    return Resource(group=group, version="v1", kind=kind, plural=plural, namespaced=namespaced)


NAMESPACES = _kind("", "Namespace", "namespaces", namespaced=False)
CLAIMS = _kind("", "PersistentVolumeClaim", "persistentvolumeclaims")
CONFIG_MAPS = _kind("", "ConfigMap", "configmaps")
EVENTS = _kind("", "Event", "events")
PODS = _kind("", "Pod", "pods")
SECRETS = _kind("", "Secret", "secrets")
SERVICE_ACCOUNTS = _kind("", "ServiceAccount", "serviceaccounts")
CRON_JOBS = _kind("batch", "CronJob", "cronjobs")
JOBS = _kind("batch", "Job", "jobs")
STATEFUL_SETS = _kind("apps", "StatefulSet", "statefulsets")
DEPLOYMENTS = _kind("apps", "Deployment", "deployments")
STORAGE_CLASSES = _kind("storage.k8s.io", "StorageClass", "storageclasses", namespaced=False)
SNAPSHOT_CLASSES = _kind(
    "snapshot.storage.k8s.io", "VolumeSnapshotClass", "volumesnapshotclasses", namespaced=False
)
SNAPSHOTS = _kind("snapshot.storage.k8s.io", "VolumeSnapshot", "volumesnapshots")
SNAPSHOT_CONTENTS = _kind(
    "snapshot.storage.k8s.io", "VolumeSnapshotContent", "volumesnapshotcontents", namespaced=False
)
ADMISSION_POLICIES = _kind(
    "admissionregistration.k8s.io",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
ADMISSION_BINDINGS = _kind(
    "admissionregistration.k8s.io",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
BACKUP_POLICIES = Resource(
    group="backstay.dev",
    version="v1alpha1",
    kind="BackupPolicy",
    plural="backuppolicies",
    namespaced=True,
)
LEASES = _kind("coordination.k8s.io", "Lease", "leases")
