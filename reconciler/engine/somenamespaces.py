"""Namespaces read by name: a policy over three of 5,000 need not read them all.

Which way is cheaper says `reconciler.plan.listingcost`. By name it is the same list with a field
selector: it takes no right but to list, and whoever is not in it is not there, because a list that
fails raises (invariant I2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler import ports
from reconciler.engine.listing import by_name
from reconciler.engine.observe import observe_namespaces, read_all
from reconciler.model import kinds
from reconciler.model.cluster import Namespace
from reconciler.model.errors import BackstayError
from reconciler.model.policy import NamespaceSelector
from reconciler.plan import listingcost, observe, selection

_NAME = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label."""


def namespace_names(found: Iterable[str]) -> tuple[str, ...]:
    """Those that a namespace can have, sorted: a tree may have been given others."""
    return tuple(sorted({name for name in found if _NAME.fullmatch(name)}))


def observe_named(reader: ports.ClusterReader, names: Iterable[str]) -> tuple[Namespace, ...]:
    """Those of ``names`` that are there, by name; a request for each."""
    return tuple(
        namespace
        for name in namespace_names(names)
        for namespace in read_all(
            reader, kinds.NAMESPACES, observe.namespace_of, field_selector=by_name(name)
        )
    )


def observe_selectable(
    reader: ports.ClusterReader, selector: NamespaceSelector
) -> tuple[tuple[Namespace, ...], int]:
    """Every namespace that ``selector`` may select, by name, and how many there are in all."""
    names = selection.plain_names(selector)
    if names:
        try:
            total = reader.count(kinds.NAMESPACES)
        except BackstayError:
            total = None  # the list tells what is wrong
        if total is not None and listingcost.is_by_name_cheaper(len(names), total):
            return observe_named(reader, names), total
    found = observe_namespaces(reader)
    return found, len(found)
