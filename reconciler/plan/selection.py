"""Which namespaces a policy selects, and how each claim's data is copied, each with its reason.

Pure: the same cluster and the same policy give the same selection. Nothing is decided later
than here, so what `plan` prints is what a run does.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import naming
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.policy import CopyMethod, NamespaceSelector, VolumeRule, Volumes
from reconciler.plan import copymethods
from reconciler.plan.copymethods import Choice, Storage
from reconciler.plan.namespaceindex import WILD


@dataclass(frozen=True, slots=True)
class SelectedNamespace:
    """A namespace that the policy protects now, and why."""

    namespace: Namespace
    why: str

    @property
    def name(self) -> str:
        """The namespace's name."""
        return self.namespace.name


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A namespace or claim that matched and is not taken, and why."""

    name: str
    why: str
    granted: bool = True
    """Whether it is for the policy to say, and not for the grant of its folder."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selected namespaces by name, and those that matched but were passed over."""

    namespaces: tuple[SelectedNamespace, ...]
    passed_over: tuple[PassedOver, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the selected namespaces, sorted."""
        return tuple(found.name for found in self.namespaces)

    @property
    def not_granted(self) -> tuple[str, ...]:
        """Names of those that match, and that the folder's grant does not give, sorted."""
        return tuple(found.name for found in self.passed_over if not found.granted)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeDecision:
    """What happens to one claim.

    ``impossible`` means that the policy wants its data and this can't be done: the claim counts
    as failed, with ``why``, and the namespace's outcome is PartiallyFailed.
    """

    claim: Claim
    method: CopyMethod
    why: str
    impossible: bool = False
    user: ClaimUser | None = None
    snapshot_class: str = ""
    """Of a `Snapshot`: by which VolumeSnapshotClass."""


def _is_guarded(name: str, own_namespace: str) -> bool:
    return name.startswith("kube-") or name == own_namespace


def _names_it(pattern: str, name: str) -> bool:
    """Whether a pattern speaks of a guarded namespace on purpose: by name, or by its prefix."""
    return pattern == name or (pattern.startswith("kube-") and name.startswith("kube-"))


def _match_name(selector: NamespaceSelector, name: str, own_namespace: str) -> str:
    """The pattern that selects ``name``, or an empty string."""
    patterns = selector.names or ("*",)
    for pattern in patterns:
        if not fnmatch.fnmatchcase(name, pattern):
            continue
        if _is_guarded(name, own_namespace) and not _names_it(pattern, name):
            continue
        return pattern
    return ""


def _has_labels(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def _why(pattern: str, name: str, selector: NamespaceSelector) -> str:
    parts = []
    if selector.names:
        parts.append("named" if pattern == name else f"matches {pattern}")
    if selector.match_labels:
        parts.append("has labels " + ",".join(f"{k}={v}" for k, v in selector.match_labels.items()))
    return " and ".join(parts) or "every namespace is selected"


def select_namespaces(
    selector: NamespaceSelector, namespaces: Iterable[Namespace], *, own_namespace: str
) -> Selection:
    """Names are OR, names and labels are AND, ``exclude`` wins.

    ``*`` leaves out ``kube-*`` and Backstay's own namespace unless they are named. What the
    selector's grant does not give is passed over.
    """
    selected: list[SelectedNamespace] = []
    passed: list[PassedOver] = []
    for namespace in sorted(namespaces, key=lambda found: found.name):
        pattern = _match_name(selector, namespace.name, own_namespace)
        if not pattern or not _has_labels(selector.match_labels, namespace.labels):
            continue
        excluded = next(
            (glob for glob in selector.exclude if fnmatch.fnmatchcase(namespace.name, glob)), ""
        )
        if excluded:
            passed.append(PassedOver(namespace.name, f"excluded by {excluded}"))
        elif selector.within is not None and not _any_match(namespace.name, selector.within):
            why = f"not granted to folder {selector.grant}"
            passed.append(PassedOver(namespace.name, why, granted=False))
        elif namespace.terminating:
            passed.append(PassedOver(namespace.name, "it is being deleted"))
        else:
            why = _why(pattern, namespace.name, selector)
            selected.append(SelectedNamespace(namespace, why))
    return Selection(tuple(selected), tuple(passed))


def plain_names(selector: NamespaceSelector) -> tuple[str, ...]:
    """The only names that it can select, or none where that is not known: ``names`` has a glob."""
    known = not any(WILD & set(name) for name in selector.names)
    return tuple(selector.names) if known else ()


def may_select(selector: NamespaceSelector, name: str, *, own_namespace: str) -> bool:
    """Whether a namespace of this name would be selected, whatever its labels are."""
    return (
        bool(_match_name(selector, name, own_namespace))
        and not _any_match(name, selector.exclude)
        and (selector.within is None or _any_match(name, selector.within))
    )


def _any_match(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _rule_matches(rule: VolumeRule, claim: Claim) -> bool:
    if rule.claims and not any(fnmatch.fnmatchcase(claim.name, glob) for glob in rule.claims):
        return False
    return not rule.storage_class or any(
        fnmatch.fnmatchcase(claim.storage_class, glob) for glob in rule.storage_class
    )


def _wanted_method(volumes: Volumes, claim: Claim) -> tuple[CopyMethod, str]:
    for number, rule in enumerate(volumes.rules, start=1):
        if _rule_matches(rule, claim):
            return rule.copy_method, f"rule {number}" + (f": {rule.reason}" if rule.reason else "")
    return volumes.copy_method, f"copyMethod {volumes.copy_method}"


def _obstacle(method: CopyMethod, claim: Claim, user: ClaimUser | None) -> str:
    """Why a mover can't read this claim, or a copy of it; or an empty string."""
    if claim.restoring:
        return f"a restore of {naming.restoring_of(claim.restoring)[0]} has not filled it yet"
    if method in (CopyMethod.SNAPSHOT, CopyMethod.CLONE):
        return copymethods.obstacle(claim)
    if claim.phase == "Lost":
        return "its volume is lost (phase Lost)"
    if claim.volume_mode == "Block":
        return "it is a raw block volume, and Direct copies files"
    if "ReadWriteOncePod" in claim.access_modes and user is not None:
        return f"ReadWriteOncePod: pod {user.pod} holds it, no second pod can mount it"
    return ""


def decide_volume(
    volumes: Volumes, claim: Claim, user: ClaimUser | None, storage: Storage | None = None
) -> VolumeDecision:
    """The method for one claim: the first rule that matches, else the policy's copyMethod.

    What only the cluster's classes can tell is left open without ``storage``.
    """
    method, why = _wanted_method(volumes, claim)
    if method is CopyMethod.SKIP:
        return VolumeDecision(claim=claim, method=method, why=why)
    if claim.phase == "Pending" and not claim.restoring:
        # Nothing was ever written: a claim that waits for its first consumer has no volume.
        return VolumeDecision(
            claim=claim, method=CopyMethod.SKIP, why="it is not bound, so it holds no data"
        )
    choice = copymethods.choose(method, claim, storage) if storage else Choice(method)
    told = "; ".join(filter(None, (why, choice.why)))
    obstacle = _obstacle(choice.method, claim, user) or choice.obstacle
    if obstacle:
        why = f"{told}; {obstacle}"
        return VolumeDecision(claim=claim, method=choice.method, why=why, impossible=True)
    return VolumeDecision(
        claim=claim,
        method=choice.method,
        why=told,
        user=user,
        snapshot_class=choice.snapshot_class,
    )


def decide_volumes(
    volumes: Volumes,
    claims: Sequence[Claim],
    users: Mapping[str, ClaimUser],
    storage: Storage | None = None,
) -> tuple[VolumeDecision, ...]:
    """One decision per claim of one namespace, by name; ``users`` by claim name."""
    return tuple(
        decide_volume(volumes, claim, users.get(claim.name), storage)
        for claim in sorted(claims, key=lambda found: found.name)
    )
