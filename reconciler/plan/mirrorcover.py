"""How much each policy would protect if it ran now, for its status: counts, no names. Pure.

A status also keeps when the youngest of that was created. So a controller that was away can tell
what came meanwhile, from one moment per policy: no list of names has to be kept anywhere.

By the decisions of a run, but without asking for pods: a claim that only a pod stands in the way of
(ReadWriteOncePod) counts, and so does one that waits for its first pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import Config
from reconciler.model.grants import limit_selector
from reconciler.model.policy import CopyMethod
from reconciler.plan.copymethods import Storage
from reconciler.plan.coverage import cover
from reconciler.plan.cronjob import WantedPolicy
from reconciler.plan.entries import policy_of
from reconciler.plan.mirror import is_mirror
from reconciler.plan.mirrorruns import read_time
from reconciler.plan.mirrorstatus import Protected, text_of
from reconciler.plan.namespaceindex import NamespaceIndex
from reconciler.plan.selection import select_namespaces

Marks = Mapping[str, tuple[str, datetime]]
"""Policy → (digest, until when what it protects is known), as its status says."""
Base = frozenset[tuple[str, datetime | None]]
"""(title, when it was created) of all that there was at a moment: see `base_of`."""
_EVER = datetime.min.replace(tzinfo=UTC)
_NAMED = 10
"""Of what came meanwhile; the rest is a number."""


class Counter:
    """One cluster, seen once, for all policies of a cycle.

    Of what came, only what is in ``base`` is named; None names all of it.
    """

    def __init__(
        self,
        namespaces: Iterable[Namespace],
        claims: Iterable[Claim],
        config: Config,
        *,
        own_namespace: str,
        base: Base | None = None,
    ) -> None:
        self._base = base
        self._namespaces = {one.name: one for one in namespaces}
        self._index = NamespaceIndex(self._namespaces.values())
        self._claims: dict[str, list[Claim]] = {}
        for claim in claims:
            self._claims.setdefault(claim.namespace, []).append(_once_bound(claim))
        self._config = config
        self._own = own_namespace

    def count(
        self,
        wanted: WantedPolicy,
        *,
        since: datetime | None = None,
        storage: Storage | None = None,
    ) -> Protected:
        """Selected namespaces, and claims in them whose data would be copied.

        ``since``: what is younger is named, oldest first; None names nothing. ``storage``: by which
        methods that the policy leaves open are decided.
        """
        policy = wanted.policy
        selector = limit_selector(policy.selector.namespaces, self._config.grants, wanted.source)
        selection = select_namespaces(
            selector, self._index.candidates(selector), own_namespace=self._own
        )
        found = cover(
            policy,
            selection,
            self._claims,
            {},
            shared_key=self._config.shared_key_in_tenants,
            storage=storage,
        )
        copied = {
            (one.namespace, one.claim)
            for one in found.claims
            if one.possible and one.method != CopyMethod.SKIP
        }
        born = dict(self._born(selection.names, copied))
        came = sorted(
            (at, title)
            for title, at in born.items()
            if since is not None
            and at > since
            and (self._base is None or (title, at) in self._base)
        )
        return Protected(
            namespaces=len(selection.namespaces),
            claims=len(copied),
            newest=text_of(max(born.values())) if born else "",
            came=tuple(title for _, title in came[:_NAMED]),
            more=max(0, len(came) - _NAMED),
        )

    def _born(
        self, selected: Iterable[str], copied: set[tuple[str, str]]
    ) -> Iterator[tuple[str, datetime]]:
        """(title, when it was created) of what is protected, and not on its way out."""
        for name in selected:
            namespace = self._namespaces.get(name)
            if namespace is None or namespace.terminating:
                continue
            if namespace.created is not None:
                yield _of_namespace(namespace), namespace.created
            for claim in self._claims.get(name, ()):
                if claim.created is not None and (name, claim.name) in copied:
                    yield _of_claim(claim), claim.created


def base_of(namespaces: Iterable[Namespace], claims: Iterable[Claim]) -> Base:
    """What there is."""
    found = [(_of_namespace(one), one.created) for one in namespaces]
    return frozenset((*found, *((_of_claim(one), one.created) for one in claims)))


def _of_namespace(namespace: Namespace) -> str:
    return f"namespace {namespace.name}"


def _of_claim(claim: Claim) -> str:
    return f"claim {claim.namespace}/{claim.name}"


def _once_bound(claim: Claim) -> Claim:
    """One that waits for its first pod as it will be, as `reconciler.plan.protection` judges it."""
    waits = claim.phase == "Pending" and not claim.restoring
    return replace(claim, phase="Bound") if waits else claim


def marks_of(mirrors: Iterable[Mapping[str, Any]]) -> Marks:
    """Of the statuses that stand there.

    Another version of the policy may select what is old; a merge is told by its plan.
    """
    found = {}
    for raw in filter(is_mirror, mirrors):
        status = raw.get("status") or {}
        protected = status.get("protected") or {}
        newest = read_time(protected.get("newest"))
        if newest is None and protected.get("namespaces") == 0:
            newest = _EVER
        if newest is not None:
            found[policy_of(raw)] = (str(status.get("digest")), newest)
    return found
