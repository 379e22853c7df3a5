"""As whom a claim's data is used, read from captured workloads. Pure.

A mover without root must write restored files as the user that will read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PodIds:
    """Ids of a pod's securityContext; None where it says nothing."""

    user: int | None = None
    group: int | None = None
    fs_group: int | None = None


def ids_by_claim(manifests: Iterable[Object]) -> dict[tuple[str, str], PodIds]:
    """(namespace, claim) → ids of the first workload, by name, that mounts it."""
    found: dict[tuple[str, str], PodIds] = {}
    for manifest in manifests:
        metadata = manifest.get("metadata") or {}
        namespace = str(metadata.get("namespace") or "")
        spec = manifest.get("spec") or {}
        for pod in _pod_specs(manifest.get("kind"), spec):
            ids = _ids(pod)
            for claim in _claims(pod, metadata, spec):
                found.setdefault((namespace, claim), ids)
    return found


def _pod_specs(kind: object, spec: Object) -> Iterator[Object]:
    if kind == "Pod":
        yield spec
    job = ((spec.get("jobTemplate") or {}).get("spec")) or {}
    for holder in (spec, job):
        template = holder.get("template")
        if isinstance(template, Mapping) and isinstance(template.get("spec"), Mapping):
            yield template["spec"]


def _claims(pod: Object, metadata: Object, spec: Object) -> Iterator[str]:
    for volume in pod.get("volumes") or ():
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim:
            yield str(claim)
    ordinals = spec.get("replicas", 1)
    for template in spec.get("volumeClaimTemplates") or ():
        name = (template.get("metadata") or {}).get("name")
        first = int((spec.get("ordinals") or {}).get("start") or 0)
        for ordinal in range(first, first + int(ordinals or 0)):
            yield f"{name}-{metadata.get('name')}-{ordinal}"


def _ids(pod: Object) -> PodIds:
    own = pod.get("securityContext") or {}
    containers = [c.get("securityContext") or {} for c in pod.get("containers") or ()]

    def agreed(key: str) -> int | None:
        values = {container.get(key, own.get(key)) for container in containers}
        value = values.pop() if len(values) == 1 else own.get(key)
        return value if isinstance(value, int) else None

    return PodIds(agreed("runAsUser"), agreed("runAsGroup"), own.get("fsGroup"))
