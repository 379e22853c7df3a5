"""Raw objects of a cluster, or of manifests, → its `Inventory`. Pure.

Who reads them is `reconciler.engine.inventory`; how it is written down and read back is
`reconciler.plan.inventoryfiles`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.model import naming
from reconciler.model.cluster import Namespace
from reconciler.model.inventory import (
    ClaimTemplate,
    Inventory,
    NamespaceInventory,
    PointDigest,
    SnapshotClass,
    StorageClass,
)
from reconciler.plan import observe
from reconciler.plan.jsonplaces import NAME, WORKLOAD

Raw = Mapping[str, Any]

_DEFAULTS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
    "snapshot.storage.kubernetes.io/is-default-class",
)
_OF_COPIES = (naming.RUN, naming.NAMESPACE, naming.CLAIM)
_ANNOTATIONS = (naming.PRIVILEGED_MOVERS, naming.RESTORING, *_OF_COPIES, *_DEFAULTS)
_LARGEST = 2**63 - 1
"""Bytes: the largest size that `jsonplaces` reads."""
_CRON_JOBS_JOB = re.compile(r"(.+)-[0-9]{8,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What an inventory is made of, as the API server serves it, in any order."""

    namespaces: Iterable[Raw]
    claims: Iterable[Raw] = ()
    pods: Iterable[Raw] = ()
    """All of these may be whole, or as `slim`, `slim_pod` and `slim_set` leave them."""
    stateful_sets: Iterable[Raw] = ()
    storage_classes: Iterable[Raw] = ()
    snapshot_classes: Iterable[Raw] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What no object says of itself: see the fields of `Inventory`."""

    cluster: str
    uid: str = ""
    """The uid of kube-system; where it is empty, that namespace's own is taken."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taken: datetime | None = None
    revision: str = ""
    own_namespace: str = naming.DEFAULT_NAMESPACE


def make_inventory(about: About, objects: Objects, points: Iterable[PointDigest] = ()) -> Inventory:
    """The inventory, everything sorted.

    What lies in a namespace that is not among ``objects.namespaces`` is left out: it came into
    being while lists were read.
    """
    namespaces = {found.name: found for found in map(observe.namespace_of, objects.namespaces)}
    home = namespaces.get("kube-system")
    claims = _by_namespace(objects.claims)
    pods = _by_namespace(objects.pods)
    sets = _by_namespace(objects.stateful_sets)
    return Inventory(
        cluster=about.cluster,
        uid=about.uid or (home.uid if home else ""),
        labels=dict(sorted(about.labels.items())),
        taken=about.taken,
        revision=about.revision,
        own_namespace=about.own_namespace,
        namespaces=tuple(
            _part(namespaces[name], claims[name], pods[name], sets[name])
            for name in sorted(namespaces)
        ),
        storage_classes=tuple(
            sorted(map(storage_class_of, objects.storage_classes), key=lambda one: one.name)
        ),
        snapshot_classes=tuple(
            sorted(map(snapshot_class_of, objects.snapshot_classes), key=lambda one: one.name)
        ),
        points=tuple(sorted(points, key=lambda point: (point.started, point.policy, point.run))),
    )


def storage_class_of(raw: Raw) -> StorageClass:
    """A StorageClass object."""
    return StorageClass(
        name=raw["metadata"]["name"],
        provisioner=raw.get("provisioner") or "",
        default=_is_default(raw),
    )


def snapshot_class_of(raw: Raw) -> SnapshotClass:
    """A VolumeSnapshotClass object."""
    return SnapshotClass(
        name=raw["metadata"]["name"], driver=raw.get("driver") or "", default=_is_default(raw)
    )


def templates_of(raw: Raw) -> tuple[ClaimTemplate, ...]:
    """The claim templates of a StatefulSet object, by name.

    The API server takes anything for them, also no name and a negative size, and a template that
    no claim can come of must not end the inventory of a cluster: those with a name that no claim
    can have are left out, and a size that none can have is cut.
    """
    spec = raw.get("spec") or {}
    replicas = spec.get("replicas")
    found = []
    for template in spec.get("volumeClaimTemplates") or ():
        wanted = template.get("spec") or {}
        requests = (wanted.get("resources") or {}).get("requests") or {}
        found.append(
            ClaimTemplate(
                workload=raw["metadata"]["name"],
                name=(template.get("metadata") or {}).get("name") or "",
                storage_class=wanted.get("storageClassName") or "",
                size=min(max(0, observe.quantity(str(requests.get("storage", "0")))), _LARGEST),
                replicas=1 if replicas is None else replicas,
            )
        )
    good = (one for one in found if NAME.fullmatch(one.name) and _is_class(one.storage_class))
    return tuple(sorted(good, key=lambda one: one.name))


