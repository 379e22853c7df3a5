"""What each policy protects in an inventory, with a run's own decisions, and quickly for many.

A claim that waits for its first pod counts as what it will be once it is bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model.cluster import Claim, Namespace
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.policy import BackupPolicy, CopyMethod, NamespaceSelector
from reconciler.plan.copymethods import Storage
from reconciler.plan.namespaceindex import WILD, NamespaceIndex
from reconciler.plan.selection import (
    Selection,
    VolumeDecision,
    decide_volume,
    select_namespaces,
)

ClaimKey = tuple[str, str]
"""Namespace and claim."""


@dataclass(frozen=True, slots=True)
class Covered:
    """One policy: its namespaces, those passed over, and a decision per claim."""

    selection: Selection
    claims: Mapping[ClaimKey, VolumeDecision] = field(default_factory=dict)

    def copies(self, key: ClaimKey) -> bool:
        """Whether the data of a claim would be kept."""
        found = self.claims.get(key)
        return found is not None and copies(found)


def copies(decision: VolumeDecision) -> bool:
    """Whether a decision keeps the claim's data."""
    return decision.method is not CopyMethod.SKIP and not decision.impossible


class Ground:
    """An inventory that can be asked for the namespaces which a selector may mean."""

    def __init__(self, inventory: Inventory) -> None:
        self.own_namespace = inventory.own_namespace
        self.namespaces: dict[str, NamespaceInventory] = {
            one.namespace.name: one for one in inventory.namespaces
        }
        self._storage = Storage.of_inventory(inventory)
        self._index = NamespaceIndex(one.namespace for one in inventory.namespaces)

    def select(self, selector: NamespaceSelector) -> Selection:
        """As a run selects, looking only at what can match."""
        return select_namespaces(
            selector, self._index.candidates(selector), own_namespace=self.own_namespace
        )

    def cover(self, policy: BackupPolicy) -> Covered:
        """What a policy protects, suspended or not."""
        selection = self.select(policy.selector.namespaces)
        claims: dict[ClaimKey, VolumeDecision] = {}
        for name in selection.names:
            found = self.namespaces[name]
            for claim in found.claims:
                claims[name, claim.name] = decide_volume(
                    policy.volumes,
                    _once_bound(claim),
                    found.users.get(claim.name),
                    self._storage,
                )
        return Covered(selection, claims)

    def size(self, key: ClaimKey) -> int:
        """Bytes that a claim asked for; 0 where nobody knows."""
        found = self.namespaces.get(key[0])
        sizes = (claim.size for claim in found.claims if claim.name == key[1]) if found else ()
        return next(iter(sizes), 0)


def _once_bound(claim: Claim) -> Claim:
    return replace(claim, phase="Bound") if claim.phase == "Pending" else claim


def named_only(policies: Iterable[BackupPolicy], *, own_namespace: str) -> Inventory:
    """An inventory of the namespaces that policies call by their whole names."""
    names = {
        name
        for policy in policies
        for name in policy.selector.namespaces.names
        if not WILD & set(name)
    }
    return Inventory(
        cluster="",
        uid="",
        own_namespace=own_namespace,
        namespaces=tuple(
            NamespaceInventory(namespace=Namespace(name=name)) for name in sorted(names)
        ),
    )
