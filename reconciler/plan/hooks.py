"""In which pods a policy's hooks run, in which order, and why in no others. Pure.

    plan_hooks(policy, pods, *, grants, source, own_namespace) -> HookPlan

``pods`` is namespace → its raw pods, of the selected namespaces whose data is copied: hooks are for
data, elsewhere none runs. ``grants`` are those of today's Config and ``source`` is the policy's
(``teams/a/shop.yaml#0``), both asked beside the limit that the compiled policy brought.

What is promised:

- A hook runs in pods that carry all its labels, are Running and have its container running; without
  a container in the one that ``kubectl exec`` takes: the annotation's, else the first.
- Never in Backstay's own namespace or pods, nor where no grant gives hooks, nor in ``kube-*``
  unless a granted glob speaks of it.
- `NamespaceHooks.pre` is in the order of the policy's list, pods by name; ``post`` is its reverse.
- A hook with ``once`` runs in one pod, the first by namespace and name. It stands in
  `HookPlan.once`: its pre command before any namespace's, its post command after all. Where it
  can't run, that is so for every namespace: none of them is quiesced by it.
- In more than `MOST_PODS` pods of a namespace a hook runs in none: they would stand still for each
  other's sake, one after the other.
- Whatever matches and does not run is in ``not_hooked`` with its reason and `Effect`. A hook that
  would run nowhere, since no pod that lives has its labels, makes every namespace PartiallyFailed:
  most likely its labels are wrong. Where one namespace has such a pod, others may be without.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model import naming
from reconciler.model.grants import Grant, find_grant, why_none
from reconciler.model.hooks import Hook, Phase
from reconciler.model.policy import BackupPolicy

Pod = Mapping[str, Any]
"""As the API server gives it."""
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_ENDED = ("Succeeded", "Failed")
_FEW = 8
MOST_PODS = 50
"""Of one hook in one namespace."""


class Effect(enum.StrEnum):
    """What it means for a namespace that a hook does not run where it matched."""

    NONE = "none"
    """It is as it should be; told only."""
    PARTIAL = "partial"
    """Nothing runs there that could be quiesced: its data is copied, and it is PartiallyFailed."""
    FAILED = "failed"
    """Something goes on unquiesced: as a command that failed, so that ``onError`` decides."""


_BY_WEIGHT = (Effect.NONE, Effect.PARTIAL, Effect.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookTarget:
    """One container in which one hook's commands run."""

    hook: Hook
    namespace: str
    pod: str
    uid: str
    """The pod's; another pod of its name is none that was planned."""
    container: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotHooked:
    """Why a hook does not run in a pod, or, where ``pod`` is empty, in a namespace."""

    hook: Hook
    namespace: str
    pod: str = ""
    why: str
    effect: Effect


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceHooks:
    """What runs around the copy of one namespace; without what runs once for all of them."""

    namespace: str
    targets: tuple[HookTarget, ...] = ()
    not_hooked: tuple[NotHooked, ...] = ()

    @property
    def pre(self) -> tuple[HookTarget, ...]:
        """Those with a command before the copy, in their order."""
        return in_order(self.targets, Phase.PRE)

    @property
    def post(self) -> tuple[HookTarget, ...]:
        """Those with a command after the copy, in their order."""
        return in_order(self.targets, Phase.POST)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPlan:
    """``namespaces`` has every namespace that was asked for, sorted."""

    namespaces: Mapping[str, NamespaceHooks]
    once: tuple[HookTarget, ...] = ()
    drawn: tuple[str, ...] = ()
    """Of hooks with ``once`` that have pods in several namespaces: in which one they run."""

    @property
    def targets(self) -> tuple[HookTarget, ...]:
        """All containers in which anything runs, in the order of their pre commands."""
        return self.once + tuple(
            target for found in self.namespaces.values() for target in found.targets
        )

    @property
    def not_hooked(self) -> tuple[NotHooked, ...]:
        """Of all namespaces."""
        return tuple(one for found in self.namespaces.values() for one in found.not_hooked)


NO_HOOKS = HookPlan(namespaces={})


def may_run(
    policy: BackupPolicy, namespaces: Iterable[str], *, own_namespace: str
) -> tuple[str, ...]:
    """Those of some namespaces in which the limit that the policy brought lets its hooks run."""
    grant = Grant(hooks=policy.hooks_within)
    return tuple(name for name in namespaces if grant.may_hook(name, own_namespace=own_namespace))


