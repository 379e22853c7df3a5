"""As whom a claim's data is used, read from captured workloads. Pure.

A mover without root must write restored files as the user that will read them. Custom kinds that
have a pod template count as well, so nothing is taken for granted about a shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Place = tuple[str, str]
"""(namespace, claim)"""


@dataclass(frozen=True, slots=True)
class PodIds:
    """Ids of a pod's securityContext; None where it says nothing."""

    user: int | None = None
    group: int | None = None
    fs_group: int | None = None


def ids_by_claim(manifests: Iterable[Object]) -> dict[Place, PodIds]:
    """(namespace, claim) → ids of the first workload, in the order given, that mounts it."""
    found: dict[Place, PodIds] = {}
    claims: list[Place] = []
    patterns: list[tuple[str, re.Pattern[str], PodIds]] = []
    for manifest in manifests:
        metadata, spec = _map(manifest.get("metadata")), _map(manifest.get("spec"))
        namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        if manifest.get("kind") == "PersistentVolumeClaim":
            claims.append((namespace, name))
        for pod in _pod_specs(manifest.get("kind"), spec):
            ids = _ids(pod)
            for claim in _mounted(pod):
                found.setdefault((namespace, claim), ids)
            for template in _names_of_templates(spec):
                ordinal = re.compile(rf"{re.escape(template)}-{re.escape(name)}-\d+")
                patterns.append((namespace, ordinal, ids))
    # By name and not by the number of replicas: one that was scaled down has its claims still.
    for place in claims:
        for namespace, pattern, ids in patterns:
            if place not in found and place[0] == namespace and pattern.fullmatch(place[1]):
                found[place] = ids
    return found


def _map(value: object) -> Object:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Iterator[Object]:
    for item in value if isinstance(value, list | tuple) else ():
        yield _map(item)


def _pod_specs(kind: object, spec: Object) -> Iterator[Object]:
    if kind == "Pod":
        yield spec
    job = _map(_map(spec.get("jobTemplate")).get("spec"))
    for holder in (spec, job):
        pod = _map(holder.get("template")).get("spec")
        if isinstance(pod, Mapping):
            yield pod


def _mounted(pod: Object) -> Iterator[str]:
    for volume in _items(pod.get("volumes")):
        claim = _map(volume.get("persistentVolumeClaim")).get("claimName")
        if claim:
            yield str(claim)


def _names_of_templates(spec: Object) -> Iterator[str]:
    """A StatefulSet's claims are named ``<template>-<set>-<ordinal>``."""
    for template in _items(spec.get("volumeClaimTemplates")):
        name = _map(template.get("metadata")).get("name")
        if name:
            yield str(name)


def _ids(pod: Object) -> PodIds:
    own = _map(pod.get("securityContext"))
    containers = [_map(found.get("securityContext")) for found in _items(pod.get("containers"))]

    def agreed(key: str) -> int | None:
        values = {container.get(key, own.get(key)) for container in containers}
        return _number(values.pop() if len(values) == 1 else own.get(key))

    return PodIds(agreed("runAsUser"), agreed("runAsGroup"), _number(own.get("fsGroup")))


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
