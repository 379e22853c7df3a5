"""How one object is named on a command line: ``shop/deployment.apps/web``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.errors import UsageError

CLUSTER_SCOPED = "_cluster"
_HOW = "write shop/deployment.apps/web, shop/configmap/web, _cluster/namespace/shop"


def kind_names(folder: str) -> frozenset[str]:
    """How people write the kind of a folder (``deployment.apps``): also as kubectl's plural.

    The repository knows no discovery, so short names (``deploy``) are not among them.
    """
    kind, dot, group = folder.partition(".")
    plurals = {f"{kind}s", f"{kind}es"} | ({f"{kind[:-1]}ies"} if kind.endswith("y") else set())
    return frozenset(f"{name}{rest}" for name in {kind, *plurals} for rest in {"", dot + group})


@dataclass(frozen=True, slots=True)
class ObjectName:
    """``namespace`` is empty for a cluster-scoped object; ``kind`` may lack its group."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace or CLUSTER_SCOPED}/{self.kind}/{self.name}"

    def is_kind(self, folder: str) -> bool:
        """Whether ``deployment.apps`` is meant: by ``deployment``, or by all of it."""
        return self.kind in kind_names(folder)


def parse_object(parts: Sequence[str]) -> ObjectName:
    """One word with slashes, or three words; raises UsageError."""
    words = parts[0].split("/") if len(parts) == 1 else list(parts)
    if len(words) == 2:
        words = [CLUSTER_SCOPED, *words]
    if len(words) != 3 or not all(words) or any("/" in word for word in words):
        raise UsageError(f"{' '.join(parts)} names no object", hint=_HOW)
    namespace, kind, name = words
    return ObjectName("" if namespace == CLUSTER_SCOPED else namespace, kind.lower(), name)