def in_order(targets: Iterable[HookTarget], phase: Phase) -> tuple[HookTarget, ...]:
    """Those of some targets that have a command on one side, in the order in which they run."""
    found = tuple(target for target in targets if target.hook.command(phase) is not None)
    return found if phase is Phase.PRE else found[::-1]


def plan_hooks(
    policy: BackupPolicy,
    pods: Mapping[str, Sequence[Pod]],
    *,
    grants: Sequence[Grant],
    source: str,
    own_namespace: str,
) -> HookPlan:
    """See the module. Never raises for anything that a pod says."""
    limits = _Limits.of(policy, grants, source, own_namespace)
    found: dict[str, list[HookTarget | NotHooked]] = {name: [] for name in sorted(pods)}
    once: list[HookTarget] = []
    drawn: list[str] = []
    for hook in policy.hooks:
        known = [
            one
            for name in found
            for one in _in_namespace(hook, name, pods[name], limits.why_not(name))
        ]
        alive = any(isinstance(one, HookTarget) or one.effect is not Effect.NONE for one in known)
        absent = set(found) - {one.namespace for one in known} if alive else set(found)
        known += [_nobody(hook, name, Effect.NONE if alive else Effect.PARTIAL) for name in absent]
        chosen = next((one for one in known if isinstance(one, HookTarget)), None)
        if hook.once and chosen is None:
            known += _nowhere(known, found)
        elif hook.once and chosen is not None:
            once.append(chosen)
            drawn += _drawn(chosen, known)
            known = [_spared(one, chosen) for one in known if one is not chosen]
        for one in known:
            found[one.namespace].append(one)
    return HookPlan(
        namespaces={name: _namespace(name, known) for name, known in found.items()},
        once=tuple(once),
        drawn=tuple(drawn),
    )


def _namespace(name: str, found: Sequence[HookTarget | NotHooked]) -> NamespaceHooks:
    return NamespaceHooks(
        namespace=name,
        targets=tuple(one for one in found if isinstance(one, HookTarget)),
        not_hooked=tuple(one for one in found if isinstance(one, NotHooked)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """Who has a say in where hooks run; all of them must allow a namespace."""

    grants: tuple[Grant, ...]
    ungranted: str = ""
    """Why there is no grant at all."""
    own_namespace: str

    @classmethod
    def of(
        cls, policy: BackupPolicy, grants: Sequence[Grant], source: str, own_namespace: str
    ) -> _Limits:
        """Those of the day when the policy was compiled, and today's."""
        compiled = Grant(hooks=policy.hooks_within)
        file, _, _ = source.rpartition("#")
        if not file:  # no file brought it: there is no folder to ask for
            return cls(grants=(compiled,), own_namespace=own_namespace)
        today = find_grant(grants, file)
        if today is None:
            return cls(grants=(), ungranted=why_none(grants, file), own_namespace=own_namespace)
        return cls(grants=(today, compiled), own_namespace=own_namespace)

    def why_not(self, namespace: str) -> str:
        """Why no hook may run in a namespace; empty where it may."""
        if namespace == self.own_namespace:
            return "it is Backstay's own namespace, where no hook ever runs"
        if self.ungranted:
            return f"hooks are not granted: {self.ungranted}"
        for grant in self.grants:
            if not grant.may_hook(namespace, own_namespace=self.own_namespace):
                given = "in " + ", ".join(grant.hooks[:_FEW]) if grant.hooks else "nowhere"
                return f"hooks are not granted here: Config grants them {given}"
        return ""


def _in_namespace(
    hook: Hook, namespace: str, pods: Sequence[Pod], why_not: str
) -> Iterator[HookTarget | NotHooked]:
    """Each matching pod's target or reason, by name; nothing where none matches."""
    matching = sorted((pod for pod in pods if _matches(hook, pod)), key=_name)
    if matching and why_not:
        yield NotHooked(hook=hook, namespace=namespace, why=why_not, effect=Effect.FAILED)
        return
    found = [_target(hook, namespace, pod) for pod in matching]
    count = sum(isinstance(one, HookTarget) for one in found)
    if count > MOST_PODS and not hook.once:
        why = f"{count} pods here have its labels; it runs in {MOST_PODS} at most, or once"
        yield NotHooked(hook=hook, namespace=namespace, why=why, effect=Effect.FAILED)
        return
    yield from found


def _drawn(chosen: HookTarget, known: Sequence[HookTarget | NotHooked]) -> list[str]:
    """Whoever starts a pod with these labels in a namespace of a smaller name draws it there."""
    names = {one.namespace for one in known if isinstance(one, HookTarget)} - {chosen.namespace}
    if not names:
        return []
    others = sorted(names)
    more = f" and {len(others) - _FEW} more" if len(others) > _FEW else ""
    where = f"{chosen.namespace}/{chosen.pod}"
    have = f"{', '.join(others[:_FEW])}{more} have pods with its labels too"
    return [f"hook {chosen.hook.name} runs once, in pod {where}: the first by name, though {have}"]


def _matches(hook: Hook, pod: Pod) -> bool:
    labels = pod["metadata"].get("labels") or {}
    if naming.COMPONENT in labels or not hook.match_labels:
        return False
    return all(labels.get(key) == value for key, value in hook.match_labels.items())


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])


