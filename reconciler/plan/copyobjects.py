"""The Kubernetes objects of one volume's copy, beside its mover: snapshot, content, claim. Pure.

All of one copy have its mover's name, and say in annotations whose they are. A snapshot is taken in
the claim's namespace and mounted in Backstay's own, through a second content with the same handle:
so the keys of a repository never enter the namespace of an application. That second content
always says `Retain`: with `Delete`, its removal would destroy what the first one is of. A clone
can't leave its namespace, so there its mover goes to it.

What lies in the namespace of the Job is owned by it, so that Kubernetes takes it along.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model import kinds, naming
from reconciler.model.objects import ObjectRef, Resource
from reconciler.model.volumes import CopyKind, Leftover, MoveTask, VolumeCopy
from reconciler.plan import observe
from reconciler.plan.moverjob import copy_annotations, name_of, place_of

COMPONENT_COPY = "copy"

Raw = Mapping[str, Any]
Mine = MoveTask | Leftover


def make_snapshot(task: MoveTask, copy: VolumeCopy) -> dict[str, Any]:
    """The snapshot of the claim, beside it."""
    source = {"persistentVolumeClaimName": task.claim}
    spec = {"source": source, "volumeSnapshotClassName": copy.snapshot_class}
    return {**_head(kinds.SNAPSHOTS, task, task.namespace), "spec": spec}


def make_content(task: MoveTask, copy: VolumeCopy, bound: Raw) -> dict[str, Any]:
    """A second content of what ``bound`` is of, for Backstay's own namespace."""
    spec = bound["spec"]
    wanted: dict[str, Any] = {
        "deletionPolicy": "Retain",
        "driver": spec["driver"],
        "source": {"snapshotHandle": handle_of(bound)},
        "sourceVolumeMode": spec.get("sourceVolumeMode") or "Filesystem",
        "volumeSnapshotRef": {"name": name_of(task), "namespace": copy.home},
    }
    if spec.get("volumeSnapshotClassName"):
        # Where a driver's keys to list snapshots are named.
        wanted["volumeSnapshotClassName"] = spec["volumeSnapshotClassName"]
    return {**_head(kinds.SNAPSHOT_CONTENTS, task, ""), "spec": wanted}


def make_handover(task: MoveTask, copy: VolumeCopy, job_uid: str) -> dict[str, Any]:
    """The snapshot in Backstay's own namespace, of that content."""
    source = {"volumeSnapshotContentName": name_of(task)}
    return {
        **_head(kinds.SNAPSHOTS, task, copy.home, owner=job_uid),
        "spec": {"source": source},
    }


def make_claim(
    task: MoveTask, copy: VolumeCopy, job_uid: str, *, restore_size: str = ""
) -> dict[str, Any]:
    """The claim that the mover mounts, from the snapshot or from the claim itself.

    A driver may want more room for what is in a snapshot than the claim has: ``restore_size``.
    """
    cloned = copy.method is CopyKind.CLONE
    source: dict[str, str] = {"kind": kinds.CLAIMS.kind, "name": task.claim}
    if not cloned:
        api = kinds.SNAPSHOTS
        source = {"apiGroup": api.group, "kind": api.kind, "name": name_of(task)}
    size = max(copy.size, observe.quantity(restore_size))
    return {
        **_head(kinds.CLAIMS, task, place_of(task), owner=job_uid),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "dataSource": source,
            "resources": {"requests": {"storage": str(size)}},
            "storageClassName": copy.storage_class,
            "volumeMode": "Filesystem",
        },
    }


def is_copy_of(one: Mine, raw: Raw) -> bool:
    """Whether an object is ours and was made for this very task."""
    metadata = raw.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return (
        one.copy is not None
        and labels.get(naming.COMPONENT) == COMPONENT_COPY
        and metadata.get("name") == name_of(one)
        and annotations.get(naming.POLICY) == one.policy
        and annotations.get(naming.HOME) == one.copy.home
        and annotations.get(naming.RUN) == one.run_id
        and annotations.get(naming.CLAIM) == one.claim
        and annotations.get(naming.NAMESPACE) == one.namespace
    )


def is_content_of(snapshot: Raw, content: Raw) -> bool:
    """Whether a content is this snapshot's by its own word, which no tenant can write.

    The other way round proves nothing: whoever may write a snapshot's status can name in it the
    content of another namespace.
    """
    found = (content.get("spec") or {}).get("volumeSnapshotRef") or {}
    metadata = snapshot["metadata"]
    return (found.get("uid"), found.get("namespace"), found.get("name")) == (
        metadata.get("uid"),
        metadata.get("namespace"),
        metadata.get("name"),
    )


def dynamic_name(snapshot: Raw) -> str:
    """What the cluster calls the content that it makes for a snapshot, whatever its status says.

    Source: external-snapshotter, `GetDynamicSnapshotContentNameForSnapshot`.
    """
    return f"snapcontent-{snapshot['metadata'].get('uid', '')}"


def bound_name(snapshot: Raw) -> str:
    """The content that a snapshot says is its own; empty until there is one."""
    return str((snapshot.get("status") or {}).get("boundVolumeSnapshotContentName") or "")


def handle_of(content: Raw) -> str:
    """What the driver calls the snapshot; empty until it is there."""
    return str((content.get("status") or {}).get("snapshotHandle") or "")


def reference(resource: Resource, raw: Raw) -> ObjectRef:
    """What to delete."""
    metadata = raw["metadata"]
    return ObjectRef(
        group=resource.group,
        kind=resource.kind,
        namespace=metadata.get("namespace") or "",
        name=metadata["name"],
    )


def _head(resource: Resource, task: MoveTask, namespace: str, *, owner: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name_of(task),
        "labels": naming.labels(COMPONENT_COPY, policy=task.policy, run_id=task.run_id),
        "annotations": {
            naming.POLICY: task.policy,
            naming.RUN: task.run_id,
            naming.CLAIM: task.claim,
            **copy_annotations(task),
        },
    }
    if namespace:
        metadata["namespace"] = namespace
    if owner:
        job = {"apiVersion": "batch/v1", "kind": "Job", "name": name_of(task), "uid": owner}
        metadata["ownerReferences"] = [job]
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
