"""Reads namespaces, claims and the pods that use them: complete or raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reconciler import ports
from reconciler.model import kinds
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.errors import Expired
from reconciler.model.objects import Resource
from reconciler.plan import observe

_TRIES = 3
T = TypeVar("T")


def observe_namespaces(reader: ports.ClusterReader) -> tuple[Namespace, ...]:
    """All namespaces, by name."""
    found = read_all(reader, kinds.NAMESPACES, observe.namespace_of)
    return tuple(sorted(found, key=lambda namespace: namespace.name))


def observe_claims(reader: ports.ClusterReader, namespace: str = "") -> tuple[Claim, ...]:
    """The claims of one namespace, or of all, by namespace and name; no copies of our own."""
    every = read_all(reader, kinds.CLAIMS, observe.claim_of, namespace=namespace)
    found = (claim for claim in every if not claim.ours)
    return tuple(sorted(found, key=lambda claim: (claim.namespace, claim.name)))


def observe_claim_users(reader: ports.ClusterReader, namespace: str) -> Mapping[str, ClaimUser]:
    """claim → the pod of this namespace that mounts it; see `reconciler.plan.observe`."""
    return observe.claim_users(read_all(reader, kinds.PODS, dict, namespace=namespace))


def read_all(
    reader: ports.ClusterReader,
    resource: Resource,
    parse: Callable[[dict[str, Any]], T],
    *,
    namespace: str = "",
    label_selector: str = "",
    field_selector: str = "",
    check: Callable[[], None] = lambda: None,
) -> list[T]:
    """A whole list that fits into memory; one that expires half-way is begun again.

    ``check`` is called after each page, and raises where it is not to go on.
    """
    for attempt in range(1, _TRIES + 1):
        found: list[T] = []
        pages = reader.pages(
            resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
        )
        try:
            for page in pages:
                found.extend(parse(raw) for raw in page)
                check()
        except Expired:
            if attempt == _TRIES:
                raise
        else:
            return found
    raise Expired(f"list {resource}: expired {_TRIES} times")
