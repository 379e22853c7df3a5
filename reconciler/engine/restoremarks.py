"""The mark of what a restore has begun and not ended: `naming.RESTORING`, with the run's id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model import naming
from reconciler.model.volumes import MoveTask

_MANAGER = "backstay"
"""`reconciler.ports.ClusterWriter` writes under this name."""


def mark_for(task: MoveTask) -> str:
    """The mark of a claim that this task fills."""
    source = task.host.rpartition("/")[2]
    return naming.restoring(task.run_id, namespace=task.namespace, source=source)


def marked(manifest: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The manifest with the mark; applying it without takes the mark away."""
    metadata = dict(manifest["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), naming.RESTORING: mark}
    return {**manifest, "metadata": metadata}


def is_marked(raw: Mapping[str, Any]) -> bool:
    """Whether a restore has begun it and not ended."""
    return bool((raw["metadata"].get("annotations") or {}).get(naming.RESTORING))


def is_shared(applied: Mapping[str, Any]) -> bool:
    """Whether an apply that was to create an object met one that somebody else just made."""
    managers = applied["metadata"].get("managedFields") or ()
    return any(entry.get("manager") != _MANAGER for entry in managers)


def bare(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Applied, it gives everything back that an apply of ``manifest`` took: the mark, too."""
    metadata = manifest["metadata"]
    named = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": named}
