"""Reads what policies would protect now, for a plan that a person looks at."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import ports
from reconciler.engine import observe
from reconciler.model.cluster import Claim, ClaimUser
from reconciler.model.config import Config
from reconciler.model.plan import Coverage
from reconciler.model.policy import BackupPolicy
from reconciler.plan.coverage import cover, select_all


def observe_coverage(
    reader: ports.ClusterReader,
    policies: Sequence[BackupPolicy],
    config: Config,
    *,
    own_namespace: str,
) -> tuple[Coverage, ...]:
    """One per policy, by the decisions that a run makes; complete or raises."""
    namespaces = observe.observe_namespaces(reader)
    selections = select_all(policies, namespaces, own_namespace=own_namespace)
    selected = sorted({name for found in selections.values() for name in found.names})
    claims: dict[str, list[Claim]] = {name: [] for name in selected}
    for claim in observe.observe_claims(reader):
        if claim.namespace in claims:
            claims[claim.namespace].append(claim)
    users: dict[str, dict[str, ClaimUser]] = {
        name: dict(observe.observe_claim_users(reader, name)) for name in selected if claims[name]
    }
    return tuple(
        cover(
            policy,
            selections[policy.name],
            claims,
            users,
            shared_key=config.shared_key_in_tenants,
        )
        for policy in policies
    )
