"""Claims and volumes: the tie to a piece of storage goes, what was asked for stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.capture.fields import Line, annotate, child, drop, drop_annotations
from reconciler.capture.kept import DATA_SOURCE
from reconciler.model.objects import folder_of

BINDING = (
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "pv.kubernetes.io/migrated-to",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/storage-resizer",
    "volume.kubernetes.io/selected-node",
)

TABLE = (
    Line(
        "persistentvolumeclaim",
        "spec.volumeName, where the binding was made by the controller",
        "dropped",
        "a new claim gets a new volume; the volume's manifest names the claim",
    ),
    Line(
        "persistentvolumeclaim",
        "spec: dataSource, dataSourceRef",
        f"kept as annotation `{DATA_SOURCE}`",
        "used once, when the claim was filled; its data comes from restic, the source may be gone",
    ),
    Line(
        "persistentvolumeclaim, persistentvolume",
        "annotations of binding, provisioning and node selection",
        "dropped",
        "controllers write them",
    ),
    Line(
        "persistentvolume, volumesnapshotcontent",
        "uid and resourceVersion in spec.claimRef, spec.volumeSnapshotRef",
        "dropped",
        "a new claim has another uid; the name still reserves the volume for it",
    ),
)


def claim(found: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """A claim that somebody tied to a volume by name keeps the name."""
    spec = child(found, "spec")
    annotations = (raw.get("metadata") or {}).get("annotations") or {}
    if "pv.kubernetes.io/bound-by-controller" in annotations:
        drop(spec, "volumeName")
    source = spec.get("dataSourceRef") or spec.get("dataSource")
    if isinstance(source, dict):
        folder = folder_of(str(source.get("apiGroup") or ""), str(source.get("kind", "")))
        annotate(found, DATA_SOURCE, f"{folder}/{source.get('name', '')}")
    drop(spec, "dataSource", "dataSourceRef")
    drop_annotations(found, *BINDING)


def volume(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    """``pv.kubernetes.io/provisioned-by`` stays: it tells restore that the volume was dynamic."""
    drop(child(found, "spec", "claimRef"), "uid", "resourceVersion")
    drop_annotations(found, *BINDING)


def snapshot_content(found: dict[str, Any], _raw: Mapping[str, Any]) -> None:
    """The content of a VolumeSnapshot."""
    drop(child(found, "spec", "volumeSnapshotRef"), "uid", "resourceVersion")
