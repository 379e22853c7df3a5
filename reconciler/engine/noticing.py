"""New applications are noticed at once: when the watch says so, else when the timer comes.

What is noticed is told once and counted; it changes nothing. Runs select for themselves when they
begin, so a namespace that matches is protected whether anybody noticed it or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler import ports
from reconciler.engine import observe
from reconciler.engine.controller import Cycle, Setting
from reconciler.engine.inforce import policies_in_force
from reconciler.engine.newcomerevents import announce
from reconciler.engine.unexpected import explain_unexpected
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import ClusterConfig
from reconciler.model.errors import BackstayError
from reconciler.model.figures import Unprotected
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.policy import BackupPolicy, Exemption
from reconciler.model.protection import State
from reconciler.plan.newcomers import Newcomer, find_newcomers
from reconciler.plan.protection import protect, unprotected

_MOST = 200
"""Lines of one look: whoever makes namespaces in a loop must not fill the disk with logs."""
_RECOUNT = timedelta(hours=1)
Known = Callable[[], tuple[Sequence[Namespace], Sequence[Claim]] | None]


@dataclass(frozen=True, slots=True)
class _Rules:
    """By which what is there is judged."""

    setting: Setting
    policies: tuple[BackupPolicy, ...]
    exemptions: tuple[Exemption, ...]


class Noticer:
    """Called by the loop's thread alone. ``known`` is the watch's copy; None where it has none."""

    def __init__(
        self,
        known: Known,
        *,
        reporter: ports.Reporter,
        clock: ports.Clock,
        counted: Callable[[Unprotected | None], None] = lambda _: None,
    ) -> None:
        self._known = known
        self._reporter = reporter
        self._clock = clock
        self._counted = counted
        self._rules: _Rules | None = None
        self._setting: Setting | None = None
        self._last: Inventory | None = None
        self._unsaid: tuple[Newcomer, ...] = ()
        """Whose Events could not be written."""
        self._judged: tuple[object, ...] = ()
        self._count: Unprotected | None = None
        self._when: datetime | None = None

    def begin(self, setting: Setting) -> Setting:
        """Before a cycle, which Git may hold up: what the watch knows, by the policies so far."""
        self._setting = setting
        found = self._known()
        if found is not None and self._rules is not None:
            self._safely(*found)
        return replace(setting, known=self._known)

    def end(self, cycle: Cycle) -> None:
        """After it, by the policies in force; where there is no watch the cluster is asked."""
        in_force = policies_in_force(cycle)
        if in_force is not None and cycle.desired is not None and self._setting is not None:
            exemptions = cycle.desired.parsed.exemptions
            self._rules = _Rules(self._setting, tuple(in_force.values()), exemptions)
        if self._rules is None:
            return
        found = self._known()
        if found is None and cycle.error is None:
            found = self._ask(self._rules.setting.reader)
        if found is None:
            self._counted(None)
            return
        self._safely(*found)

    def _ask(
        self, reader: ports.ClusterReader
    ) -> tuple[Sequence[Namespace], Sequence[Claim]] | None:
        try:
            return observe.observe_namespaces(reader), observe.observe_claims(reader)
        except BackstayError:
            return None  # the watch has told why, and the figures are left out

    def _safely(self, namespaces: Sequence[Namespace], claims: Sequence[Claim]) -> None:
        try:
            self._look(namespaces, claims)
        except Exception as error:  # noqa: BLE001 - noticing ends no cycle; told as a bug
            explain_unexpected(error, self._reporter, ended="the look for new applications")

    def _look(self, namespaces: Sequence[Namespace], claims: Sequence[Claim]) -> None:
        rules = self._rules
        if rules is None:
            return
        config = rules.setting.config

        def as_seen(namespaces: Sequence[Namespace], claims: Sequence[Claim]) -> Inventory:
            own = rules.setting.place.namespace
            return inventory_of(namespaces, claims, cluster=config.cluster, own_namespace=own)

        seen = as_seen(namespaces, claims)
        absence = (self._setting or rules.setting).absence
        if self._last is None and absence.base is not None:
            self._last = as_seen(*absence.base)
        elif absence.base is None and not absence.over:
            absence.base = namespaces, claims
        if absence.over:
            absence.base = None  # both have it, and it may be large
        before, self._last = self._last, seen
        if before is not None:
            newcomers = find_newcomers(
                before,
                seen,
                rules.policies,
                rules.exemptions,
                now=self._clock.now(),
                shared_key=config.shared_key_in_tenants,
            )
            self._tell(newcomers)
            self._announce(newcomers, self._setting or rules.setting)
        self._counted(self._unprotected(seen, rules))

    def _announce(self, newcomers: Sequence[Newcomer], setting: Setting) -> None:
        """With those of earlier looks that the API server did not hear of; the newest word counts.

        A look without a newcomer says them again, too.
        """
        known = {one.title for one in newcomers}
        waiting = (*(one for one in self._unsaid if one.title not in known), *newcomers)
        self._unsaid = () if announce(waiting, setting) else waiting[-_MOST:]

    def _unprotected(self, seen: Inventory, rules: _Rules) -> Unprotected:
        """Counted again when something is different, and each hour, because exemptions expire."""
        shared_key, now = rules.setting.config.shared_key_in_tenants, self._clock.now()
        judged = (seen, rules.policies, rules.exemptions, shared_key)
        old = self._when is None or not timedelta() <= now - self._when < _RECOUNT
        if self._count is not None and judged == self._judged and not old:
            return self._count
        made = protect(rules.policies, rules.exemptions, seen, now=now, shared_key=shared_key)
        total = unprotected(made)
        found = Unprotected(namespaces=total.namespaces, claims=total.claims)
        if found != self._count:
            self._reporter.event("unprotected", namespaces=found.namespaces, claims=found.claims)
        self._count, self._judged, self._when = found, judged, now
        return found

    def _tell(self, newcomers: Sequence[Newcomer]) -> None:
        for found in newcomers[:_MOST]:
            bad = found.state is State.UNPROTECTED
            tell = self._reporter.warning if bad else self._reporter.event
            tell("new application" if found.new else "protection changed", what=found.title,
                 namespace=found.namespace, verdict=found.sentence)  # fmt: skip
        if len(newcomers) > _MOST:
            more = len(newcomers) - _MOST
            self._reporter.warning("and more", of="new application", count=more)


def inventory_of(
    namespaces: Sequence[Namespace],
    claims: Sequence[Claim],
    *,
    cluster: ClusterConfig,
    own_namespace: str,
) -> Inventory:
    """As much of a cluster's inventory as namespaces and claims alone give, sorted by name."""
    within: defaultdict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        within[claim.namespace].append(claim)
    return Inventory(
        cluster=cluster.name,
        uid="",
        labels=cluster.labels,
        own_namespace=own_namespace,
        namespaces=tuple(
            NamespaceInventory(
                namespace=namespace,
                claims=tuple(sorted(within[namespace.name], key=lambda claim: claim.name)),
            )
            for namespace in sorted(namespaces, key=lambda found: found.name)
        ),
    )
