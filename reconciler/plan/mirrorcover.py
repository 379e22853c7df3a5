"""How much each policy would protect if it ran now, for its status: counts, no names. Pure.

By the decisions of a run, but without asking for pods: a claim that only a pod stands in the way of
(ReadWriteOncePod) counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import Config
from reconciler.model.grants import limit_selector
from reconciler.model.policy import CopyMethod
from reconciler.plan.coverage import cover
from reconciler.plan.cronjob import WantedPolicy
from reconciler.plan.mirrorstatus import Protected
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import select_namespaces


class Counter:
    """One cluster, seen once, for all policies of a cycle."""

    def __init__(
        self,
        namespaces: Iterable[Namespace],
        claims: Iterable[Claim],
        config: Config,
        *,
        own_namespace: str,
    ) -> None:
        self._index = NamespaceIndex(namespaces)
        self._claims: dict[str, list[Claim]] = {}
        for claim in claims:
            self._claims.setdefault(claim.namespace, []).append(claim)
        self._config = config
        self._own = own_namespace

    def count(self, wanted: WantedPolicy) -> Protected:
        """Selected namespaces, and claims in them whose data would be copied."""
        policy = wanted.policy
        selector = limit_selector(policy.selector.namespaces, self._config.grants, wanted.source)
        selection = select_namespaces(
            selector, self._index.candidates(selector), own_namespace=self._own
        )
        found = cover(
            policy, selection, self._claims, {}, shared_key=self._config.shared_key_in_tenants
        )
        copied = [one for one in found.claims if one.possible and one.method != CopyMethod.SKIP]
        return Protected(len(selection.namespaces), len(copied))