def _is_class(name: str) -> bool:
    return not name or bool(NAME.fullmatch(name))


def workload_of(pod: Raw) -> str:
    """``StatefulSet/db``: whose pod it is; ``Pod/x`` of one that nobody controls.

    Deployments and CronJobs are told by the names of the ReplicaSets and Jobs that they make. An
    owner may have any name that its pod's author gives it: what is none is not told.
    """
    told = _owner_of(pod)
    return told if WORKLOAD.fullmatch(told) else f"Pod/{pod['metadata']['name']}"


def _owner_of(pod: Raw) -> str:
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or ()
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return f"Pod/{metadata['name']}"
    kind, name = owner["kind"], owner["name"]
    template = (metadata.get("labels") or {}).get("pod-template-hash", "")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        return f"Deployment/{name.removesuffix(f'-{template}')}"
    made = _CRON_JOBS_JOB.fullmatch(name) if kind == "Job" else None
    return f"CronJob/{made[1]}" if made else f"{kind}/{name}"


_TIMES = ("creationTimestamp", "deletionTimestamp")


def slim(raw: Raw) -> dict[str, Any]:
    """What an inventory needs of an object that is neither a pod nor a StatefulSet.

    Most of a claim is what its controllers wrote beside it; of 20,000 that is 200 MiB.
    """
    metadata = raw["metadata"]
    annotations = metadata.get("annotations") or {}
    return {
        "metadata": {
            **_metadata(raw, "name", "namespace", "uid", "labels", *_TIMES),
            "annotations": {key: annotations[key] for key in _ANNOTATIONS if key in annotations},
        },
        **{key: raw[key] for key in ("spec", "provisioner", "driver") if key in raw},
        "status": {"phase": (raw.get("status") or {}).get("phase")},
    }


def slim_pod(raw: Raw) -> dict[str, Any] | None:
    """The same of a pod, None for one without claims."""
    spec = raw.get("spec") or {}
    volumes = [
        volume
        for volume in spec.get("volumes") or ()
        if volume.get("persistentVolumeClaim") or volume.get("ephemeral")
    ]
    if not volumes:
        return None
    containers = [
        {key: one[key] for key in ("securityContext", "volumeMounts") if key in one}
        for one in spec.get("containers") or ()
    ]
    shown = ("nodeName", "securityContext", "tolerations")
    return {
        "metadata": _metadata(
            raw, "name", "namespace", "labels", "ownerReferences", "deletionTimestamp"
        ),
        "spec": {
            **{key: spec[key] for key in shown if key in spec},
            "volumes": volumes,
            "containers": containers,
        },
        "status": {"phase": (raw.get("status") or {}).get("phase")},
    }


def slim_set(raw: Raw) -> dict[str, Any]:
    """The same of a StatefulSet: its pods' template is the most of it."""
    spec = raw.get("spec") or {}
    kept = {key: spec[key] for key in ("replicas", "volumeClaimTemplates") if key in spec}
    return {"metadata": _metadata(raw, "name", "namespace"), "spec": kept}


def _metadata(raw: Raw, *keys: str) -> dict[str, Any]:
    return {key: raw["metadata"][key] for key in keys if key in raw["metadata"]}


def _by_namespace(raws: Iterable[Raw]) -> defaultdict[str, list[Raw]]:
    found: defaultdict[str, list[Raw]] = defaultdict(list)
    for raw in raws:
        found[raw["metadata"].get("namespace") or ""].append(raw)
    return found


def _part(
    namespace: Namespace, claims: Iterable[Raw], pods: Iterable[Raw], sets: Iterable[Raw]
) -> NamespaceInventory:
    known = {pod["metadata"]["name"]: pod for pod in pods}
    users = dict(sorted(observe.claim_users(known.values()).items()))
    known_claims = (one for one in map(observe.claim_of, claims) if not one.ours)
    return NamespaceInventory(
        namespace=namespace,
        claims=tuple(sorted(known_claims, key=lambda claim: claim.name)),
        users=users,
        workloads={claim: workload_of(known[user.pod]) for claim, user in users.items()},
        templates=_templates(sets),
    )


def _templates(sets: Iterable[Raw]) -> tuple[ClaimTemplate, ...]:
    ordered = sorted(sets, key=lambda raw: str(raw["metadata"]["name"]))
    return tuple(template for raw in ordered for template in templates_of(raw))


def _is_default(raw: Raw) -> bool:
    annotations = raw["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in _DEFAULTS)
