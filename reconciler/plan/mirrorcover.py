"""How much each policy would protect if it ran now, for its status: counts, no names. Pure.

By the decisions of a run, but without asking for pods: a claim that only a pod stands in the way of
(ReadWriteOncePod) counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.cluster import Claim, Namespace
from reconciler.model.policy import BackupPolicy, CopyMethod
from reconciler.plan.coverage import cover
from reconciler.plan.mirrorstatus import Protected
from reconciler.plan.selection import select_namespaces

_GLOB = frozenset("*?[")


class Counter:
    """One cluster, seen once, for all policies of a cycle."""

    def __init__(
        self,
        namespaces: Iterable[Namespace],
        claims: Iterable[Claim],
        *,
        own_namespace: str,
        shared_key: bool,
    ) -> None:
        self._namespaces = {found.name: found for found in namespaces}
        self._claims: dict[str, list[Claim]] = {}
        for claim in claims:
            self._claims.setdefault(claim.namespace, []).append(claim)
        self._own = own_namespace
        self._shared_key = shared_key

    def count(self, policy: BackupPolicy) -> Protected:
        """Selected namespaces, and claims in them whose data would be copied."""
        selection = select_namespaces(
            policy.selector.namespaces, self._candidates(policy), own_namespace=self._own
        )
        found = cover(policy, selection, self._claims, {}, shared_key=self._shared_key)
        copied = [one for one in found.claims if one.possible and one.method != CopyMethod.SKIP]
        return Protected(len(selection.namespaces), len(copied))

    def _candidates(self, policy: BackupPolicy) -> Iterable[Namespace]:
        """Without globs only those that are named: policies times namespaces is a large number."""
        names = policy.selector.namespaces.names
        if not names or any(_GLOB & set(name) for name in names):
            return self._namespaces.values()
        return [self._namespaces[name] for name in sorted(set(names)) if name in self._namespaces]
