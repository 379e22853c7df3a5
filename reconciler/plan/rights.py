"""The rights that each role needs of the API server: what `deploy/` grants, as a table. Pure.

A test compares it with the RBAC of `deploy/` in both directions, so that an account has what it
uses and nothing else, and `backstay doctor` asks for exactly that.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model import naming
from reconciler.model.doctor import Finding, Level
from reconciler.model.rights import Right


class Role(enum.StrEnum):
    """Who needs rights; the value is the last part of its service account's name."""

    CONTROLLER = "controller"
    RUN = "run"
    RESTORE = "restore"

    @property
    def account(self) -> str:
        """Its service account."""
        return f"backstay-{self.value}"

    def user(self, namespace: str) -> str:
        """Its account as the API server names users."""
        return f"system:serviceaccount:{namespace}:{self.account}"


@dataclass(frozen=True, slots=True)
class Need:
    """One right, and why the role needs it. ``own``: only in Backstay's own namespace."""

    right: Right
    why: str
    own: bool = False

    def at(self, namespace: str) -> Right:
        """The right as it is asked, in an installation in ``namespace``."""
        return replace(self.right, namespace=namespace) if self.own else self.right


def _needs(
    verbs: str, group: str, resources: str, why: str, *, name: str = "", own: bool = False
) -> tuple[Need, ...]:
    return tuple(
        Need(Right(verb=verb, group=group, resource=resource, name=name), why, own)
        for resource in resources.split()
        for verb in verbs.split()
    )


_LEASES = "coordination.k8s.io"
_SHOWS = "it shows what is in force"
_INVENTORY = "the inventory tells what policies would protect"
CONTROLLER: tuple[Need, ...] = (
    *_needs("list create patch delete", "batch", "cronjobs", "it keeps the schedules", own=True),
    *_needs(
        "get list create patch delete", "", "configmaps", "it compiles policies into them", own=True
    ),
    *_needs("list", "batch", "jobs", "it keeps the ConfigMaps that Jobs still use", own=True),
    *_needs("get create", "batch", "jobs", "it ends hooks that a dead run left open", own=True),
    *_needs("list", _LEASES, "leases", "it ends hooks that a dead run left open", own=True),
    *_needs("get list create patch delete", naming.GROUP, "backuppolicies", _SHOWS, own=True),
    *_needs("patch", naming.GROUP, "backuppolicies/status", _SHOWS, own=True),
    *_needs("create", "events.k8s.io", "events", "it tells what changes of a policy", own=True),
    *_needs("create", _LEASES, "leases", "one controller writes at a time", own=True),
    *_needs(
        "get update",
        _LEASES,
        "leases",
        "one controller writes at a time",
        name="backstay-controller",
        own=True,
    ),
    *_needs("list", "", "namespaces persistentvolumeclaims pods", _INVENTORY),
    *_needs("watch", "", "namespaces persistentvolumeclaims", "it notices new applications"),
    *_needs("list", "apps", "statefulsets", _INVENTORY),
    *_needs("list", "storage.k8s.io", "storageclasses", _INVENTORY),
    *_needs("list", "snapshot.storage.k8s.io", "volumesnapshotclasses", _INVENTORY),
)
RUN: tuple[Need, ...] = (
    *_needs("list", "*", "*", "what it can't list is a gap in the recovery point"),
    *_needs("get", "", "namespaces", "it tells which cluster this is", name="kube-system"),
    *_needs("get create patch delete", "batch", "jobs", "it starts movers, and removes them"),
    *_needs("get create patch delete", "", "secrets", "movers get their keys, and lose them"),
    *_needs("get create update", _LEASES, "leases", "one run of a policy at a time", own=True),
    *_needs("patch delete", _LEASES, "leases", "it ends the hooks that it began", own=True),
    *_needs("get", "", "pods", "is the holder of the Lease alive?", own=True),
)
RESTORE: tuple[Need, ...] = (
    *_needs("get list create patch update", "*", "*", "whatever was captured is put back"),
    *_needs(
        "bind escalate",
        "rbac.authorization.k8s.io",
        "roles clusterroles",
        "roles are put back as they were",
    ),
    *_needs("delete", "batch", "jobs", "it removes its movers"),
    *_needs("delete", "", "secrets", "it removes its movers' keys"),
)
HOOKS: tuple[Need, ...] = _needs(
    "get create", "", "pods/exec", "hooks execute in its pods", own=True
)
"""Of a run, in each namespace where hooks execute, which takes the place of its own; nothing of it
is asked for where no policy has hooks. `deploy/components/hooks` grants it."""
NEEDS = {Role.CONTROLLER: CONTROLLER, Role.RUN: RUN, Role.RESTORE: RESTORE}
YOU = "you"
"""In place of a role: the person at a terminal, who is none of the accounts."""
_MANUAL = "`run` makes a Job of the schedule, and follows it"
_SHOWN = "`plan` tells what would change"
YOURS: tuple[Need, ...] = (
    *_needs("get", "", "namespaces", "it tells which cluster this is", name="kube-system"),
    *_needs(
        "list", "", "namespaces persistentvolumeclaims pods", "`plan` tells what would be copied"
    ),
    *_needs("list", "", "configmaps", _SHOWN, own=True),
    *_needs("list", "batch", "cronjobs jobs", _SHOWN, own=True),
    *_needs("get", "batch", "cronjobs jobs", _MANUAL, own=True),
    *_needs("create", "batch", "jobs", _MANUAL, own=True),
    *_needs("get", "", "pods/log", "`run` tells what its pod says", own=True),
)


