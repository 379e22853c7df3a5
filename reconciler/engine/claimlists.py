"""Claims of many namespaces and the pods that use them, listed the cheaper way: complete or raises.

Never a request per claim, and none per namespace where that is dearer than the whole kind
(`reconciler.plan.listingcost`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reconciler import ports
from reconciler.engine.listing import Spread
from reconciler.engine.observe import read_all
from reconciler.model import kinds
from reconciler.model.cluster import Claim, ClaimUser
from reconciler.model.objects import Resource
from reconciler.plan import observe

T = TypeVar("T")
_VOLUMES = ("persistentVolumeClaim", "ephemeral")


def observe_claims_in(
    reader: ports.ClusterReader, names: tuple[str, ...], total: int
) -> Mapping[str, tuple[Claim, ...]]:
    """Namespace → its claims by name, for each of ``names``; ``total`` namespaces there are."""
    found = _read(reader, kinds.CLAIMS, names, total, _claim)
    return {
        name: tuple(sorted(found.get(name, ()), key=lambda claim: claim.name)) for name in names
    }


def observe_users_in(
    reader: ports.ClusterReader, names: tuple[str, ...], total: int
) -> Mapping[str, Mapping[str, ClaimUser]]:
    """Namespace → claim → the pod that mounts it; see `reconciler.plan.observe.claim_users`."""
    found = _read(reader, kinds.PODS, names, total, _with_claims)
    return {name: observe.claim_users(found.get(name, ())) for name in names}


def _read(
    reader: ports.ClusterReader,
    resource: Resource,
    names: tuple[str, ...],
    total: int,
    parse: Callable[[dict[str, Any]], T | None],
) -> dict[str, list[T]]:
    wanted = frozenset(names)

    def parse_wanted(raw: dict[str, Any]) -> tuple[str, T | None]:
        namespace = raw["metadata"]["namespace"]
        return namespace, parse(raw) if namespace in wanted else None

    found: dict[str, list[T]] = {}
    for kind, where in Spread(resource, names, total).targets(reader) if names else ():
        for namespace, one in read_all(reader, kind, parse_wanted, namespace=where):
            if one is not None:
                found.setdefault(namespace, []).append(one)
    return found


def _claim(raw: dict[str, Any]) -> Claim | None:
    """A copy of our own is nobody's data."""
    claim = observe.claim_of(raw)
    return None if claim.ours else claim


def _with_claims(pod: dict[str, Any]) -> dict[str, Any] | None:
    """Most pods of a large cluster mount no claim: they are not kept."""
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    return pod if any(volume.get(key) for volume in volumes for key in _VOLUMES) else None
