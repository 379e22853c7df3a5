"""What this version does with each field of the language: one table.

A field that is understood and not executed is refused where it stands, never ignored: whoever
writes ``hooks`` must not believe that they run. A test walks the language against the table, so
a field without a line here can't be merged.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType


class Support(enum.Enum):
    """How far a field gets."""

    PARSED = "parsed"
    """Understood and refused: "is not supported yet"."""
    PLANNED = "planned"
    """Taken, shown by the plan and recorded; not enforced yet, and the plan says so."""
    EXECUTED = "executed"


_P, _R, _X = Support.PARSED, Support.PLANNED, Support.EXECUTED

KINDS: Mapping[str, Support] = MappingProxyType(
    {
        "BackupPolicy": _X,
        "Repository": _X,
        "Config": _X,
        "Profile": _X,
        "Exemption": _X,
        "Restore": _R,
    }
)

_DOCUMENT = {"apiVersion": _X, "kind": _X, "metadata": _X, "metadata.name": _X, "spec": _X}

_RETENTION = (
    *("Last", "Hourly", "Daily", "Weekly", "Monthly", "Yearly", "Within"),
    *("WithinHourly", "WithinDaily", "WithinWeekly", "WithinMonthly", "WithinYearly"),
)
_HOOK_COMMAND = ("", ".command", ".timeout", ".onError")

_KEY_SERVICES = ("kms", "gcpKms", "azureKv", "hcVault", "pgp")

_REDACT = (
    "",
    *(f".rules{part}" for part in ("", "[].name", "[].kinds", "[].paths", "[].reason")),
    *(f".keep{part}" for part in ("", "[].name", "[].kinds", "[].paths", "[].reason")),
    ".keep[].names",
)

_SELECTED = ("", ".names", ".matchLabels", ".exclude")

PROFILE = {
    **_DOCUMENT,
    **{f"spec.clusters{part}": _X for part in _SELECTED},
    "spec.suspend": _X,
    "spec.schedule": _X,
    "spec.schedule.cron": _X,
    "spec.schedule.timeZone": _X,
    "spec.objectives": _R,
    "spec.objectives.rpo": _R,
    "spec.objectives.rto": _R,
    "spec.selector": _X,
    "spec.selector.namespaces": _X,
    "spec.selector.namespaces.names": _X,
    "spec.selector.namespaces.matchLabels": _X,
    "spec.selector.namespaces.exclude": _X,
    "spec.selector.objects": _X,
    "spec.selector.objects.matchLabels": _X,
    "spec.selector.objects.include": _X,
    "spec.selector.objects.exclude": _X,
    "spec.selector.objects.clusterScoped": _X,
    "spec.manifests": _X,
    "spec.manifests.secrets": _X,
    "spec.manifests.recipients": _X,
    "spec.manifests.recipients.age": _X,
    **{f"spec.manifests.recipients.{kind}": _P for kind in _KEY_SERVICES},
    **{f"spec.manifests.redact{part}": _X for part in _REDACT},
    "spec.volumes": _X,
    "spec.volumes.repository": _X,
    "spec.volumes.rules": _X,
    "spec.volumes.rules[].match": _X,
    "spec.volumes.rules[].match.claims": _X,
    "spec.volumes.rules[].match.storageClass": _X,
    "spec.volumes.rules[].copyMethod": _X,
    "spec.volumes.rules[].reason": _X,
    "spec.volumes.copyMethod": _X,
    "spec.volumes.concurrency": _X,
    "spec.volumes.exclude": _X,
    "spec.hooks": _X,
    "spec.hooks[].name": _X,
    "spec.hooks[].pods": _X,
    "spec.hooks[].pods.matchLabels": _X,
    "spec.hooks[].container": _X,
    "spec.hooks[].once": _X,
    **{f"spec.hooks[].pre{part}": _X for part in _HOOK_COMMAND},
    **{f"spec.hooks[].post{part}": _X for part in _HOOK_COMMAND},
    **{f"spec.hooks[].hold{part}": _P for part in ("", ".command", ".ready", ".timeout")},
    "spec.retention": _R,
    **{f"spec.retention.keep{word}": _R for word in _RETENTION},
    **{f"spec.guards{part}": _X for part in ("", ".maxShrink", ".minObjects", ".accept")},
}

BACKUP_POLICY = {**PROFILE, "spec.profile": _X, "spec.renamedFrom": _X}

EXEMPTION = {
    **_DOCUMENT,
    **{f"spec.clusters{part}": _X for part in _SELECTED},
    "spec.match": _X,
    **{f"spec.match.namespaces{part}": _X for part in _SELECTED},
    "spec.match.claims": _X,
    "spec.reason": _X,
    "spec.owner": _X,
    "spec.expires": _X,
}

_FROM = ("", ".policy", ".at", ".run", ".commit", ".cluster")

RESTORE = {
    **dict.fromkeys(_DOCUMENT, _R),
    "spec.cluster": _R,
    **{f"spec.from{part}": _R for part in _FROM},
    "spec.selector": _R,
    "spec.selector.namespaces": _R,
    "spec.selector.matchLabels": _R,
    "spec.selector.claims": _R,
    "spec.selector.paths": _R,
    "spec.mapNamespaces": _R,
    "spec.volumes": _R,
    "spec.existingResourcePolicy": _R,
}

REPOSITORY = {
    **_DOCUMENT,
    "spec.url": _X,
    "spec.secretRef": _X,
    "spec.secretRef.name": _X,
    "spec.tenantSecretRef": _P,
    "spec.tenantSecretRef.name": _P,
    "spec.scope": _X,
    "spec.maintenance": _P,
    "spec.maintenance.cron": _P,
    "spec.maintenance.check": _P,
    "spec.maintenance.check.readData": _P,
}

_CREDENTIALS = ("secretRef", "secretRef.name", "file", "env")
_GRANTED = (
    *("path", "admin", "namespaces", "repositories", "hooks", "restoreTargets"),
    *("shortestInterval", "maxPolicies", "keepInClear"),
)
_RESOURCES = ("", ".resources", ".resources.requests", ".resources.limits")

CONFIG = {
    "apiVersion": _X,
    "kind": _X,
    "cluster": _X,
    "cluster.name": _X,
    "cluster.labels": _X,
    "cluster.renamedFrom": _X,
    "policySource": _X,
    "policySource.url": _X,
    "policySource.ref": _X,
    "policySource.path": _X,
    "policySource.interval": _X,
    **{f"policySource.{field}": _X for field in _CREDENTIALS},
    "policySource.webhook": _X,
    **{f"policySource.webhook.{field}": _X for field in _CREDENTIALS},
    "policySource.verify": _X,
    "policySource.verify.secretRef": _X,
    "policySource.verify.secretRef.name": _X,
    "manifestStore": _X,
    "manifestStore.url": _X,
    "manifestStore.author": _X,
    "manifestStore.author.name": _X,
    "manifestStore.author.email": _X,
    **{f"manifestStore.{field}": _X for field in _CREDENTIALS},
    "manifestStore.signingKey": _X,
    "manifestStore.signingKey.name": _X,
    "manifestStore.pushesPerMinute": _X,
    "inventory": _X,
    "inventory.url": _X,
    **{f"inventory.{field}": _X for field in _CREDENTIALS},
    "image": _X,
    "imagePullPolicy": _X,
    "secrets": _X,
    "secrets{}.file": _X,
    "secrets{}.env": _X,
    "grants": _X,
    **{f"grants[].{field}": _X for field in _GRANTED},
    "sharedKeyInTenants": _X,
    **{f"runs{part}": _X for part in _RESOURCES},
    **{f"movers{part}": _X for part in _RESOURCES},
    "maxDelete": _X,
}

FIELDS: Mapping[str, Mapping[str, Support]] = MappingProxyType(
    {
        "BackupPolicy": BACKUP_POLICY,
        "Repository": REPOSITORY,
        "Profile": PROFILE,
        "Exemption": EXEMPTION,
        "Restore": RESTORE,
        "Config": CONFIG,
    }
)
"""Kind → dotted path (``[]`` any item of a list, ``{}`` any key of a mapping) → support."""

_COPY_METHODS = {"Auto": _P, "Snapshot": _P, "Clone": _P, "Direct": _X, "Skip": _X}

_POLICY_VALUES = {
    "spec.volumes.copyMethod": _COPY_METHODS,
    "spec.volumes.rules[].copyMethod": _COPY_METHODS,
    "spec.manifests.secrets": {"Restic": _X, "Sops": _X, "Omit": _X},
}

VALUES: Mapping[tuple[str, str], Mapping[str, Support]] = MappingProxyType(
    {
        **{
            (kind, path): values
            for kind in ("BackupPolicy", "Profile")
            for path, values in _POLICY_VALUES.items()
        },
        ("Repository", "spec.scope"): {"Namespace": _X, "Cluster": _P},
    }
)
"""(kind, path) → support of each value, where it matters; the field itself is executed."""

PLANNED_NOTE = "recorded, not enforced yet"


def support_of(kind: str, path: str) -> Support:
    """Raises KeyError for a path that the language does not have."""
    return FIELDS[kind][path]


def refused_values(kind: str, path: str) -> frozenset[str]:
    """Values of a field that this version does not execute."""
    values = VALUES.get((kind, path), {})
    return frozenset(value for value, support in values.items() if support is Support.PARSED)