def needs_of(role: str) -> tuple[Need, ...]:
    """What a role, or `YOU`, needs."""
    return YOURS if role == YOU else NEEDS[Role(role)]


@dataclass(frozen=True, slots=True)
class Denied:
    """A right that a role does not have; ``kinds`` are those that are missing of "everything"."""

    need: Need
    kinds: Sequence[str] = ()
    reason: str = ""


def right_id(role: str, right: Right) -> str:
    """``rights/run/list``, ``rights/run/create/jobs.batch``."""
    if right.resource == "*":
        return f"rights/{role}/{right.verb}"
    return f"rights/{role}/{right.verb}/{right.kind}"


def judge(
    role: str, denied: Iterable[Denied], *, namespace: str, who: str, level: Level
) -> tuple[Finding, ...]:
    """One finding for each right that is missing, or one that says that all are there."""
    found = tuple(_missing(role, one, namespace, who, level) for one in denied)
    if found:
        return found
    count = len(needs_of(role))
    return (
        Finding(
            id=f"rights/{role}",
            level=Level.OK,
            message=f"has all {count} rights that it needs",
            where=who,
        ),
    )


def _missing(role: str, denied: Denied, namespace: str, who: str, level: Level) -> Finding:
    right = denied.need.at(namespace)
    where = f" in namespace {right.namespace}" if right.namespace else ""
    what = right.kind if not denied.kinds else _some(denied.kinds)
    reason = f" ({denied.reason})" if denied.reason else ""
    return Finding(
        id=right_id(role, right),
        level=level,
        where=who,
        message=f"may not {right.verb} {what}{where}: {denied.need.why}{reason}",
        hint=_hint(role, right),
    )


def _hint(role: str, right: Right) -> str:
    if role == Role.RESTORE:
        return "ask somebody with these rights to restore, or for them"
    if role == YOU:
        return (
            "ask an administrator of the cluster for it; when it is there, this says yes:"
            f" kubectl auth can-i {right.verb} {_kubectl(right)}"
        )
    return (
        f"kubectl apply -f deploy/base/rbac-{role}.yaml (or your overlay of it); else find out what"
        " denies it"
    )


def _kubectl(right: Right) -> str:
    """A right, but for its verb, as ``kubectl auth can-i`` takes it."""
    resource, _, part = right.resource.partition("/")
    what = f"{resource}.{right.group}" if right.group else resource
    name = f"/{right.name}" if right.name else ""
    where = f" -n {right.namespace}" if right.namespace else " -A"
    return f"{what}{name}{f' --subresource={part}' if part else ''}{where}"


def _some(kinds: Sequence[str]) -> str:
    shown = ", ".join(kinds[:5])
    return shown if len(kinds) <= 5 else f"{shown} and {len(kinds) - 5} more kinds"


ADMISSION = "backstay-run"
"""Name of the ValidatingAdmissionPolicy that narrows what a run may write, and of its binding."""
HOOKS_ADMISSION = "backstay-hooks"
"""Name of the one that narrows what a run may execute, and of its binding."""
SHIPPED = "sha256:8535cae413009484c1a1b8560d3b631b75358999a9b3f6051c6e022748d5caf3"
"""`admission_digest` of deploy/base/admission-run.yaml; a test tells the new one."""


def admission_digest(spec: Mapping[str, Any], namespace: str) -> str:
    """What a ValidatingAdmissionPolicy says, without what the API server adds, as one digest.

    Names of Backstay's namespace in it count as the default one's.
    """
    rules = (spec.get("matchConstraints") or {}).get("resourceRules") or ()
    said = {
        "failurePolicy": spec.get("failurePolicy"),
        "rules": [
            {key: rule.get(key) for key in ("apiGroups", "apiVersions", "operations", "resources")}
            for rule in rules
        ],
        "parts": [
            [dict(part) for part in spec.get(key) or ()]
            for key in ("matchConditions", "variables", "validations")
        ],
    }
    own = Role.RUN.user(namespace)
    text = json.dumps(said, sort_keys=True).replace(own, Role.RUN.user(naming.DEFAULT_NAMESPACE))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
