"""Raw objects of the cluster → the values that selection and plans work with. Pure.

Who reads them is `reconciler.engine.observe`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from reconciler.model import naming
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.errors import BackstayError
from reconciler.model.objects import Gap, Resource

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([KMGTPE]i)|([numkMGTPE]))?", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = "KMGTPE"

Raw = Mapping[str, Any]


def namespace_of(raw: Raw) -> Namespace:
    """A Namespace object."""
    metadata = raw["metadata"]
    return Namespace(
        name=metadata["name"],
        labels=dict(metadata.get("labels") or {}),
        annotations=dict(metadata.get("annotations") or {}),
        terminating="deletionTimestamp" in metadata,
        uid=metadata.get("uid", ""),
        created=_created(metadata),
    )


def _created(metadata: Raw) -> datetime | None:
    try:
        return datetime.fromisoformat(metadata.get("creationTimestamp") or "").astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None  # a manifest that was never applied, or what somebody wrote into one


def claim_of(raw: Raw) -> Claim:
    """A PersistentVolumeClaim; a size that is not a quantity counts as 0."""
    metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
    requests = (spec.get("resources") or {}).get("requests") or {}
    return Claim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        storage_class=spec.get("storageClassName") or "",
        phase=status.get("phase") or "",
        volume_mode=spec.get("volumeMode") or "Filesystem",
        access_modes=tuple(spec.get("accessModes") or ()),
        size=quantity(str(requests.get("storage", "0"))),
        terminating="deletionTimestamp" in metadata,
        uid=metadata.get("uid", ""),
        restoring=(metadata.get("annotations") or {}).get(naming.RESTORING, ""),
        created=_created(metadata),
        capacity=quantity(str((status.get("capacity") or {}).get("storage", "0"))),
        ours=_is_copy(metadata, spec),
    )


def _is_copy(metadata: Raw, spec: Raw) -> bool:
    """Whether a claim is one that a mover's copy is mounted by, name, label and source.

    The label alone is no proof: whoever sets it on a claim must not take its data out of backups.
    """
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    told = [annotations.get(key, "") for key in (naming.RUN, naming.NAMESPACE, naming.CLAIM)]
    name, source = metadata["name"], spec.get("dataSource") or {}
    if labels.get(naming.COMPONENT) != "copy" or not all(told) or naming.mover_name(*told) != name:
        return False
    of_snapshot = (source.get("kind"), source.get("name")) == ("VolumeSnapshot", name)
    beside = metadata.get("namespace") == told[1]
    of_claim = (source.get("kind"), source.get("name")) == ("PersistentVolumeClaim", told[2])
    return of_snapshot or (beside and of_claim)


def quantity(text: str) -> int:
    """A Kubernetes quantity in whole units, rounded up: ``1Gi`` → 1073741824, ``1500m`` → 2.

    Grammar: k8s.io/apimachinery ``resource.Quantity``. Anything else is 0.
    """
    found = _QUANTITY.fullmatch(text.strip())
    if found is None or found[1].count(".") > 1 or not any(c.isdigit() for c in found[1]):
        return 0
    number = Decimal(found[1])
    if found[2]:
        exponent = int(found[2][1:])
        if abs(exponent) > 18:
            return 0
        number = number.scaleb(exponent)
    elif found[3]:
        number *= Decimal(1024) ** (_BINARY.index(found[3][0]) + 1)
    elif found[4]:
        number = number.scaleb(_DECIMAL[found[4]])
    return math.ceil(number)


def claim_users(pods: Iterable[Raw]) -> dict[str, ClaimUser]:
    """claim → the pod that mounts it, of one namespace's pods.

    Running pods come before those that only have a node yet, then the first by name; movers of
    ours and pods that ended use nothing. Ids are those of the containers that mount the claim
    where these agree, else the pod's.
    """
    users: dict[str, ClaimUser] = {}
    for pod in sorted((pod for pod in pods if _counts(pod)), key=_order):
        for volume, claim in _claims_of(pod):
            if claim not in users:
                users[claim] = _user(pod, volume)
    return users


def waiting_pods(pods: Iterable[Raw]) -> dict[str, str]:
    """claim → a pod that names it and has not ended, on a node or not; movers do not count."""
    found: dict[str, str] = {}
    for pod in pods:
        ended = (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
        if ended or naming.COMPONENT in (pod["metadata"].get("labels") or {}):
            continue
        for _, claim in _claims_of(pod):
            found.setdefault(claim, pod["metadata"]["name"])
    return found


def gap_of(resource: Resource, error: BackstayError, *, namespace: str = "") -> Gap:
    """The gap that a list which could not be read leaves (Refused, Incomplete)."""
    return Gap(
        group=resource.group,
        plural=resource.plural,
        namespace=namespace,
        folder=resource.folder,
        reason=error.message,
    )


def _counts(pod: Raw) -> bool:
    if naming.COMPONENT in (pod["metadata"].get("labels") or {}):
        return False
    phase = (pod.get("status") or {}).get("phase")
    return phase in {"Running", "Pending"} and bool((pod.get("spec") or {}).get("nodeName"))


def _order(pod: Raw) -> tuple[bool, bool, str]:
    return (
        pod["status"]["phase"] != "Running",
        "deletionTimestamp" in pod["metadata"],
        pod["metadata"]["name"],
    )


def _claims_of(pod: Raw) -> Iterator[tuple[str, str]]:
    """(volume, claim); a generic ephemeral volume's claim is named after pod and volume."""
    for volume in pod["spec"].get("volumes") or ():
        if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
            yield volume["name"], claim
        elif volume.get("ephemeral"):
            yield volume["name"], f"{pod['metadata']['name']}-{volume['name']}"


def _user(pod: Raw, volume: str) -> ClaimUser:
    spec = pod["spec"]
    own = spec.get("securityContext") or {}
    mounting = [
        container.get("securityContext") or {}
        for container in spec.get("containers") or ()
        if any(mount.get("name") == volume for mount in container.get("volumeMounts") or ())
    ]
    return ClaimUser(
        pod=pod["metadata"]["name"],
        node=spec["nodeName"],
        run_as_user=_agreed("runAsUser", mounting, own),
        run_as_group=_agreed("runAsGroup", mounting, own),
        fs_group=own.get("fsGroup"),
        supplemental_groups=tuple(own.get("supplementalGroups") or ()),
        tolerations=tuple(spec.get("tolerations") or ()),
    )


def _agreed(key: str, containers: list[Raw], pod: Raw) -> int | None:
    values = {container.get(key, pod.get(key)) for container in containers}
    found = values.pop() if len(values) == 1 else pod.get(key)
    return found if isinstance(found, int) else None
