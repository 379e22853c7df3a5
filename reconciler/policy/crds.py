"""CustomResourceDefinitions of the kinds that can be objects: structural, with rules in CEL.

No defaults: a server would write them into the object, where they would hide what a profile gives.
No short forms: a server knows one type per field. What they can't say, `reconciler.policy` checks.
"""

from __future__ import annotations

from reconciler.model.policy import API_VERSION, Kind
from reconciler.policy.language import KINDS, BackupPolicySpec
from reconciler.policy.shapes import (
    Dialect,
    Schema,
    View,
    cel_completed,
    describe,
    text_of,
)
from reconciler.policy.statuslanguage import BackupPolicyStatus

GROUP, VERSION = API_VERSION.split("/")
PLURALS = {
    Kind.BACKUP_POLICY: "backuppolicies",
    Kind.REPOSITORY: "repositories",
    Kind.PROFILE: "profiles",
    Kind.EXEMPTION: "exemptions",
    Kind.RESTORE: "restores",
}
_NAME_RULE = {
    "rule": "size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')",
    "message": "metadata.name is a DNS-1123 label: a-z, 0-9 and -, at most 63",
}
_ONCE_RULE = {
    "rule": "self == oldSelf",
    "message": "a Restore is executed once: give the next one another name",
}


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> Schema:
    return {"name": name, "type": kind, "jsonPath": path} | ({"priority": 1} if wide else {})


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_COLUMNS: dict[Kind, list[Schema]] = {
    Kind.BACKUP_POLICY: [
        _column("Schedule", ".status.schedule.cron"),
        _column("Last run", ".status.lastRun.outcome"),
        _column("Ended", ".status.lastRun.finished", "date"),
        _column("Next run", ".status.nextRun"),
        _column("RPO", ".status.rpo.state"),
        _column("Namespaces", ".status.protected.namespaces", "integer"),
        _column("Claims", ".status.protected.claims", "integer"),
        _column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        _column("Status", '.status.conditions[?(@.type=="Ready")].message', wide=True),
        _column("Source", ".status.source", wide=True),
        _column("Revision", ".status.revision", wide=True),
        _AGE,
    ],
    Kind.REPOSITORY: [
        _column("URL", ".spec.url"),
        _column("Scope", ".spec.scope"),
        _AGE,
    ],
    Kind.PROFILE: [
        _column("Schedule", ".spec.schedule.cron"),
        _column("Repository", ".spec.volumes.repository"),
        _AGE,
    ],
    Kind.EXEMPTION: [
        _column("Owner", ".spec.owner"),
        _column("Expires", ".spec.expires"),
        _column("Reason", ".spec.reason", wide=True),
        _AGE,
    ],
    Kind.RESTORE: [
        _column("Cluster", ".spec.cluster"),
        _column("Policy", ".spec.from.policy"),
        _column("At", ".spec.from.at"),
        _column("Run", ".spec.from.run", wide=True),
        _AGE,
    ],
}


def crd_name(kind: Kind) -> str:
    """``backuppolicies.backstay.dev``."""
    return f"{PLURALS[kind]}.{GROUP}"


def make_crd(kind: Kind) -> Schema:
    """The whole object, ready to be applied."""
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": _COLUMNS[kind],
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }
    if kind is Kind.BACKUP_POLICY:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd_name(kind)},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": str(kind),
                "listKind": f"{kind}List",
                "plural": PLURALS[kind],
                "singular": kind.lower(),
                "categories": ["backstay"],
            },
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def object_schema(kind: Kind) -> Schema:
    """The structural schema of an object with ``spec``, and ``status`` where there is one."""
    document = KINDS[kind]
    partial = kind in {Kind.BACKUP_POLICY, Kind.PROFILE}
    view = View(dialect=Dialect.SERVER, kind=kind, partial=partial)
    spec = describe(document, view)["properties"]["spec"]
    rules: list[Schema] = spec.get("x-kubernetes-validations", [])
    if kind is Kind.BACKUP_POLICY:
        rules = [*rules, *cel_completed(BackupPolicySpec, "profile")]
    if kind is Kind.RESTORE:
        rules = [*rules, _ONCE_RULE]
    if rules:
        spec["x-kubernetes-validations"] = rules
    properties: Schema = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": spec,
    }
    if kind is Kind.BACKUP_POLICY:
        properties["status"] = _status()
    return {
        "description": text_of(document),
        "type": "object",
        "properties": properties,
        "required": ["spec"],
        "x-kubernetes-validations": [_NAME_RULE],
    }


def _status() -> Schema:
    found = describe(BackupPolicyStatus, View(dialect=Dialect.SERVER))
    conditions = found["properties"]["conditions"]
    conditions["x-kubernetes-list-type"] = "map"
    conditions["x-kubernetes-list-map-keys"] = ["type"]
    return {"description": text_of(BackupPolicyStatus)} | found
