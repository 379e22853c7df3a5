"""A plan: what would change in the cluster, and why, before anything does.

A value made by pure functions. It can be printed, compared and executed; every line says why
(I8). Only `Action.CREATED`, `Action.CONFIGURED` and `Action.DELETED` touch the cluster.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.errors import Problem
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.hooks import HookCommand, Phase
from reconciler.model.objects import ObjectRef
from reconciler.model.policy import ParsedFiles
from reconciler.model.protection import Unprotected
from reconciler.model.redaction import KeepRule
from reconciler.model.store import Descends


class Action(enum.StrEnum):
    """What happens to one object, in the words that Flux has made common."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    SKIPPED = "skipped"
    """Something stands in the way, and the object stays as it is."""


CHANGING = frozenset({Action.CREATED, Action.CONFIGURED, Action.DELETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object. ``body`` is what is applied, ``uid`` what is deleted, ``fields`` what differs."""

    action: Action
    object: ObjectRef
    reason: str
    policy: str = ""
    source: str = ""
    """``policies/shop.yaml#0``."""
    fields: tuple[str, ...] = ()
    hint: str = ""
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    uid: str = ""
    heir: str = ""
    """The policy under its new name: what is deleted goes only once that one is in the cluster."""

    @property
    def changes(self) -> bool:
        """Whether executing it writes to the cluster."""
        return self.action in CHANGING


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The revision a plan is made for, and what is known of the one before."""

    revision: str
    descends: Descends = Descends.UNKNOWN
    """Whether ``revision`` has ``last`` among its ancestors."""
    last: str = ""
    """The remembered revision; empty on the first contact with a cluster."""
    path: str = ""
    """The policy folder."""
    path_found: bool = True
    message: str = ""
    """Of the revision's own commit."""
    has_message: bool = True
    """Whether the source has commit messages at all, and so a place for a word of approval."""
    begun: frozenset[str] = frozenset()
    """Policies whose deletion this revision approved, as an earlier cycle began to execute it."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What one revision asks for: its documents and all their problems."""

    parsed: ParsedFiles
    problems: tuple[Problem, ...] = ()
    grants: tuple[Grant, ...] = EVERYTHING
    """Of Config: a schedule does not go from one folder to another unseen."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Raw objects of Backstay's own namespace, each list complete."""

    cron_jobs: tuple[Mapping[str, Any], ...] = ()
    config_maps: tuple[Mapping[str, Any], ...] = ()
    jobs: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """One claim of a policy: how its data would be copied now."""

    namespace: str
    claim: str
    method: str
    why: str
    possible: bool = True
    restoring: bool = False
    """Not possible, because a restore has not filled it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookLine:
    """One command of a hook in one namespace, and where it would be executed now."""

    namespace: str
    hook: str
    phase: Phase
    command: HookCommand
    pods: tuple[tuple[str, str], ...]
    """(pod, container), in the order of execution."""
    once: bool = False
    """In this one pod for the whole policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMiss:
    """Where a hook would not run now, and why."""

    namespace: str
    hook: str
    pod: str = ""
    """Empty for the whole namespace."""
    why: str
    well: bool = True
    """Whether the run is Completed all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a policy would protect if it ran now."""

    policy: str
    namespaces: tuple[tuple[str, str], ...] = ()
    """(name, why it is selected)."""
    passed_over: tuple[tuple[str, str], ...] = ()
    """(name, why it is left out although it matched)."""
    not_granted: tuple[str, ...] = ()
    """Those of them that the grant of its folder does not give."""
    claims: tuple[ClaimLine, ...] = ()
    grant: str = ""
    """The folder whose grant allows it; empty where Config has no grants."""
    within: tuple[str, ...] | None = None
    """Globs of namespaces that this grant gives; None: all."""
    left_out: tuple[str, ...] = ()
    """What its ``selector.objects`` leaves out, in words."""
    guards: str = ""
    """What keeps a run from deleting too much, in words, also that nothing does."""
    hooks: tuple[HookLine, ...] = ()
    """By namespace; in each those before the copy, then those after it, in their order."""
    hooks_missed: tuple[HookMiss, ...] = ()
    kept: tuple[KeepRule, ...] = ()
    """What stays in clear in Git though a default rule may take it for a credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that one revision changes, in the order of execution."""

    cluster: str
    namespace: str
    revision: str
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()
    brakes: tuple[str, ...] = ()
    """Why nothing is deleted; empty where deletions are free."""
    approval: str = ""
    """The digest that approves the deletions that are refused; empty where that can't help."""
    approved: tuple[str, ...] = ()
    """Policies that go by approval, so that a cycle that was cut short can go on."""
    last: str = ""
    """The remembered revision."""
    notes: tuple[str, ...] = ()
    coverage: tuple[Coverage, ...] | None = None
    """None where nobody looked."""
    unprotected: Unprotected | None = None
    """What of the cluster no policy protects and nobody exempts; None where nobody looked."""
    remember: str = ""
    """The revision to be remembered afterwards; empty where the remembered one must stay."""

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that write to the cluster."""
        return tuple(change for change in self.changes if change.changes)

    @property
    def empty(self) -> bool:
        """Whether executing it would write nothing."""
        return not self.pending

    def counts(self) -> dict[str, int]:
        """Lines per action, every action named."""
        return {str(a): sum(c.action is a for c in self.changes) for a in Action}
