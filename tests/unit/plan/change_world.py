"""A small company with policies in files, and its cluster as an inventory; changes are edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from reconciler.model.change import ChangePlan, Revision
from reconciler.model.cluster import Claim, Namespace
from reconciler.model.config import (
    ClusterConfig,
    Config,
    ManifestStoreConfig,
    PolicySourceConfig,
)
from reconciler.model.finding import Finding
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.inventory import Inventory, NamespaceInventory, PointDigest
from reconciler.model.run import Outcome
from reconciler.plan.change import plan_change
from reconciler.policy.revisions import read_revision
from tests.unit.policy.yamltexts import HEAD

NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
MAIN = f"""{HEAD}kind: Repository
metadata: {{name: main}}
spec:
  url: "s3:https://s3.example.org/backups/{{cluster}}/{{namespace}}"
  secretRef: {{name: restic-main}}
"""
PROFILES = f"""{HEAD}kind: Profile
metadata: {{name: gold}}
spec:
  schedule: "47 2 * * *"
  volumes:
    copyMethod: Direct
  retention: {{keepDaily: 7}}
"""
SHOP = f"""{HEAD}kind: BackupPolicy
metadata: {{name: shop}}
spec:
  schedule: "17 4 * * *"
  selector:
    namespaces:
      names: [shop, "shop-*"]
      exclude: ["*-preview"]
  volumes:
    rules:
      - {{match: {{claims: ["*-cache"]}}, copyMethod: Skip, reason: rebuilt on start}}
    copyMethod: Direct
  retention: {{keepDaily: 7}}
"""
GOLD = f"""{HEAD}kind: BackupPolicy
metadata: {{name: labelled}}
spec:
  profile: gold
  selector:
    namespaces: {{matchLabels: {{backup: gold}}}}
"""
FILES = {"main.yaml": MAIN, "profiles.yaml": PROFILES, "shop.yaml": SHOP, "gold.yaml": GOLD}

CLAIMS = {
    "shop": {"data": 10 << 30, "web-cache": 1 << 30},
    "shop-blue": {"data": 5 << 30},
    "shop-preview": {"data": 1 << 30},
    "crm": {"db": 100 << 30},
    "lab": {"notes": 0},
}
LABELS = {"crm": {"backup": "gold"}}


def config(
    name: str = "prod-eu", *, grants: tuple[Grant, ...] = EVERYTHING, **labels: str
) -> Config:
    """The cluster's Config, which allows Direct."""
    return Config(
        cluster=ClusterConfig(name, labels),
        policy_source=PolicySourceConfig(url="ssh://git@host/policies.git"),
        manifest_store=ManifestStoreConfig(url="ssh://git@host/manifests.git"),
        image="",
        shared_key_in_tenants=True,
        grants=grants,
    )


def claim(namespace: str, name: str, size: int, mode: str = "Filesystem") -> Claim:
    """A bound claim."""
    return Claim(namespace=namespace, name=name, phase="Bound", size=size, volume_mode=mode)


def inventory(claims: Mapping[str, Mapping[str, int]] = CLAIMS) -> Inventory:
    """Namespaces with their claims and sizes."""
    return Inventory(
        cluster="prod-eu",
        uid="1",
        taken=NOW - timedelta(minutes=10),
        namespaces=tuple(
            NamespaceInventory(
                namespace=Namespace(name=name, labels=LABELS.get(name, {})),
                claims=tuple(claim(name, one, size) for one, size in sorted(found.items())),
            )
            for name, found in sorted(claims.items())
        ),
        points=tuple(
            PointDigest(
                policy="shop",
                run=f"shop-{day}",
                started=NOW - timedelta(days=day),
                outcome=Outcome.COMPLETED,
            )
            for day in (3, 2, 1)
        ),
    )


def revision(
    files: Mapping[str, str],
    shown: str = "main",
    *,
    grants: tuple[Grant, ...] = EVERYTHING,
    **labels: str,
) -> Revision:
    """The files as the cluster prod-eu reads them."""
    data = {name: text.encode() for name, text in files.items()}
    return read_revision(data, config(grants=grants, **labels), shown=shown)


def edited(files: Mapping[str, str] = FILES, **edits: tuple[str, str]) -> dict[str, str]:
    """The files with one text replaced in some: ``shop=("keepDaily: 7", "keepDaily: 3")``."""
    found = dict(files)
    for name, (old, new) in edits.items():
        assert old in found[f"{name}.yaml"]
        found[f"{name}.yaml"] = found[f"{name}.yaml"].replace(old, new)
    return found


def without(*names: str) -> dict[str, str]:
    """The files but for some."""
    return {name: text for name, text in FILES.items() if name.removesuffix(".yaml") not in names}


def plan(
    head: Mapping[str, str],
    base: Mapping[str, str] = FILES,
    known: Inventory | None = None,
    *,
    offline: bool = False,
    grants: tuple[Grant, ...] = EVERYTHING,
    **labels: str,
) -> ChangePlan:
    """The plan of a change, held against the inventory, or ``offline`` against none."""
    return plan_change(
        revision(base, "main", grants=grants, **labels),
        revision(head, "head", grants=grants, **labels),
        None if offline else known or inventory(),
        cluster="prod-eu",
        now=NOW,
    )


def ids(findings: Iterable[Finding]) -> list[str]:
    """Their ids, in order."""
    return [finding.id for finding in findings]


def line_of(files: Mapping[str, str], name: str, text: str) -> int:
    """The line of a file, from 1, where a text stands first."""
    return files[name][: files[name].index(text)].count("\n") + 1
