"""In which version of its API an object comes back. Pure.

A manifest is of the version that the old cluster preferred. Where this cluster serves that version
too, the object is read and created in it, whatever is preferred here. Where it does not, it is
skipped: what a field became in another version only its operator, or a person, knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reconciler.model.cluster import Discovery
from reconciler.model.objects import Resource, folder_of
from reconciler.plan.restore import CRD, Stored


def served_as_captured(discovery: Discovery, stored: Iterable[Stored]) -> dict[str, Resource]:
    """folder → the kind, in the version that was captured where that is served."""
    served = {found.folder: found for found in discovery.resources}
    exact = {(found.folder, found.version): found for found in discovery.versions}
    for found in stored:
        resource = exact.get((found.folder, version_of(found)))
        if resource is not None:
            served[found.folder] = resource
    return served


def with_obstacles(discovery: Discovery, stored: Sequence[Stored]) -> tuple[Stored, ...]:
    """Says what is served, or will be by the point's own definition, in other versions only."""
    here: Mapping[str, set[str]] = defaultdict(set)
    for resource in (*discovery.resources, *discovery.versions):
        here[resource.folder].add(resource.version)
    promised = _promised(stored)
    return tuple(_with_obstacle(found, here.get(found.folder, set()), promised) for found in stored)


def _with_obstacle(found: Stored, here: set[str], promised: Mapping[str, frozenset[str]]) -> Stored:
    version = version_of(found)
    if found.obstacle or version in here:
        return found
    if here:
        told = ", ".join(sorted(here))
        return replace(
            found,
            obstacle=f"captured as {version}, served here as {told}: convert it by hand, or serve"
            f" {version} until it is there",
        )
    if found.folder in promised and version not in promised[found.folder]:
        told = ", ".join(sorted(promised[found.folder])) or "none"
        return replace(found, obstacle=f"captured as {version}, and its definition serves {told}")
    return found


def _promised(stored: Iterable[Stored]) -> dict[str, frozenset[str]]:
    """folder → the versions that a captured definition serves."""
    found = {}
    for definition in stored:
        if definition.folder == CRD:
            spec = definition.manifest.get("spec") or {}
            kind = str((spec.get("names") or {}).get("kind", ""))
            found[folder_of(str(spec.get("group", "")), kind)] = frozenset(
                str(version.get("name", ""))
                for version in spec.get("versions") or ()
                if version.get("served")
            )
    return found


def version_of(found: Stored) -> str:
    """``v1`` of ``apps/v1``."""
    return str(found.manifest.get("apiVersion", "")).rpartition("/")[2]
