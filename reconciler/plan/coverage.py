"""What each policy would protect if it ran now, with the run's own decisions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.plan import ClaimLine, Coverage
from reconciler.model.policy import BackupPolicy, CopyMethod
from reconciler.plan import guards, objectwords
from reconciler.plan.changeredaction import all_kept
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import Selection, decide_volumes, select_namespaces

NEEDS_SHARED_KEY = (
    "a Direct mover would hold the Repository's storage key in the application's namespace, and"
    " Config does not say sharedKeyInTenants: true"
)


def select_all(
    policies: Iterable[BackupPolicy], namespaces: Sequence[Namespace], *, own_namespace: str
) -> dict[str, Selection]:
    """Policy → the namespaces it selects."""
    index = NamespaceIndex(namespaces)
    return {
        policy.name: select_namespaces(
            policy.selector.namespaces,
            index.candidates(policy.selector.namespaces),
            own_namespace=own_namespace,
        )
        for policy in policies
    }


def cover(
    policy: BackupPolicy,
    selection: Selection,
    claims: Mapping[str, Sequence[Claim]],
    users: Mapping[str, Mapping[str, ClaimUser]],
    *,
    shared_key: bool,
) -> Coverage:
    """One policy's namespaces and claims; ``claims`` and ``users`` by namespace."""
    lines = []
    for namespace in selection.names:
        found = claims.get(namespace, ())
        for one in decide_volumes(policy.volumes, found, users.get(namespace, {})):
            refused = one.method is not CopyMethod.SKIP and not one.impossible and not shared_key
            lines.append(
                ClaimLine(
                    namespace=namespace,
                    claim=one.claim.name,
                    method=str(one.method),
                    why=f"{one.why}; {NEEDS_SHARED_KEY}" if refused else one.why,
                    possible=not (one.impossible or refused),
                    restoring=one.impossible and bool(one.claim.restoring),
                )
            )
    return Coverage(
        policy=policy.name,
        namespaces=tuple((found.name, found.why) for found in selection.namespaces),
        passed_over=tuple((found.name, found.why) for found in selection.passed_over),
        not_granted=selection.not_granted,
        claims=tuple(lines),
        grant=policy.selector.namespaces.grant or "",
        within=policy.selector.namespaces.within,
        left_out=objectwords.describe(policy.selector.objects),
        guards=guards.words(policy.guards),
        kept=all_kept(policy),
    )
