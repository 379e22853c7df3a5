"""What every policy decides about every namespace, claim and replica to come. Pure.

The decisions are a run's own (`reconciler.plan.selection`, `coverage`); here they are only asked
for, also for what is not there yet: a claim that is not bound is judged as it will be, and a
StatefulSet's template by the claims that its replicas get.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model.cluster import Claim, ClaimUser
from reconciler.model.inventory import ClaimTemplate, Inventory, NamespaceInventory
from reconciler.model.plan import ClaimLine
from reconciler.model.policy import BackupPolicy, CopyMethod
from reconciler.model.protection import Cause, LastPoint, Protector, Reason
from reconciler.plan.copymethods import Storage
from reconciler.plan.coverage import cover, select_all
from reconciler.plan.lastpoints import LastPoints
from reconciler.plan.objectwords import narrowing
from reconciler.plan.selection import Selection

_MOST_REPLICAS = 10
"""So many of a template's replicas are looked at, and the one to come."""
_Decided = tuple[str, ClaimLine]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policies say of one thing."""

    protectors: tuple[Protector, ...] = ()
    reasons: tuple[Reason, ...] = ()


class Verdicts:
    """What every policy decides about every namespace, claim and replica."""

    def __init__(
        self,
        policies: Sequence[BackupPolicy],
        inventory: Inventory,
        now: datetime,
        shared_key: bool,
    ) -> None:
        self._policies = {policy.name: policy for policy in policies}
        self._left_out = {one.name: narrowing(one.selector.objects) for one in policies}
        self._now = now
        heirs = {one.renamed_from: one.name for one in policies if one.renamed_from}
        self._points = LastPoints(inventory.points, heirs)
        self._older = inventory.older_points
        self.own_namespace = inventory.own_namespace
        selections = select_all(
            policies,
            [found.namespace for found in inventory.namespaces],
            own_namespace=inventory.own_namespace,
        )
        self._selected, self._excluded = _by_namespace(selections)
        self._created = {
            (one.namespace, one.name): one.created
            for found in inventory.namespaces
            for one in found.claims
        }
        self._created |= {
            (found.namespace.name, ""): found.namespace.created for found in inventory.namespaces
        }
        default = next((one.name for one in inventory.storage_classes if one.default), "")
        grounds = {found.namespace.name: _Ground(found, default) for found in inventory.namespaces}
        storage = Storage.of_inventory(inventory)
        self._claims, self._replicas = (
            _decide(policies, selections, grounds, shared_key, storage, replicas=replicas)
            for replicas in (False, True)
        )
        self.notes = tuple(self._unknown_classes(inventory, default))

    def namespace(self, namespace: str) -> Verdict:
        """Of its manifests."""
        protectors, reasons = [], list(self._exclusions(namespace))
        for policy, why in self._selected.get(namespace, ()):
            if self._policies[policy].suspend:
                told = f"policy {policy} would protect it and is suspended"
                reasons.append(Reason(Cause.SUSPENDED, told, policy))
            else:
                protectors.append(self._protector(policy, why, namespace))
        return Verdict(tuple(protectors), tuple(reasons))

    def claim(self, namespace: str, claim: str) -> Verdict:
        """Of a claim that is there."""
        return self._judge(namespace, claim, self._claims)

    def replica(self, namespace: str, claim: str) -> Verdict:
        """Of a claim that a template makes."""
        return self._judge(namespace, claim, self._replicas)

    def held(self, namespace: str, claim: str = "") -> LastPoint | None:
        """The newest recovery point of any policy."""
        return self._points.find(namespace, claim)

    def unmatched(self, namespace: str, *, within: bool) -> Reason:
        """What is said where no policy says anything."""
        why = f"no policy selects {'its namespace' if within else 'it'}"
        if namespace.startswith("kube-") or namespace == self.own_namespace:
            why += f" (`*` leaves {namespace} out: name it)"
        return Reason(Cause.UNMATCHED, why)

    def _judge(
        self, namespace: str, claim: str, decided: Mapping[tuple[str, str], list[_Decided]]
    ) -> Verdict:
        protectors, reasons = [], list(self._exclusions(namespace))
        for policy, line in decided.get((namespace, claim), ()):
            reason = _refusal(policy, line, self._policies[policy].suspend)
            if reason is not None:
                reasons.append(reason)
            else:
                protectors.append(self._protector(policy, line.why, namespace, line))
        return Verdict(tuple(protectors), tuple(reasons))

    def _exclusions(self, namespace: str) -> Iterator[Reason]:
        for policy, why in self._excluded.get(namespace, ()):
            yield Reason(Cause.EXCLUDED, f"policy {policy} leaves its namespace out: {why}", policy)

    def _protector(
        self, policy: str, why: str, namespace: str, line: ClaimLine | None = None
    ) -> Protector:
        last = self._points.find(namespace, line.claim if line else "", policy=policy)
        names = (policy, self._policies[policy].renamed_from or policy)
        return Protector(
            policy=policy,
            why=why,
            method=line.method if line else "",
            last=last,
            older=last is None and any(map(self._older.get, names)),
            stale=self._is_late(policy, last, namespace, line),
            left_out=() if line else self._left_out[policy],
        )

    def _is_late(
        self, policy: str, last: LastPoint | None, namespace: str, line: ClaimLine | None
    ) -> bool:
        """Whether the promised RPO is not kept.

        What no known recovery point holds is late where it, and the policy's oldest known run, are
        older than that: to what is new nothing was promised yet.
        """
        rpo = self._policies[policy].objectives.rpo
        if rpo is None:
            return False
        if last is not None:
            return self._age(last.started) > rpo
        there = self._created.get((namespace, line.claim if line else ""))
        first = self._points.first(policy)
        if there is None or first is None:
            return False
        return min(self._age(there), self._age(first)) > rpo

    def _age(self, moment: datetime) -> int:
        return int((self._now - moment).total_seconds())

    def _unknown_classes(self, inventory: Inventory, default: str) -> Iterator[str]:
        """A note where rules ask for a storage class that nobody knows yet."""
        if default:
            return
        asking = {
            policy.name
            for policy in self._policies.values()
            if any(rule.storage_class for rule in policy.volumes.rules)
        }
        count = sum(
            sum(not claim.storage_class and claim.phase in ("", "Pending") for claim in one.claims)
            + sum(not template.storage_class for template in one.templates)
            for one in inventory.namespaces
            if asking.intersection(name for name, _ in self._selected.get(one.namespace.name, ()))
        )
        if count:
            yield (
                f"{_unnamed(count)} no storage class, and the"
                " cluster's default is not known: rules by storageClass may decide otherwise"
            )


def _unnamed(count: int) -> str:
    return "1 claim or template names" if count == 1 else f"{count} claims or templates name"


def _by_namespace(
    selections: Mapping[str, Selection],
) -> tuple[dict[str, list[tuple[str, str]]], dict[str, list[tuple[str, str]]]]:
    """Namespace → (policy, why) that select it, and that leave it out."""
    selected: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    excluded: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for policy, selection in selections.items():
        for found in selection.namespaces:
            selected[found.name].append((policy, found.why))
        for passed in selection.passed_over:
            excluded[passed.name].append((policy, passed.why))
    return selected, excluded


def _refusal(policy: str, line: ClaimLine, suspended: bool) -> Reason | None:
    """Why a policy that selects the namespace does not protect the claim."""
    if not line.possible:
        told = f"policy {policy} wants it and can't copy it: {line.why}"
        return Reason(Cause.IMPOSSIBLE, told, policy)
    if line.method == CopyMethod.SKIP:
        return Reason(Cause.SKIPPED, f"policy {policy} skips it: {line.why}", policy)
    if suspended:
        told = f"policy {policy} would protect it and is suspended"
        return Reason(Cause.SUSPENDED, told, policy)
    return None


class _Ground:
    """The claims of one namespace as a run will find them."""

    def __init__(self, found: NamespaceInventory, default_class: str) -> None:
        self._default = default_class
        self.claims = [self._as_bound(claim) for claim in found.claims]
        self.users = dict(found.users)
        self.replicas: dict[str, Claim] = {}
        self.replica_users: dict[str, ClaimUser] = {}
        for template in found.templates:
            for claim in self._replicas_of(template, found):
                self.replicas.setdefault(claim.name, claim)
                pod = f"{template.workload}-{claim.name.rpartition('-')[2]}"
                self.replica_users.setdefault(claim.name, ClaimUser(pod=pod, node=""))

    def _as_bound(self, claim: Claim) -> Claim:
        if claim.phase not in ("", "Pending") or claim.restoring:
            return claim
        return replace(claim, phase="Bound", storage_class=claim.storage_class or self._default)

    def _replicas_of(self, template: ClaimTemplate, found: NamespaceInventory) -> Iterator[Claim]:
        """What a template's claims are like is told by those that it made already."""
        names = replica_names(template)
        like = next((claim for claim in found.claims if claim.name in names), None)
        modes = template.access_modes or (like.access_modes if like else ())
        volume_mode = template.volume_mode or (like.volume_mode if like else "Filesystem")
        for name in names:
            yield Claim(
                namespace=found.namespace.name,
                name=name,
                storage_class=template.storage_class or self._default,
                phase="Bound",
                volume_mode=volume_mode,
                access_modes=modes,
                size=template.size,
            )


