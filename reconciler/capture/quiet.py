"""What is left out of a capture although it could be read, each with its reason.

Left out is what the cluster makes again by itself, what lives for seconds only, and what is
Backstay's own. Two questions: may a whole kind be skipped, so that it is not even listed
(`kind_left_out`), and is this object left out (`object_left_out`)? Both answer with the reason, in
words that stand in the plan and in the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from reconciler.model.naming import COMPONENT
from reconciler.model.objects import Resource

LIVE_GROUPS = {
    "metrics.k8s.io": "measured now, kept nowhere",
    "custom.metrics.k8s.io": "measured now, kept nowhere",
    "external.metrics.k8s.io": "measured now, kept nowhere",
    "authentication.k8s.io": "a question to the API server, not an object",
    "authorization.k8s.io": "a question to the API server, not an object",
    "internal.apiserver.k8s.io": "the API server's own bookkeeping",
}
KINDS = {
    "event": "tells what happened, and expires",
    "event.events.k8s.io": "tells what happened, and expires",
    "lease.coordination.k8s.io": "renewed every few seconds by its holder",
    "leasecandidate.coordination.k8s.io": "renewed every few seconds by its holder",
    "controllerrevision.apps": "history that its controller writes",
    "componentstatus": "not an object, a view of the control plane",
    "binding": "a command to the scheduler, not an object",
    "node": "joins the cluster by itself",
    "csinode.storage.k8s.io": "written by the node's kubelet",
    "volumeattachment.storage.k8s.io": "made by a controller for a pod on a node",
    "csistoragecapacity.storage.k8s.io": "measured by the storage driver",
    "certificatesigningrequest.certificates.k8s.io": "a request that is answered once",
    "ipaddress.networking.k8s.io": "made by the API server for each Service",
    "resourceslice.resource.k8s.io": "written by a driver for a node",
}
OWNED = "made by its owner, and made again with it"
MIRROR = "shows a pod that a node runs from a file of its own"
MAINTAINED = "made by the API server, which keeps it as it is"
OF_COPY = "made by the cluster for a copy of Backstay's"
# Kinds whose objects are left out when a controller owns them; others with an owner are captured.
OWNED_KINDS = frozenset(
    {
        "pod",
        "replicaset.apps",
        "job.batch",
        "replicationcontroller",
        "resourceclaim.resource.k8s.io",
    }
)
PUBLISHED = {
    "kube-root-ca.crt": "published into every namespace by the cluster",
    "openshift-service-ca.crt": "published into every namespace by the cluster",
    "istio-ca-root-cert": "published into every namespace by Istio",
}
LEADER = "control-plane.alpha.kubernetes.io/leader"
_SUFFIX = re.compile(r"-(?:token|dockercfg)-[a-z0-9]{5}")
_COPY = re.compile(r"backstay-[0-9a-f]{12}")
"""What `reconciler.model.naming.mover_name` makes: the objects of a copy have its mover's name."""


def kind_left_out(resource: Resource) -> str | None:
    """Why no object of the kind is captured, or None; such a kind need not be listed."""
    return LIVE_GROUPS.get(resource.group) or KINDS.get(resource.folder)


def object_left_out(raw: Mapping[str, Any], resource: Resource) -> str | None:
    """Why this object is left out, or None."""
    reason = kind_left_out(resource)
    if reason is not None:
        return reason
    metadata = raw.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return "being deleted"
    labels = metadata.get("labels") or {}
    if COMPONENT in labels:
        return "made by Backstay"
    folder = resource.folder
    if folder in OWNED_KINDS and _is_controlled(metadata):
        return OWNED
    rule = _RULES.get(folder)
    return rule(raw, metadata, labels) if rule is not None else None


def is_own(raw: Mapping[str, Any], resource: Resource) -> bool:
    """Whether it is Backstay's, or was made by the cluster for a copy of Backstay's."""
    metadata = raw.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if COMPONENT in labels:
        return True
    rule = _OF_COPIES.get(resource.folder)
    return rule is not None and rule(raw, metadata, labels) is not None


Strings = Mapping[str, Any]


def _is_controlled(metadata: Strings) -> bool:
    return any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())


