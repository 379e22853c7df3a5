"""Live object → what a person would have written: the server's own fields go.

A deny-list, never an allow-list: an unknown field of an unknown kind is kept. What holds for every
kind is here, what holds for one kind is in `reconciler.capture.rules` and the modules it names.

The promise that decides each case: capture, delete, create again from the captured text, capture
again, and the bytes are the same. So whatever a new object gets anew (uid, cluster IP, node,
generated selector) must go, and what cannot be worked out again from the text (a finished Job, a
node port somebody chose, an owner) is worked out here, before its source is dropped. It is kept as
an annotation ``backstay.dev/captured-…`` where the object has no field for it.

The raw object is never changed: what is cleaned is copied first, as deep as it is cleaned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.capture import rules
from reconciler.capture.kept import FINGERPRINTS, OWNERS
from reconciler.model import naming
from reconciler.model.objects import Resource, folder_of

SERVER_METADATA = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "ownerReferences",
    }
)
# Whole earlier versions of the object, as tools keep them (they hold Secrets' values too), and how
# far a restore of ours has come.
DROPPED_ANNOTATIONS = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "kapp.k14s.io/original",
        "objectset.rio.cattle.io/applied",
        "banzaicloud.com/last-applied",
        "kopf.zalando.org/last-handled-configuration",
        naming.RESTORING,
        FINGERPRINTS,
    }
)
# Put on by the API server or its controllers whenever the object is there.
SERVER_FINALIZERS = frozenset(
    {
        "kubernetes.io/pvc-protection",
        "kubernetes.io/pv-protection",
        "kubernetes.io/pv-controller",
        "kubernetes.io/vac-protection",
        "external-provisioner.volume.kubernetes.io/finalizer",
        "service.kubernetes.io/load-balancer-cleanup",
        "batch.kubernetes.io/job-tracking",
        "networking.k8s.io/service-cidr-finalizer",
        "resource.kubernetes.io/delete-protection",
        "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection",
        "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection",
        "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection",
        "snapshot.storage.kubernetes.io/pvc-as-source-protection",
        "foregroundDeletion",
        "orphan",
    }
)
# What the attacher of a storage driver puts on volumes, with the driver's name behind it.
ATTACHER = "external-attacher/"


def clean(raw: Mapping[str, Any], resource: Resource) -> dict[str, Any]:
    """The object as it belongs into Git, as a new mapping; ``raw`` stays as it is.

    Secrets still hold their values here: `reconciler.capture.fingerprints` comes after this.
    """
    found = {key: value for key, value in raw.items() if key != "status"}
    found["apiVersion"] = resource.api_version
    found["kind"] = resource.kind
    metadata = raw.get("metadata") or {}
    found["metadata"] = _metadata(metadata)
    rule = rules.BY_KIND.get(resource.folder)
    if rule is not None:
        rule(found, raw)
    _drop_empty(found["metadata"])
    return found


def _metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: value for key, value in metadata.items() if key not in SERVER_METADATA}
    annotations = metadata.get("annotations") or {}
    # Always a copy: rules per kind write into it.
    kept = {key: value for key, value in annotations.items() if key not in DROPPED_ANNOTATIONS}
    owners = metadata.get("ownerReferences")
    if owners:
        first = sorted(owners, key=lambda owner: (not owner.get("controller"), _owner(owner)))
        kept[OWNERS] = ", ".join(map(_owner, first))
    found["annotations"] = kept
    finalizers = metadata.get("finalizers")
    if finalizers:
        found["finalizers"] = [name for name in finalizers if not _is_servers(name)]
    return found


def _is_servers(finalizer: str) -> bool:
    return finalizer in SERVER_FINALIZERS or finalizer.startswith(ATTACHER)


def _owner(reference: Mapping[str, Any]) -> str:
    group, _, _ = str(reference.get("apiVersion", "")).rpartition("/")
    return f"{folder_of(group, str(reference.get('kind', '')))}/{reference.get('name', '')}"


def _drop_empty(metadata: dict[str, Any]) -> None:
    for key in ("annotations", "labels", "finalizers"):
        if key in metadata and not metadata[key]:
            del metadata[key]