def replica_names(template: ClaimTemplate) -> tuple[str, ...]:
    """The claims of a template that are looked at, the next replica's among them."""
    ordinals = {*range(min(template.replicas + 1, _MOST_REPLICAS)), template.replicas}
    return tuple(f"{template.name}-{template.workload}-{n}" for n in sorted(ordinals))


def _decide(
    policies: Sequence[BackupPolicy],
    selections: Mapping[str, Selection],
    grounds: Mapping[str, _Ground],
    shared_key: bool,
    storage: Storage | None,
    *,
    replicas: bool,
) -> dict[tuple[str, str], list[_Decided]]:
    """(namespace, claim) → what each policy that selects the namespace does with it."""
    claims: dict[str, Sequence[Claim]] = {}
    users: dict[str, Mapping[str, ClaimUser]] = {}
    for name, ground in grounds.items():
        claims[name] = list(ground.replicas.values()) if replicas else ground.claims
        users[name] = ground.replica_users if replicas else ground.users
    decided: defaultdict[tuple[str, str], list[_Decided]] = defaultdict(list)
    for policy in policies:
        made = cover(
            policy,
            selections[policy.name],
            claims,
            users,
            shared_key=shared_key,
            storage=storage,
        )
        for line in made.claims:
            decided[line.namespace, line.claim].append((policy.name, line))
    return decided
