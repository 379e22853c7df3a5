"""Manifests of a namespace that is mapped, and the shortest way to their copies."""

from __future__ import annotations

from typing import Any

from reconciler.capture import paths
from reconciler.model.objects import ObjectRef, folder_of
from reconciler.plan.mapping import map_stored
from reconciler.plan.mappingtaken import Taken
from reconciler.plan.restore import Stored

NAMES = {"shop": "shop2"}
RBAC = "rbac.authorization.k8s.io"
HOOKS = "admissionregistration.k8s.io"


def path_of(ref: ObjectRef) -> str:
    """Where a manifest lies."""
    return paths.path_of(ref.namespace, ref.group, ref.kind, ref.name)


def captured(kind: str, name: str, namespace: str = "shop", **fields: Any) -> Stored:
    """A manifest of a recovery point; ``kind`` may have its group in front: apps/Deployment."""
    group, _, kind = kind.rpartition("/")
    metadata: dict[str, Any] = {"name": name, **fields.pop("metadata", {})}
    if namespace:
        metadata["namespace"] = namespace
    ref = ObjectRef(group=group, kind=kind, namespace=namespace, name=name)
    return Stored(
        path=path_of(ref),
        folder=folder_of(group, kind),
        ref=ref,
        manifest={
            "apiVersion": f"{group}/v1" if group else "v1",
            "kind": kind,
            "metadata": metadata,
            **fields,
        },
    )


def mapped(
    *found: Stored, names: dict[str, str] | None = None, taken: Taken | None = None
) -> tuple[Stored, ...]:
    """What is restored in place of these."""
    given = NAMES if names is None else names
    return map_stored(found, given, taken or Taken(), path_of=path_of)


def copy_of(
    found: Stored, *others: Stored, names: dict[str, str] | None = None, taken: Taken | None = None
) -> Stored:
    """The one copy of ``found``, captured together with ``others``."""
    made = mapped(found, *others, names=names, taken=taken)
    (copy,) = (one for one in made if one.source == found.path)
    return copy
