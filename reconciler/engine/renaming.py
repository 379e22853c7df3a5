"""Renamed namespaces, where a live object is compared with a text or a Secret gets its values.

A fingerprint in Git is of a value *and* its place: a copied Secret is compared, and proven, as if
it stood where it was captured. And what all namespaces share (a definition) is equal also as it
was captured, before it was pointed to the copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.objects import Resource
from reconciler.plan import mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """Which namespaces go where, and what that makes of texts in Git."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Captured namespace → target."""
    captured: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    """Texts as Git has them, by captured path."""

    def source_of(self, namespace: str) -> str:
        """Where a namespace of the plan was captured."""
        return next((old for old, new in self.names.items() if new == namespace), namespace)

    def captured_as(self, metadata: Mapping[str, Any], resource: Resource) -> tuple[str, str]:
        """Namespace and name of a live object, as they were captured."""
        name = str(metadata["name"])
        if resource.folder == "namespace":
            name = self.source_of(name)
        return self.source_of(str(metadata.get("namespace") or "")), name

    def copy_secret(self, secret: dict[str, Any]) -> dict[str, Any]:
        """A whole Secret, as it was captured, for the place that it goes to."""
        if secret["metadata"].get("namespace") not in self.names:
            return secret
        return mapping.map_secret(secret, self.names)

    def as_captured(self, raw: dict[str, Any], resource: Resource) -> dict[str, Any]:
        """A live Secret as if it stood where it was captured; everything else as it is."""
        namespace = raw["metadata"].get("namespace") or ""
        if resource.folder != "secret" or namespace not in self.names.values():
            return raw
        metadata = {**raw["metadata"], "namespace": self.source_of(namespace)}
        return {**raw, "metadata": metadata}

    def accepts(self, path: str, text: bytes, wanted: bytes) -> bool:
        """Whether a live object is equal; what all share may also be as it was captured."""
        return text == wanted or (bool(self.names) and self.captured.get(path) == text)
