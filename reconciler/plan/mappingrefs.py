"""Follows a renamed namespace into the references of one manifest. Pure.

Only fields whose meaning is known are changed, in any kind that has them; docs/mapping.md has
them as a table. Text that merely holds the name (a DNS name, a query, a file in a ConfigMap) is
never changed: `reconciler.plan.mappingwarnings` tells of it.

``names`` is captured namespace → target. No target is a captured namespace, so following twice is
following once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]
Names = Mapping[str, str]

NAME_LABELS = frozenset(
    {
        "kubernetes.io/metadata.name",
        "io.kubernetes.pod.namespace",
        "k8s:io.kubernetes.pod.namespace",
    }
)
"""Labels whose value is a namespace's name: Kubernetes' own, and Cilium's names for pods."""
PLACED = frozenset(
    {
        "cert-manager.io/inject-ca-from",
        "cert-manager.io/inject-ca-from-secret",
        "nginx.ingress.kubernetes.io/auth-secret",
        "nginx.ingress.kubernetes.io/auth-tls-secret",
        "nginx.ingress.kubernetes.io/proxy-ssl-secret",
    }
)
"""Annotations that are ``<namespace>/<name>``."""
# Mappings of free keys: a `namespace` in one of these is somebody's own label or setting.
_FREE = frozenset({"annotations", "labels", "matchLabels", "nodeSelector", "selector"})
_OPAQUE = frozenset({"configmap", "secret"})
_ACCOUNT = re.compile(r"(system:serviceaccounts?):([a-z0-9-]+)(:[^:]+)?")
_PRINCIPAL = re.compile(r"(.*/ns/)([a-z0-9-]+)(/sa/[^/]+)")
_PRINCIPALS = frozenset({"principals", "notPrincipals"})
_PEOPLE = ("User", "Group")
_NAMESPACE_LISTS = frozenset({"namespaces", "notNamespaces"})
_NAMED_BY = ("name", "kind", "serviceName", "secretName")
_PLACED_LISTS = frozenset({"gateways", "hosts"})
"""Istio's: ``<namespace>/<gateway>``, ``<namespace>/<host>``."""


def follow(manifest: Object, folder: str, names: Names) -> tuple[dict[str, Any], list[str]]:
    """The manifest with its references followed, and each change in words.

    ``metadata.namespace`` and ``metadata.name`` are not looked at: where a copy goes is not its own
    business. Never changes ``manifest``.
    """
    walk = _Walk(names)
    found = dict(manifest)
    metadata = manifest.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("annotations"), Mapping):
        annotations = walk.annotations(metadata["annotations"])
        found["metadata"] = {**metadata, "annotations": annotations}
    for key, value in manifest.items():
        if key in ("apiVersion", "kind", "metadata") or folder in _OPAQUE:
            continue
        if folder == "customresourcedefinition.apiextensions.k8s.io":
            found[key] = walk.conversion(value)
        elif folder == "service" and key == "spec":
            found[key] = walk.external_name(walk.any(value, key, key))
        else:
            found[key] = walk.any(value, key, key)
    return found, walk.changes


def _follow_account(text: str, names: Names) -> str:
    """A service account, or all of a namespace's, as users and groups are called; or as it is."""
    match = _ACCOUNT.fullmatch(text)
    if match and match[2] in names and (match[3] is None) == match[1].endswith("s"):
        return f"{match[1]}:{names[match[2]]}{match[3] or ''}"
    return text


def refers(value: object, namespaces: Iterable[str]) -> bool:
    """Whether a subject, or a webhook's client, is of one of these namespaces."""
    walk = _Walk({name: f"{name}/" for name in namespaces})
    walk.any(value, "", "")
    return bool(walk.changes)


