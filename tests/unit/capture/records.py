"""A record with everything in it, and one with as little as possible."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from reconciler.model import run
from reconciler.model.hooks import HookOutcome, HookRecord, Phase
from reconciler.model.objects import Gap, ObjectRef


def at(hour: int, minute: int, second: int) -> datetime:
    return datetime(2026, 11, 21, hour, minute, second, tzinfo=UTC)


SHOP = run.RepositoryRef(
    name="main",
    url="s3:https://s3.example.org/backups/prod-eu/shop",
    id="8d1f" * 16,
    secret="restic-main",
)
CLUSTER = run.RepositoryRef(
    name="main",
    url="s3:https://s3.example.org/backups/prod-eu/_cluster",
    id="02be" * 16,
    secret="restic-main",
)
POLICY = run.PolicyRef(
    name="shop",
    revision="main@sha1:4be1c9d2f0a84be1c9d2f0a84be1c9d2f0a84be1",
    digest="sha256:" + "5c" * 32,
    source="policies/shop.yaml#0",
    renamed_from="webshop",
)
PROD = run.ClusterRef(name="prod-eu", uid="5b0c7a2e-6c1e-4a55-b3ab-5c8d3a3c9f10", version="v1.36.3")
FULL = run.RunRecord(
    name="shop-20261121-041703-7c1e9",
    policy=POLICY,
    cluster=PROD,
    trigger=run.Trigger.SCHEDULE,
    started=at(4, 17, 3),
    finished=at(4, 19, 7),
    outcome=run.Outcome.PARTIALLY_FAILED,
    namespaces=(
        run.NamespaceRecord(
            name="shop",
            outcome=run.Outcome.COMPLETED,
            captured=at(4, 17, 9),
            objects=run.Counts(captured=412, created=3, changed=1, left_out=88),
            left_out=(
                run.LeftOutCount(kind="pod", reason="made by its owner", count=84),
                run.LeftOutCount(kind="secret", reason="made by Backstay", count=4),
            ),
            volumes=(
                run.VolumeRecord(
                    claim="db-0",
                    copy_method="Direct",
                    why="no rule: Direct",
                    outcome=run.Outcome.COMPLETED,
                    taken=at(4, 17, 8),
                    repository=SHOP,
                    snapshot="3f0a" * 16,
                    files=1204,
                    size=85_899_345_920,
                    added=1_288_490_188,
                    took=74,
                    capacity=107_374_182_400,
                    storage_class="fast",
                ),
                run.VolumeRecord(
                    claim="web-cache",
                    copy_method="Skip",
                    why="rule 1: rebuilt on start",
                    outcome=run.Outcome.SKIPPED,
                ),
            ),
            hooks=(
                HookRecord(
                    name="quiesce",
                    namespace="shop",
                    pod="db-0",
                    container="db",
                    phase=Phase.PRE,
                    outcome=HookOutcome.COMPLETED,
                    exit_code=0,
                    duration=2,
                    output_bytes=117,
                ),
                HookRecord(
                    name="quiesce",
                    namespace="shop",
                    pod="db-0",
                    container="db",
                    phase=Phase.POST,
                    outcome=HookOutcome.SKIPPED,
                    why="pod shop/db-0 is gone, or another one of its name",
                ),
            ),
        ),
        run.NamespaceRecord(
            name="shop-reviews",
            outcome=run.Outcome.PARTIALLY_FAILED,
            captured=at(4, 17, 10),
            objects=run.Counts(captured=2, deleted=1),
            unselected=(
                run.LeftOutCount(kind="secret", reason="selector.objects.exclude: secret", count=1),
            ),
            reasons=("volume files: 3 files could not be read",),
            volumes=(
                run.VolumeRecord(
                    claim="files",
                    copy_method="Direct",
                    why="rule 2",
                    outcome=run.Outcome.PARTIALLY_FAILED,
                    reason="3 files could not be read",
                    repository=SHOP,
                    snapshot="91cc" * 16,
                    taken=at(4, 18, 0),
                ),
            ),
        ),
    ),
    cluster_scoped=run.ClusterScopedRecord(
        objects=run.Counts(captured=2, created=1, deleted=2, left_out=3),
        selection="Referenced",
        unselected=(
            run.LeftOutCount(
                kind="csidriver.storage.k8s.io",
                reason="selector.objects.clusterScoped: Referenced, and no way is known to refer"
                " to this kind",
                count=2,
            ),
        ),
        left_out=(
            run.LeftOutCount(
                kind="namespace", reason="selector.namespaces does not select it", count=3
            ),
        ),
        references=(
            run.Reference(
                object=ObjectRef(group="", kind="Namespace", name="shop"), why="selected"
            ),
            run.Reference(
                object=ObjectRef(group="storage.k8s.io", kind="StorageClass", name="fast"),
                why="used by persistentvolumeclaim shop/db-0 and 1 more",
            ),
        ),
    ),
    secrets=run.SecretsRecord(mode="Restic", repository=CLUSTER, snapshot="02ab" * 16, count=17),
    gaps=(
        Gap(group="metrics.example.org", reason="503 service unavailable"),
        Gap(group="", plural="secrets", namespace="shop", folder="secret", reason="403 forbidden"),
    ),
    left_out_kinds=(
        run.LeftOutKind(kind="node", reason="joins the cluster by itself"),
        run.LeftOutKind(kind="secret", reason="selector.objects.exclude: secret"),
    ),
    redacted=(
        run.RedactedValue(
            object="shop/deployment.apps/web.yaml",
            field="spec.template.spec.containers[web].env[TOKEN].value",
            rule="env",
        ),
    ),
    guards=run.GuardsRecord(
        withheld=(
            run.WithheldCount(namespace="", kind="namespace", count=1, since=""),
            run.WithheldCount(
                namespace="shop", kind="configmap", count=40, since="shop-20261120-041703-1b2c3"
            ),
        ),
        accept="7f" * 16,
        accepted=True,
    ),
    selection="sha256:" + "6d" * 32,
    warnings=("retention is not enforced yet",),
    retention={"keepDaily": 7, "keepWithin": "14d", "keepLast": 3},
    writer="backstay 0.1.0",
)
SMALLEST = run.RunRecord(
    name="shop-20261121-041703-7c1e9",
    policy=run.PolicyRef(name="shop", revision="main@sha1:4be1", digest="sha256:5c"),
    cluster=PROD,
    trigger=run.Trigger.MANUAL,
    started=at(4, 17, 3),
    finished=at(4, 17, 4),
    outcome=run.Outcome.COMPLETED,
    namespaces=(),
)
FAILED = dataclasses.replace(
    SMALLEST,
    outcome=run.Outcome.FAILED,
    failure=run.FailureRecord(reason="WrongPassword", exit_code=12),
)
ENTRIES = (
    run.RepositoryEntry(
        repository="main",
        namespace="shop",
        url=SHOP.url,
        id=SHOP.id,
        secret="restic-main",
        first_run="shop-20261121-041703-7c1e9",
    ),
    run.RepositoryEntry(
        repository="main",
        namespace="_cluster",
        url=CLUSTER.url,
        id=CLUSTER.id,
        secret="restic-main",
        first_run="shop-20261121-041703-7c1e9",
    ),
)
MARKER = run.ClusterMarker(
    name="prod-eu",
    uid="5b0c7a2e-6c1e-4a55-b3ab-5c8d3a3c9f10",
    adopted=(
        run.Adoption(uid="00000000-6c1e-4a55-b3ab-5c8d3a3c9f10", at=at(3, 0, 0)),
        run.Adoption(uid="5b0c7a2e-6c1e-4a55-b3ab-5c8d3a3c9f10", at=at(4, 0, 0), by="jane"),
    ),
)
