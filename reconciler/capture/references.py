"""Which cluster-scoped objects the selected namespaces need, and why.

A collector that sees every object once, in any order, and keeps names only: namespaced objects of
the selected namespaces (also those that are left out of the capture, such as pods, but not
Backstay's own, which come and go with runs) and the cluster-scoped `CANDIDATES`. Then
`References.wanted` says which candidates belong to the recovery point, each with its reasons. What
is wanted and was never seen does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from reconciler.capture import quiet
from reconciler.model.objects import ObjectRef, Resource

Object = Mapping[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_STORAGE = "storage.k8s.io"
_SNAPSHOT = "snapshot.storage.k8s.io"
_GATEWAY = "gateway.networking.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

# Kinds that can be wanted, by their folder; the engine lists these once per run.
CANDIDATES: Mapping[str, tuple[str, str]] = {
    f"{kind}.{group}".lower().rstrip("."): (group, kind)
    for group, kind in (
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        (_STORAGE, "StorageClass"),
        (_STORAGE, "VolumeAttributesClass"),
        (_SNAPSHOT, "VolumeSnapshotClass"),
        (_SNAPSHOT, "VolumeSnapshotContent"),
        (_RBAC, "ClusterRole"),
        (_RBAC, "ClusterRoleBinding"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("networking.k8s.io", "IngressClass"),
        (_GATEWAY, "GatewayClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("resource.k8s.io", "DeviceClass"),
        (_ADMISSION, "MutatingWebhookConfiguration"),
        (_ADMISSION, "ValidatingWebhookConfiguration"),
        ("apiregistration.k8s.io", "APIService"),
    )
}

TABLE: tuple[tuple[str, str], ...] = (
    ("namespace", "it is selected"),
    ("persistentvolume", "it names a claim, or a claim names it and it names none elsewhere"),
    (
        "customresourcedefinition.apiextensions.k8s.io",
        "it defines the kind of a custom resource that was found, or a Service converts it",
    ),
    (
        f"storageclass.{_STORAGE}",
        "a claim, a StatefulSet's claim template or the volume of a claim names it",
    ),
    (f"volumeattributesclass.{_STORAGE}", "a claim or a claim template names it"),
    (f"volumesnapshotclass.{_SNAPSHOT}", "a VolumeSnapshot names it"),
    (f"volumesnapshotcontent.{_SNAPSHOT}", "it names a VolumeSnapshot"),
    (
        f"clusterrole.{_RBAC}",
        "a binding that comes grants it, or a ClusterRole that comes is gathered from it",
    ),
    (
        f"clusterrolebinding.{_RBAC}",
        "it grants something to a ServiceAccount, or to all of a namespace, also as user or group",
    ),
    ("priorityclass.scheduling.k8s.io", "a pod or a pod template names it"),
    ("ingressclass.networking.k8s.io", "an Ingress names it, or names none and it is the default"),
    (f"gatewayclass.{_GATEWAY}", "a Gateway names it"),
    ("runtimeclass.node.k8s.io", "a pod or a pod template names it"),
    ("deviceclass.resource.k8s.io", "a ResourceClaim or its template asks for it"),
    (f"mutatingwebhookconfiguration.{_ADMISSION}", "it calls a Service"),
    (f"validatingwebhookconfiguration.{_ADMISSION}", "it calls a Service"),
    ("apiservice.apiregistration.k8s.io", "it is served by a Service"),
)
"""Each candidate kind and when an object of it is needed; docs/captured.md shows it."""


def is_candidate(resource: Resource) -> bool:
    """Whether objects of this cluster-scoped kind can be wanted."""
    return not resource.namespaced and resource.folder in CANDIDATES


class _Why:
    """The first reason and the number of all, so that memory does not grow with the cluster."""

    __slots__ = ("count", "first")

    def __init__(self) -> None:
        self.first = ""
        self.count = 0

    def add(self, why: str) -> None:
        self.count += 1
        if not self.first or why < self.first:
            self.first = why

    def __str__(self) -> str:
        return f"{self.first} and {self.count - 1} more" if self.count > 1 else self.first


class References:
    """Collects over one run; ``namespaces`` are the selected ones.

    ``without`` are kinds (folders) of which nothing is captured, so that nothing that points at
    their objects is needed.
    """

    def __init__(self, namespaces: Collection[str], without: Collection[str] = ()) -> None:
        self._namespaces = frozenset(namespaces)
        self._without = frozenset(without)
        self._wanted: dict[ObjectRef, _Why] = defaultdict(_Why)
        self._seen: set[ObjectRef] = set()
        self._elsewhere: set[ObjectRef] = set()
        """Volumes that belong to a claim of another namespace, whoever names them here."""
        self._custom: dict[str, str] = {}
        self._default_ingress_classes: list[str] = []
        self._plain_ingress = ""
        self._role_labels: dict[str, Mapping[str, str]] = {}
        self._aggregates: dict[str, list[Mapping[str, str]]] = {}
        self._followed = False

    def observe(self, resource: Resource, obj: Object) -> None:
        """Looks at one raw object and keeps nothing of it but names."""
        if quiet.is_own(obj, resource):
            return
        metadata = obj.get("metadata") or {}
        name = str(metadata.get("name", ""))
        if resource.namespaced:
            namespace = str(metadata.get("namespace", ""))
            if namespace in self._namespaces:
                self._observe_namespaced(resource, obj, f"{namespace}/{name}")
            return
        if resource.folder in CANDIDATES:
            ref = ObjectRef(group=resource.group, kind=resource.kind, name=name)
            self._seen.add(ref)
            if resource.folder == "persistentvolume" and self._is_elsewhere(obj):
                self._elsewhere.add(ref)
            for why in self._reasons(resource.folder, obj, name):
                self._wanted[ref].add(why)

    def wanted(self) -> dict[ObjectRef, str]:
        """After the last object: what was seen and is needed, sorted, each with its reason.

        The reason is the alphabetically first one, with the number of the others: a StorageClass
        may have thousands.
        """
        if not self._followed:
            self._followed = True
            self._follow()
        there = self._seen - self._elsewhere
        return {ref: str(self._wanted[ref]) for ref in sorted(self._wanted) if ref in there}

    def _follow(self) -> None:
        """What only the whole picture tells; once, after the last object."""
        for ref in self._seen:
            if ref.kind == "CustomResourceDefinition" and ref.name in self._custom:
                self._wanted[ref].add(f"defines {self._custom[ref.name]}")
            elif ref.kind == "Namespace" and ref.name in self._namespaces:
                self._wanted[ref].add("selected")
        if self._plain_ingress:
            for name in self._default_ingress_classes:
                self._want("ingressclass.networking.k8s.io", name, self._plain_ingress)
        self._follow_aggregates()

    def _want(self, folder: str, name: object, why: str) -> None:
        if name:
            group, kind = CANDIDATES[folder]
            self._wanted[ObjectRef(group=group, kind=kind, name=str(name))].add(why)

    def _observe_namespaced(self, resource: Resource, obj: Object, where: str) -> None:
        if "." in resource.group:
            self._custom.setdefault(
                f"{resource.plural}.{resource.group}", f"{resource.folder}/{where}"
            )
        spec = _map(obj.get("spec"))
        why = f"used by {resource.folder} {where}"
        for pod in _pod_specs(resource.folder, obj):
            self._want("priorityclass.scheduling.k8s.io", pod.get("priorityClassName"), why)
            self._want("runtimeclass.node.k8s.io", pod.get("runtimeClassName"), why)
        named = _NAMED.get(resource.folder)
        if named is not None:
            for folder, name in named(obj, spec):
                self._want(folder, name, why)
        if resource.folder == "ingress.networking.k8s.io" and not spec.get("ingressClassName"):
            self._plain_ingress = self._plain_ingress or f"default for ingress {where}"

    def _reasons(self, folder: str, obj: Object, name: str) -> Iterator[str]:
        """Why a cluster-scoped object belongs to the selection by what stands in itself."""
        spec = _map(obj.get("spec"))
        if folder == "persistentvolume":
            yield from self._volume(spec)
        elif folder == f"volumesnapshotcontent.{_SNAPSHOT}":
            ref = spec.get("volumeSnapshotRef") or {}
            points = ref.get("namespace") in self._namespaces
            if points and f"volumesnapshot.{_SNAPSHOT}" not in self._without:
                yield f"holds volumesnapshot {ref['namespace']}/{ref.get('name')}"
        elif folder == f"clusterrolebinding.{_RBAC}":
            yield from self._binding(obj, name)
        elif folder == f"clusterrole.{_RBAC}":
            self._cluster_role(obj, name)
        elif folder == "ingressclass.networking.k8s.io":
            annotations = (obj.get("metadata") or {}).get("annotations") or {}
            if annotations.get("ingressclass.kubernetes.io/is-default-class") == "true":
                self._default_ingress_classes.append(name)
        elif folder == "apiservice.apiregistration.k8s.io":
            yield from self._service(spec.get("service"), "served by")
        elif folder == "customresourcedefinition.apiextensions.k8s.io":
            webhook = _map(_map(spec.get("conversion")).get("webhook"))
            service = _map(webhook.get("clientConfig")).get("service")
            yield from self._service(service, "converted by")
        else:
            for webhook in obj.get("webhooks") or ():
                service = (webhook.get("clientConfig") or {}).get("service")
                yield from self._service(service, "calls")

    def _is_elsewhere(self, volume: Object) -> bool:
        claim = _map(_map(volume.get("spec")).get("claimRef"))
        return bool(claim.get("namespace")) and claim["namespace"] not in self._namespaces

    def _volume(self, spec: Object) -> Iterator[str]:
        claim = spec.get("claimRef") or {}
        if claim.get("namespace") in self._namespaces:
            where = f"{claim['namespace']}/{claim.get('name')}"
            yield f"bound to claim {where}"
            why = f"class of the volume of claim {where}"
            self._want(f"storageclass.{_STORAGE}", spec.get("storageClassName"), why)

    def _service(self, service: Any, verb: str) -> Iterator[str]:
        points = service and service.get("namespace") in self._namespaces
        if points and "service" not in self._without:
            yield f"{verb} service {service['namespace']}/{service.get('name')}"

    def _binding(self, obj: Object, name: str) -> Iterator[str]:
        subjects = [self._subject(subject) for subject in obj.get("subjects") or ()]
        for subject in filter(None, subjects):
            yield f"binds {subject}"
            role = (obj.get("roleRef") or {}).get("name")
            self._want(f"clusterrole.{_RBAC}", role, f"bound to {subject} by {name}")

    def _subject(self, subject: Object) -> str:
        """The subject in words if it is of a selected namespace, else nothing."""
        if "serviceaccount" in self._without:
            return ""
        kind, name = subject.get("kind"), str(subject.get("name", ""))
        if kind == "ServiceAccount" and subject.get("namespace") in self._namespaces:
            return f"serviceaccount {subject['namespace']}/{name}"
        prefix = "system:serviceaccounts:" if kind == "Group" else "system:serviceaccount:"
        if kind in ("Group", "User") and name.startswith(prefix):
            namespace, _, account = name.removeprefix(prefix).partition(":")
            if namespace in self._namespaces:
                whose = f"serviceaccount {namespace}/{account}"
                return whose if account else f"all service accounts of {namespace}"
        return ""

    def _cluster_role(self, obj: Object, name: str) -> None:
        self._role_labels[name] = (obj.get("metadata") or {}).get("labels") or {}
        selectors = (obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        if selectors:
            self._aggregates[name] = [item.get("matchLabels") or {} for item in selectors]

    def _follow_aggregates(self) -> None:
        """An aggregated role has its rules from other roles; those may be aggregated themselves."""
        folder = f"clusterrole.{_RBAC}"
        todo = [ref.name for ref in self._wanted if ref.kind == "ClusterRole"]
        done: set[str] = set()
        while todo:
            name = todo.pop()
            if name in done:
                continue
            done.add(name)
            for selector in self._aggregates.get(name, ()):
                for other, labels in self._role_labels.items():
                    if selector and other != name and selector.items() <= labels.items():
                        self._want(folder, other, f"gathered into clusterrole {name}")
                        todo.append(other)


def _pod_specs(folder: str, obj: Object) -> Iterator[Object]:
    """The pod specs in an object; custom kinds that have a ``spec.template`` count as well."""
    spec = _map(obj.get("spec"))
    if folder == "pod":
        yield spec
    job = _map(_map(spec.get("jobTemplate")).get("spec"))
    for holder in (spec, job, obj):
        template = _map(holder.get("template"))
        if template:
            yield _map(template.get("spec"))


def _map(value: Any) -> Object:
    """The value if it is a mapping: a custom resource may have anything anywhere."""
    return value if isinstance(value, dict) else {}


Names = Iterator[tuple[str, Any]]


def _claim(_obj: Object, spec: Object) -> Names:
    yield f"storageclass.{_STORAGE}", spec.get("storageClassName")
    yield f"volumeattributesclass.{_STORAGE}", spec.get("volumeAttributesClassName")
    yield "persistentvolume", spec.get("volumeName")


def _stateful_set(_obj: Object, spec: Object) -> Names:
    for claim in spec.get("volumeClaimTemplates") or ():
        yield from _claim(claim, {**(claim.get("spec") or {}), "volumeName": None})


def _role_binding(obj: Object, _spec: Object) -> Names:
    role = obj.get("roleRef") or {}
    if role.get("kind") == "ClusterRole":
        yield f"clusterrole.{_RBAC}", role.get("name")


def _ingress(obj: Object, spec: Object) -> Names:
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    yield "ingressclass.networking.k8s.io", spec.get("ingressClassName")
    yield "ingressclass.networking.k8s.io", annotations.get("kubernetes.io/ingress.class")


def _gateway(_obj: Object, spec: Object) -> Names:
    yield f"gatewayclass.{_GATEWAY}", spec.get("gatewayClassName")


def _snapshot(_obj: Object, spec: Object) -> Names:
    yield f"volumesnapshotclass.{_SNAPSHOT}", spec.get("volumeSnapshotClassName")


def _device_claim(_obj: Object, spec: Object) -> Names:
    inner = spec.get("spec") or spec
    for request in (inner.get("devices") or {}).get("requests") or ():
        for part in (request, request.get("exactly") or {}, *(request.get("firstAvailable") or ())):
            yield "deviceclass.resource.k8s.io", part.get("deviceClassName")


_NAMED: Mapping[str, Callable[[Object, Object], Names]] = {
    "persistentvolumeclaim": _claim,
    "statefulset.apps": _stateful_set,
    f"rolebinding.{_RBAC}": _role_binding,
    "ingress.networking.k8s.io": _ingress,
    f"gateway.{_GATEWAY}": _gateway,
    f"volumesnapshot.{_SNAPSHOT}": _snapshot,
    "resourceclaim.resource.k8s.io": _device_claim,
    "resourceclaimtemplate.resource.k8s.io": _device_claim,
}