class _Walk:
    """One manifest's walk; ``changes`` grows with every string that is replaced."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.changes: list[str] = []

    def any(self, value: Any, path: str, key: str) -> Any:
        if isinstance(value, Mapping):
            return {
                inner: self._field(value, key, inner, f"{path}.{inner}" if path else inner)
                for inner in value
            }
        if isinstance(value, list):
            return [self.any(item, f"{path}[{index}]", key) for index, item in enumerate(value)]
        return value

    def annotations(self, found: Object) -> dict[str, Any]:
        """Those that name an object by namespace and name, as ``shop/web``."""
        made = dict(found)
        for key in sorted(PLACED & found.keys()):
            text = str(found[key])
            if (new := self._placed(text)) != text:
                made[key] = self._put(text, new, f"annotation {key}")
        return made

    def conversion(self, spec: Any) -> Any:
        """Of a definition only this: a schema is full of fields that are called namespace."""
        if not isinstance(spec, Mapping) or "conversion" not in spec:
            return spec
        followed = self.any(spec["conversion"], "spec.conversion", "conversion")
        return {**spec, "conversion": followed}

    def external_name(self, spec: Any) -> Any:
        """The DNS name of a Service is a field of its own here, not a part of a text."""
        if not isinstance(spec, Mapping) or not isinstance(spec.get("externalName"), str):
            return spec
        parts = spec["externalName"].split(".")
        if len(parts) < 3 or parts[2] != "svc" or parts[1] not in self._names:
            return spec
        new = ".".join((parts[0], self._names[parts[1]], *parts[2:]))
        return {**spec, "externalName": self._put(spec["externalName"], new, "spec.externalName")}

    def _field(self, parent: Object, above: str, key: str, path: str) -> Any:
        value = parent[key]
        if isinstance(value, str) and self._is_namespace(parent, above, key):
            return self._put(value, self._names.get(value, value), path)
        if isinstance(value, str) and key == "name" and parent.get("kind") in _PEOPLE:
            return self._put(value, _follow_account(value, self._names), path)
        if isinstance(value, list):
            return self._items(parent, above, key, path)
        return self.any(value, path, key)

    def _items(self, parent: Object, above: str, key: str, path: str) -> list[Any]:
        change: Callable[[str], str] | None = None
        if _are_namespaces(parent, above, key):
            change = self._namespace
        elif key == "resourceNames":
            change = self._account
        elif key in _PRINCIPALS:
            change = self._principal
        elif key in _PLACED_LISTS:
            change = self._placed
        return [
            self._put(item, change(item), f"{path}[{index}]")
            if change is not None and isinstance(item, str)
            else self.any(item, f"{path}[{index}]", key)
            for index, item in enumerate(parent[key])
        ]

    def _namespace(self, name: str) -> str:
        return self._names.get(name, name)

    def _account(self, name: str) -> str:
        return _follow_account(name, self._names)

    def _placed(self, text: str) -> str:
        namespace, slash, name = text.partition("/")
        return f"{self._names[namespace]}/{name}" if slash and namespace in self._names else text

    @staticmethod
    def _is_namespace(parent: Object, above: str, key: str) -> bool:
        if key in NAME_LABELS:
            return above in _FREE
        # The form of every object reference; a grant's `from` has no name, and a kind.
        named = any(isinstance(parent.get(field), str) for field in _NAMED_BY)
        return key == "namespace" and named and above not in _FREE

    def _principal(self, item: str) -> str:
        match = _PRINCIPAL.fullmatch(item)
        if match is None or match[2] not in self._names:
            return item
        return f"{match[1]}{self._names[match[2]]}{match[3]}"

    def _put(self, old: Any, new: Any, path: str) -> Any:
        if old != new:
            self.changes.append(f"{path}: {old} → {new}")
        return new


def _are_namespaces(parent: Object, above: str, key: str) -> bool:
    if key == "matchNames":
        return above == "namespaceSelector"
    if key == "exportTo":
        return True
    if key in _NAMESPACE_LISTS:
        # A pod affinity's term, and the source of an Istio rule.
        return "topologyKey" in parent or above == "source"
    if key == "values":
        label = parent.get("key")
        return isinstance(label, str) and label in NAME_LABELS
    if key == "resourceNames":
        resources = parent.get("resources")
        return isinstance(resources, list) and "namespaces" in resources
    return False
