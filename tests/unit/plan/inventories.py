"""A small cluster, as the API server serves it, and the inventory that it gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.model.inventory import Inventory, PointDigest
from reconciler.model.run import Outcome
from reconciler.plan.inventory import About, Objects, make_inventory

UID = "7c1e9000-0000-4000-8000-000000000001"
TAKEN = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
TIP = "4be1c9" + "0" * 34
ABOUT = About(
    cluster="prod-eu",
    labels={"env": "prod"},
    taken=TAKEN,
    revision="main@sha1:" + "4be1c9" + "0" * 34,
)


def named(kind: str, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    """An object; ``more`` stands beside its metadata, or in it for labels, annotations, owners."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    for key in ("labels", "annotations", "ownerReferences", "uid", "deletionTimestamp"):
        if key in more:
            metadata[key] = more.pop(key)
    return {"kind": kind, "metadata": metadata, **more}


def claim(namespace: str, name: str, size: str = "10Gi", **spec: Any) -> dict[str, Any]:
    """A bound claim."""
    return named(
        "PersistentVolumeClaim",
        name,
        namespace,
        uid=f"uid-{name}",
        spec={
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "fast",
            "resources": {"requests": {"storage": size}},
            **spec,
        },
        status={"phase": "Bound"},
    )


def pod(
    namespace: str, name: str, claim_name: str, owner: str = "", **labels: str
) -> dict[str, Any]:
    """A running pod that mounts a claim; ``owner`` is kind and name."""
    kind, _, owner_name = owner.partition("/")
    owners = [{"kind": kind, "name": owner_name, "uid": "x", "controller": True}] if owner else []
    return named(
        "Pod",
        name,
        namespace,
        labels=labels,
        ownerReferences=owners,
        spec={
            "nodeName": "node-1",
            "containers": [
                {
                    "name": "main",
                    "image": "postgres",
                    "env": [{"name": "PASSWORD", "value": "hunter2"}],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}},
                {"name": "config", "configMap": {"name": "x"}},
            ],
        },
        status={"phase": "Running"},
    )


OBJECTS = Objects(
    namespaces=[
        named("Namespace", "shop", labels={"team": "a", "env": "prod"}, uid="1"),
        named("Namespace", "kube-system", uid=UID),
        named(
            "Namespace",
            "blog",
            annotations={"backstay.dev/privileged-movers": "true", "note": "hunter2"},
        ),
        named("Namespace", "aux", deletionTimestamp="2026-11-21T04:00:00Z"),
    ],
    claims=[
        claim("shop", "data-db-1"),
        claim("shop", "data-db-0"),
        claim("shop", "uploads", "1500Mi", accessModes=["ReadWriteMany"], storageClassName="nfs"),
        claim("blog", "raw", volumeMode="Block"),
        claim("younger", "came-between-two-lists"),
    ],
    pods=[
        pod("shop", "db-0", "data-db-0", "StatefulSet/db"),
        pod(
            "shop",
            "web-6d4f9-x7k2p",
            "uploads",
            "ReplicaSet/web-6d4f9",
            **{"pod-template-hash": "6d4f9"},
        ),
        pod("blog", "report-29384756-abcde", "raw", "Job/report-29384756"),
        pod("shop", "bare", "data-db-1"),
    ],
    stateful_sets=[
        named(
            "StatefulSet",
            "db",
            "shop",
            spec={
                "replicas": 2,
                "template": {"spec": {"containers": [{"env": [{"value": "hunter2"}]}]}},
                "volumeClaimTemplates": [
                    {
                        "metadata": {"name": "data"},
                        "spec": {
                            "storageClassName": "fast",
                            "resources": {"requests": {"storage": "10Gi"}},
                        },
                    }
                ],
            },
        )
    ],
    storage_classes=[
        named("StorageClass", "nfs", provisioner="nfs.example.org", parameters={"p": "hunter2"}),
        named(
            "StorageClass",
            "fast",
            annotations={"storageclass.kubernetes.io/is-default-class": "true"},
            provisioner="csi.example.org",
        ),
    ],
    snapshot_classes=[named("VolumeSnapshotClass", "fast-snap", driver="csi.example.org")],
)


def digest(policy: str, day: int, **claims: tuple[str, ...]) -> PointDigest:
    """A complete run on a day of November, with these claims by namespace."""
    return PointDigest(
        policy=policy,
        run=f"{policy}-202611{day:02}-021700-7c1e9",
        started=datetime(2026, 11, day, 2, 17, tzinfo=UTC),
        outcome=Outcome.COMPLETED,
        namespaces=dict.fromkeys(claims, Outcome.COMPLETED),
        claims={name: held for name, held in claims.items() if held},
    )


POINTS = (
    digest("shop", 19, shop=("data-db-0", "uploads")),
    digest("blog", 20, blog=()),
    digest("shop", 20, shop=("data-db-0", "uploads")),
    digest("shop", 21, shop=("data-db-0", "data-db-1", "uploads")),
)


def small() -> Inventory:
    """The inventory of it all."""
    return make_inventory(ABOUT, OBJECTS, POINTS)