def _target(hook: Hook, namespace: str, pod: Pod) -> HookTarget | NotHooked:
    container = hook.container or _default_container(pod)
    why, effect = _obstacle(pod, container)
    if why:
        return NotHooked(hook=hook, namespace=namespace, pod=_name(pod), why=why, effect=effect)
    return HookTarget(
        hook=hook,
        namespace=namespace,
        pod=_name(pod),
        uid=str(pod["metadata"].get("uid", "")),
        container=container,
    )


def _default_container(pod: Pod) -> str:
    annotations = pod["metadata"].get("annotations") or {}
    names = _containers(pod)
    wanted = str(annotations.get(DEFAULT_CONTAINER, ""))
    return wanted if wanted in names else next(iter(names), "")


def _containers(pod: Pod) -> tuple[str, ...]:
    """Those that stay: an init container only where it is a sidecar."""
    spec = pod.get("spec") or {}
    sidecars = [
        one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"
    ]
    return tuple(str(one["name"]) for one in (*(spec.get("containers") or ()), *sidecars))


def _obstacle(pod: Pod, container: str) -> tuple[str, Effect]:
    """Why nothing can be executed there, and what that means; empty where it can."""
    status = pod.get("status") or {}
    phase = str(status.get("phase") or "Unknown")
    names = _containers(pod)
    if phase in _ENDED:
        return f"it has ended ({phase})", Effect.NONE
    if container not in names:
        has = ", ".join(names[:_FEW])
        return f"it has no container {container}; it has {has}", Effect.FAILED
    if pod["metadata"].get("deletionTimestamp"):
        return "it is being deleted", Effect.FAILED
    if phase == "Pending":
        return "it is Pending, not Running", Effect.PARTIAL
    if phase != "Running":
        return f"it is {phase}, not Running", Effect.FAILED
    state = _state(status, container)
    if "running" in state:
        return "", Effect.NONE
    reason = next((str(one.get("reason") or "") for one in state.values() if one), "")
    why = f"its container {container} is not running"
    return f"{why}: {reason}" if reason else why, Effect.PARTIAL


def _state(status: Mapping[str, Any], container: str) -> Mapping[str, Mapping[str, Any]]:
    told = (
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
    )
    none: Mapping[str, Any] = {}
    found = next((one for one in told if one.get("name") == container), none)
    return found.get("state") or {}


def _spared(one: HookTarget | NotHooked, chosen: HookTarget) -> NotHooked:
    """What ``once`` makes of all pods but one."""
    if isinstance(one, NotHooked):
        return replace(one, effect=Effect.NONE)
    why = f"it runs once, in pod {chosen.namespace}/{chosen.pod}"
    return NotHooked(
        hook=one.hook, namespace=one.namespace, pod=one.pod, why=why, effect=Effect.NONE
    )


def _nowhere(known: Sequence[HookTarget | NotHooked], names: Iterable[str]) -> list[NotHooked]:
    """A hook of ``once`` that can't run is missed by all namespaces as by the worst off."""
    reasons = [one for one in known if isinstance(one, NotHooked)]
    worst = max(reasons, key=lambda one: _BY_WEIGHT.index(one.effect), default=None)
    if worst is None:
        return []
    told = {one.namespace for one in reasons if one.effect is worst.effect}
    where = f"{worst.namespace}/{worst.pod}" if worst.pod else worst.namespace
    why = f"it runs once, for all namespaces, and could not in {where}: {worst.why}"
    return [replace(worst, namespace=name, pod="", why=why) for name in names if name not in told]


def _nobody(hook: Hook, namespace: str, effect: Effect) -> NotHooked:
    labels = ",".join(f"{key}={value}" for key, value in sorted(hook.match_labels.items()))
    return NotHooked(
        hook=hook,
        namespace=namespace,
        why=f"no pod to run it in has the labels {labels}",
        effect=effect,
    )
