"""Reads what policies would protect now, for a plan that a person looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler import ports
from reconciler.engine import observe
from reconciler.engine.storageclasses import observe_classes
from reconciler.model import kinds
from reconciler.model.cluster import Claim, ClaimUser
from reconciler.model.config import Config
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.plan import Coverage
from reconciler.model.policy import BackupPolicy, CopyMethod, Exemption
from reconciler.model.protection import Unprotected
from reconciler.plan.copymethods import Storage, needs_storage
from reconciler.plan.coverage import cover, select_all
from reconciler.plan.hooklines import hook_lines, hook_misses
from reconciler.plan.hooks import plan_hooks
from reconciler.plan.protection import protect, unprotected


@dataclass(frozen=True, slots=True)
class Covered:
    """What each policy would protect, and how much of the cluster none does."""

    policies: tuple[Coverage, ...]
    unprotected: Unprotected | None = None
    """None where nobody said what time it is: exemptions end."""
    inventory: Inventory | None = None
    """What it was judged by; the same."""


def observe_coverage(
    reader: ports.ClusterReader,
    policies: Sequence[BackupPolicy],
    config: Config,
    *,
    own_namespace: str,
) -> tuple[Coverage, ...]:
    """One per policy, by the decisions that a run makes; complete or raises."""
    return observe_covered(reader, policies, (), config, own_namespace=own_namespace).policies


def observe_covered(
    reader: ports.ClusterReader,
    policies: Sequence[BackupPolicy],
    exemptions: Sequence[Exemption],
    config: Config,
    *,
    own_namespace: str,
    now: datetime | None = None,
) -> Covered:
    """The same, and with ``now`` what else there is; templates are not looked for."""
    namespaces = observe.observe_namespaces(reader)
    selections = select_all(policies, namespaces, own_namespace=own_namespace)
    selected = sorted({name for found in selections.values() for name in found.names})
    claims: dict[str, list[Claim]] = {found.name: [] for found in namespaces}
    for claim in observe.observe_claims(reader):
        if claim.namespace in claims:
            claims[claim.namespace].append(claim)
    users: dict[str, dict[str, ClaimUser]] = {
        name: dict(observe.observe_claim_users(reader, name)) for name in selected if claims[name]
    }
    shared_key = config.shared_key_in_tenants
    # Whoever leaves no method open needs no right to read them.
    open_ones = any(needs_storage(policy.volumes) for policy in policies)
    classes = observe_classes(reader) if open_ones else ()
    storage = Storage.of(*classes) if classes else None
    covered = tuple(
        _with_hooks(
            reader,
            policy,
            cover(
                policy,
                selections[policy.name],
                claims,
                users,
                shared_key=shared_key,
                storage=storage,
            ),
            own_namespace,
        )
        for policy in policies
    )
    if now is None:
        return Covered(covered)
    inventory = Inventory(
        cluster=config.cluster.name,
        uid="",
        labels=config.cluster.labels,
        own_namespace=own_namespace,
        namespaces=tuple(
            NamespaceInventory(
                namespace=found,
                claims=tuple(claims[found.name]),
                users=users.get(found.name, {}),
            )
            for found in namespaces
        ),
        storage_classes=tuple(classes[0]) if classes else (),
        snapshot_classes=tuple(classes[1]) if classes else (),
    )
    judged = protect(policies, exemptions, inventory, now=now, shared_key=shared_key)
    return Covered(covered, unprotected(judged), inventory)


def _with_hooks(
    reader: ports.ClusterReader, policy: BackupPolicy, coverage: Coverage, own_namespace: str
) -> Coverage:
    """Pods are read only where hooks would run: where data is copied."""
    if not policy.hooks:
        return coverage
    copied = {
        line.namespace
        for line in coverage.claims
        if line.possible and line.method != CopyMethod.SKIP
    }
    pods = {
        name: observe.read_all(reader, kinds.PODS, dict, namespace=name) for name in sorted(copied)
    }
    # The policy was read with today's Config: its grant is in it already.
    planned = plan_hooks(policy, pods, grants=(), source="", own_namespace=own_namespace)
    return replace(coverage, hooks=hook_lines(planned), hooks_missed=hook_misses(planned))
