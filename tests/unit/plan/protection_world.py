"""A small cluster and the policies over it, for the tests of coverage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.inventory import (
    ClaimTemplate,
    Inventory,
    NamespaceInventory,
    PointDigest,
    StorageClass,
)
from reconciler.model.policy import (
    BackupPolicy,
    ClusterSelector,
    CopyMethod,
    Exemption,
    NamespaceSelector,
    Objectives,
    Retention,
    Schedule,
    Selector,
    VolumeRule,
    Volumes,
)
from reconciler.model.protection import Protection, ProtectionLine
from reconciler.model.run import Outcome
from reconciler.plan.protection import protect

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
Claims = Mapping[str, Claim]


def policy(
    name: str,
    *namespaces: str,
    exclude: tuple[str, ...] = (),
    rules: tuple[VolumeRule, ...] = (),
    suspend: bool = False,
    rpo: int | None = None,
) -> BackupPolicy:
    """One that copies directly, at 04:17."""
    return BackupPolicy(
        name=name,
        schedule=Schedule("17 4 * * *"),
        selector=Selector(namespaces=NamespaceSelector(names=namespaces, exclude=exclude)),
        volumes=Volumes(repository="main", copy_method=CopyMethod.DIRECT, rules=rules),
        retention=Retention(keep_daily=7),
        suspend=suspend,
        objectives=Objectives(rpo=rpo),
    )


def skipping(*claims: str, reason: str = "", storage_class: tuple[str, ...] = ()) -> VolumeRule:
    """A rule that skips."""
    return VolumeRule(
        claims=claims, storage_class=storage_class, copy_method=CopyMethod.SKIP, reason=reason
    )


def exemption(
    name: str,
    *namespaces: str,
    claims: tuple[str, ...] = (),
    expires: datetime = NOW + timedelta(days=100),
    clusters: ClusterSelector | None = None,
) -> Exemption:
    """One of team-ci."""
    return Exemption(
        name=name,
        namespaces=NamespaceSelector(names=namespaces),
        claims=claims,
        reason="rebuilt every night",
        owner="team-ci",
        expires=expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        clusters=clusters or ClusterSelector(),
    )


def claim(namespace: str, name: str, **fields: object) -> Claim:
    """A bound claim."""
    known: dict[str, object] = {"phase": "Bound", "storage_class": "standard", **fields}
    return Claim(namespace=namespace, name=name, **known)  # type: ignore[arg-type]


def space(
    name: str,
    *claims: Claim,
    templates: tuple[ClaimTemplate, ...] = (),
    users: Mapping[str, ClaimUser] | None = None,
    terminating: bool = False,
) -> NamespaceInventory:
    """A namespace with what is in it."""
    return NamespaceInventory(
        namespace=Namespace(name=name, terminating=terminating),
        claims=claims,
        templates=templates,
        users=users or {},
    )


def inventory(
    *namespaces: NamespaceInventory,
    points: tuple[PointDigest, ...] = (),
    classes: tuple[StorageClass, ...] = (),
    taken: datetime | None = NOW,
    older: Mapping[str, int] | None = None,
) -> Inventory:
    """The cluster ``prod-eu``."""
    return Inventory(
        cluster="prod-eu",
        uid="u",
        labels={"env": "prod"},
        taken=taken,
        namespaces=tuple(sorted(namespaces, key=lambda one: one.namespace.name)),
        storage_classes=classes,
        points=points,
        older_points=older or {},
    )


def point(
    policy: str,
    hours: float,
    *claims: str,
    namespace: str = "shop",
    outcome: Outcome = Outcome.COMPLETED,
) -> PointDigest:
    """A run that began so many hours ago."""
    started = NOW - timedelta(hours=hours)
    return PointDigest(
        policy=policy,
        run=f"{policy}-{started:%Y%m%d-%H%M%S}-00000",
        started=started,
        outcome=outcome,
        namespaces={namespace: outcome},
        claims={namespace: claims},
    )


def lines(protection: Protection) -> dict[str, ProtectionLine]:
    """The lines by title, none twice."""
    titles = [line.title for line in protection.lines]
    assert len(titles) == len(set(titles))
    return dict(zip(titles, protection.lines, strict=True))


def coverage(
    policies: tuple[BackupPolicy, ...] = (),
    exemptions: tuple[Exemption, ...] = (),
    *namespaces: NamespaceInventory,
) -> dict[str, ProtectionLine]:
    """The lines of a small cluster by title."""
    return lines(protect(policies, exemptions, inventory(*namespaces), now=NOW))
