"""What each policy would protect if it ran now, with the run's own decisions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.plan import ClaimLine, Coverage
from reconciler.model.policy import BackupPolicy, CopyMethod
from reconciler.plan import guards, objectwords
from reconciler.plan.changeredaction import all_kept
from reconciler.plan.copymethods import Storage
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import Selection, decide_volumes, select_namespaces

_NEEDS_SHARED_KEY = (
    "a {} mover would hold the Repository's storage key in the application's namespace, and"
    " Config does not say sharedKeyInTenants: true"
)


def needs_shared_key(method: CopyMethod) -> str:
    """Why a mover of this method needs Config's ``sharedKeyInTenants``; empty where it does not.

    That of a snapshot's copy works in Backstay's own namespace.
    """
    beside = method in (CopyMethod.DIRECT, CopyMethod.CLONE, CopyMethod.AUTO)
    return _NEEDS_SHARED_KEY.format(method) if beside else ""


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
    storage: Storage | None = None,
) -> Coverage:
    """One policy's namespaces and claims; ``claims`` and ``users`` by namespace."""
    lines = []
    for namespace in selection.names:
        found = claims.get(namespace, ())
        for one in decide_volumes(policy.volumes, found, users.get(namespace, {}), storage):
            needed = "" if one.impossible or shared_key else needs_shared_key(one.method)
            lines.append(
                ClaimLine(
                    namespace=namespace,
                    claim=one.claim.name,
                    method=str(one.method),
                    why=f"{one.why}; {needed}" if needed else one.why,
                    possible=not (one.impossible or needed),
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