def _pod(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    """Its owner is the node; who made it without one is the kubelet all the same."""
    return MIRROR if "kubernetes.io/config.mirror" in (metadata.get("annotations") or ()) else None


def _config_map(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    if LEADER in (metadata.get("annotations") or ()):
        return "held by the leader of a controller"
    return PUBLISHED.get(str(metadata.get("name")))


def _secret(raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    """Tokens that the cluster made for an account; one that a person asked for is captured."""
    annotations = metadata.get("annotations") or {}
    account = annotations.get("kubernetes.io/service-account.name")
    name = str(metadata.get("name", ""))
    if account and name.startswith(account) and _SUFFIX.fullmatch(name[len(account) :]):
        return "token that the cluster made for a service account"
    if raw.get("type") == "bootstrap.kubernetes.io/token":
        return "lets a node join for a short time"
    return None


def _endpoints(raw: Strings, metadata: Strings, labels: Strings) -> str | None:
    """Endpoints that a person wrote for a Service without selector are captured."""
    annotations = metadata.get("annotations") or {}
    addresses = [
        address
        for subset in raw.get("subsets") or ()
        for field in ("addresses", "notReadyAddresses")
        for address in subset.get(field) or ()
    ]
    written = addresses and not any("targetRef" in address for address in addresses)
    if (
        written
        and "endpoints.kubernetes.io/managed-by" not in labels
        and "endpoints.kubernetes.io/last-change-trigger-time" not in annotations
        and LEADER not in annotations
        and not _is_api_server(metadata)
    ):
        return None
    return "made by a controller from a Service and its pods"


def _endpoint_slice(_raw: Strings, metadata: Strings, labels: Strings) -> str | None:
    manager = str(labels.get("endpointslice.kubernetes.io/managed-by", ""))
    if manager.endswith(".k8s.io") or _is_controlled(metadata) or _is_api_server(metadata):
        return "made by a controller from a Service and its pods"
    return None


def _service(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    return MAINTAINED if _is_api_server(metadata) else None


def _is_api_server(metadata: Strings) -> bool:
    return metadata.get("name") == "kubernetes" and metadata.get("namespace") == "default"


def _rbac(_raw: Strings, _metadata: Strings, labels: Strings) -> str | None:
    return MAINTAINED if labels.get("kubernetes.io/bootstrapping") == "rbac-defaults" else None


def _priority_class(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    return MAINTAINED if str(metadata.get("name", "")).startswith("system-") else None


def _flow_control(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    annotations = metadata.get("annotations") or {}
    return MAINTAINED if "apf.kubernetes.io/autoupdate-spec" in annotations else None


def _api_service(_raw: Strings, _metadata: Strings, labels: Strings) -> str | None:
    return MAINTAINED if "kube-aggregator.kubernetes.io/automanaged" in labels else None


def _service_cidr(_raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    return MAINTAINED if metadata.get("name") == "kubernetes" else None


def _volume(raw: Strings, metadata: Strings, _labels: Strings) -> str | None:
    """The volume that a driver made for the claim of a copy: it carries no label of ours.

    One that a person wrote has no such annotation, and is captured whatever its claim is called.
    """
    made = "pv.kubernetes.io/provisioned-by" in (metadata.get("annotations") or ())
    return OF_COPY if made and _names_copy(raw, "claimRef") else None


def _snapshot_content(raw: Strings, _metadata: Strings, _labels: Strings) -> str | None:
    """What the cluster made of a copy's snapshot, of a volume; a written one is of a handle."""
    source = (raw.get("spec") or {}).get("source") or {}
    return OF_COPY if source.get("volumeHandle") and _names_copy(raw, "volumeSnapshotRef") else None


def _names_copy(raw: Strings, field: str) -> bool:
    found = (raw.get("spec") or {}).get(field) or {}
    return _COPY.fullmatch(str(found.get("name", ""))) is not None


_Rule = Callable[[Strings, Strings, Strings], str | None]
_OF_COPIES: dict[str, _Rule] = {
    "persistentvolume": _volume,
    "volumesnapshotcontent.snapshot.storage.k8s.io": _snapshot_content,
}
_RULES: dict[str, _Rule] = {
    **_OF_COPIES,
    "pod": _pod,
    "configmap": _config_map,
    "secret": _secret,
    "endpoints": _endpoints,
    "endpointslice.discovery.k8s.io": _endpoint_slice,
    "service": _service,
    "clusterrole.rbac.authorization.k8s.io": _rbac,
    "clusterrolebinding.rbac.authorization.k8s.io": _rbac,
    "role.rbac.authorization.k8s.io": _rbac,
    "rolebinding.rbac.authorization.k8s.io": _rbac,
    "priorityclass.scheduling.k8s.io": _priority_class,
    "flowschema.flowcontrol.apiserver.k8s.io": _flow_control,
    "prioritylevelconfiguration.flowcontrol.apiserver.k8s.io": _flow_control,
    "apiservice.apiregistration.k8s.io": _api_service,
    "servicecidr.networking.k8s.io": _service_cidr,
}
