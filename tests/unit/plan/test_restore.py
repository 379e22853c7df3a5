"""The plan of a restore, from values alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.capture import kept, paths
from reconciler.model.objects import ObjectRef, Resource, folder_of
from reconciler.model.restore import FillStep, Phase, RestoreAction, RestorePlan, RestoreStep
from reconciler.model.run import (
    ClusterRef,
    Counts,
    NamespaceRecord,
    Outcome,
    PolicyRef,
    RepositoryRef,
    RunRecord,
    Trigger,
    VolumeRecord,
)
from reconciler.plan.podids import PodIds
from reconciler.plan.restore import Live, Stored, phase_of, plan_restore
from tests.fakes.kubekinds import BUILT_IN

RUN = "shop-20261121-041703-7c1e9"
AT = datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)
SERVED: Mapping[str, Resource] = {resource.folder: resource for resource in BUILT_IN}
CLAIM = "shop/persistentvolumeclaim/files.yaml"


def stored(
    kind: str, name: str, *, group: str = "", namespace: str = "shop", **fields: Any
) -> Stored:
    metadata: dict[str, Any] = {"name": name, **fields.pop("metadata", {})}
    return Stored(
        path=paths.path_of(namespace, group, kind, name),
        folder=folder_of(group, kind),
        ref=ObjectRef(group=group, kind=kind, namespace=namespace, name=name),
        manifest={"kind": kind, "metadata": metadata, **fields},
    )


def volume(**changed: Any) -> VolumeRecord:
    fields: dict[str, Any] = {
        "claim": "files",
        "copy_method": "Direct",
        "why": "copyMethod Direct",
        "outcome": Outcome.COMPLETED,
        "repository": RepositoryRef(name="main", url="s3:x", id="a" * 64),
        "snapshot": "4bba301e" * 8,
        "size": 17,
        "files": 3,
    }
    return VolumeRecord(**{**fields, **changed})


def plan(
    *found: Stored,
    volumes: tuple[VolumeRecord, ...] = (),
    live: Mapping[str, Live] | None = None,
    served: Mapping[str, Resource] = SERVED,
    ids: Mapping[tuple[str, str], PodIds] | None = None,
    reasons: tuple[str, ...] = (),
) -> RestorePlan:
    part = NamespaceRecord(
        name="shop",
        outcome=Outcome.COMPLETED,
        captured=AT,
        objects=Counts(),
        volumes=volumes,
        reasons=reasons,
    )
    record = RunRecord(
        name=RUN,
        policy=PolicyRef(name="shop", revision="main@sha1:4be1", digest="sha256:5c"),
        cluster=ClusterRef(name="prod-eu", uid="5b0c", version="v1.36.3"),
        trigger=Trigger.MANUAL,
        started=AT,
        finished=AT,
        outcome=Outcome.COMPLETED,
        namespaces=(part,),
    )
    return plan_restore(record, "c" * 40, found, live=live or {}, served=served, ids=ids or {})


def only(made: RestorePlan) -> RestoreStep:
    (step,) = made.steps
    return step


def only_fill(made: RestorePlan) -> FillStep:
    (fill,) = made.fills
    return fill


def test_nothing_is_created_before_what_it_needs() -> None:
    rbac, apps = "rbac.authorization.k8s.io", "apps"
    hooks = "admissionregistration.k8s.io"
    found = [
        stored("ValidatingWebhookConfiguration", "w", group=hooks, namespace=""),
        stored("Deployment", "web", group=apps),
        stored("Service", "web"),
        stored("PersistentVolumeClaim", "files"),
        stored("RoleBinding", "b", group=rbac),
        stored("Secret", "db"),
        stored("StorageClass", "local", group="storage.k8s.io", namespace=""),
        stored("Namespace", "shop", namespace=""),
        stored("CustomResourceDefinition", "c.x.org", group="apiextensions.k8s.io", namespace=""),
    ]
    phases = [step.phase for step in plan(*found).steps]
    assert phases == sorted(phases)
    kinds = [step.ref.kind for step in plan(*found).steps]
    assert kinds == [
        "CustomResourceDefinition", "Namespace", "StorageClass", "RoleBinding", "Secret",
        "PersistentVolumeClaim", "Service", "Deployment", "ValidatingWebhookConfiguration",
    ]  # fmt: skip


def test_unknown_kinds_come_after_claims_or_with_the_clusters_own() -> None:
    coupon = ObjectRef(group="x.org", kind="Coupon", namespace="shop", name="ten")
    assert phase_of("coupon.x.org", coupon) is Phase.REST
    wide = ObjectRef(group="x.org", kind="Coupon", name="ten")
    assert phase_of("coupon.x.org", wide) is Phase.CLUSTER


def test_i6_the_same_inputs_in_any_order_give_the_same_plan() -> None:
    found = [stored("ConfigMap", name) for name in "cab"]
    assert plan(*found) == plan(*reversed(found))


def test_i12_what_exists_is_kept_equal_or_not() -> None:
    path = "shop/configmap/settings.yaml"
    step = only(plan(stored("ConfigMap", "settings"), live={path: Live(equal=True)}))
    assert (step.action, step.differs) == (RestoreAction.KEEP, False)
    step = only(plan(stored("ConfigMap", "settings"), live={path: Live(equal=False)}))
    assert (step.action, step.differs) == (RestoreAction.KEEP, True)


def test_i8_every_step_and_fill_says_why() -> None:
    found = [stored("ConfigMap", "a"), stored("ConfigMap", "b")]
    found += [stored("PersistentVolume", "p", namespace="")]
    found += [stored("PersistentVolumeClaim", "files")]
    none = volume(claim="none", snapshot=None, reason="403")
    made = plan(
        *found,
        volumes=(volume(), volume(claim="other"), none),
        live={"shop/configmap/a.yaml": Live(equal=True)},
    )
    assert all(step.why for step in made.steps)
    assert all(fill.why for fill in made.fills)


@pytest.mark.parametrize(
    ("kind", "group", "annotation", "word"),
    [
        ("Job", "batch", kept.COMPLETED, "would run again"),
        ("Pod", "", kept.PHASE, "would run again"),
    ],
)
def test_what_had_ended_does_not_run_again(
    kind: str, group: str, annotation: str, word: str
) -> None:
    ended = stored(kind, "import", group=group, metadata={"annotations": {annotation: "Failed"}})
    step = only(plan(ended))
    assert step.action is RestoreAction.SKIP
    assert word in step.why
    assert only(plan(stored(kind, "import", group=group))).action is RestoreAction.CREATE


def test_a_volume_of_the_old_cluster_is_not_created() -> None:
    step = only(plan(stored("PersistentVolume", "pvc-1", namespace="")))
    assert step.action is RestoreAction.SKIP
    assert "comes from restic" in step.why


def test_a_claim_without_data_is_not_created_empty() -> None:
    failed = volume(snapshot=None, repository=None, outcome=Outcome.FAILED, reason="no mover ran")
    made = plan(stored("PersistentVolumeClaim", "files"), volumes=(failed,))
    assert only(made).action is RestoreAction.SKIP
    assert made.lacking == ("shop/files",)
    assert made.empty


def test_a_claim_that_exists_lacks_nothing() -> None:
    failed = volume(snapshot=None, repository=None, outcome=Outcome.FAILED, reason="no mover ran")
    found = stored("PersistentVolumeClaim", "files")
    made = plan(found, volumes=(failed,), live={CLAIM: Live(equal=True)})
    assert made.lacking == ()


def test_what_carries_our_label_is_never_restored() -> None:
    ours = stored("ConfigMap", "x", metadata={"labels": {"backstay.dev/component": "policy"}})
    assert only(plan(ours)).action is RestoreAction.SKIP


def test_a_snapshot_of_the_old_cluster_is_not_taken_again() -> None:
    served = {**SERVED, "volumesnapshot.snapshot.storage.k8s.io": SERVED["configmap"]}
    found = stored("VolumeSnapshot", "golden", group="snapshot.storage.k8s.io")
    step = only(plan(found, served=served))
    assert step.action is RestoreAction.SKIP
    assert "today's data" in step.why


def test_a_claim_that_was_pinned_to_a_volume_gets_a_new_one() -> None:
    pinned = stored(
        "PersistentVolumeClaim", "files", spec={"volumeName": "disk-7", "accessModes": ["A"]}
    )
    step = only(plan(pinned))
    assert step.manifest["spec"] == {"accessModes": ["A"]}
    assert "disk-7" in step.why
    assert pinned.manifest["spec"]["volumeName"] == "disk-7"


def test_a_kind_is_served_by_the_cluster_or_by_the_restores_own_definitions() -> None:
    coupon = stored("Coupon", "ten", group="x.org")
    assert only(plan(coupon)).action is RestoreAction.SKIP
    definition = stored(
        "CustomResourceDefinition", "coupons.x.org", group="apiextensions.k8s.io", namespace="",
        spec={"group": "x.org", "names": {"kind": "Coupon"}},
    )  # fmt: skip
    made = plan(coupon, definition)
    assert {step.action for step in made.steps} == {RestoreAction.CREATE}


def test_a_claim_that_is_created_is_filled_as_its_user() -> None:
    namespace = stored(
        "Namespace", "shop", namespace="",
        metadata={"annotations": {"backstay.dev/privileged-movers": "true"}},
    )  # fmt: skip
    ids = {("shop", "files"): PodIds(user=1000, group=100, fs_group=2000)}
    made = plan(namespace, stored("PersistentVolumeClaim", "files"), volumes=(volume(),), ids=ids)
    fill = only_fill(made)
    assert fill.action is RestoreAction.CREATE
    assert (fill.run_as_user, fill.run_as_group, fill.fs_group) == (1000, 100, 2000)
    assert fill.privileged
    assert (fill.size, fill.files, fill.snapshot) == (17, 3, "4bba301e" * 8)
    assert not made.empty


@pytest.mark.parametrize("value", ["false", "True", ""])
def test_only_true_allows_a_mover_that_runs_as_root(value: str) -> None:
    namespace = stored(
        "Namespace", "shop", namespace="",
        metadata={"annotations": {"backstay.dev/privileged-movers": value}},
    )  # fmt: skip
    made = plan(namespace, stored("PersistentVolumeClaim", "files"), volumes=(volume(),))
    assert not only_fill(made).privileged


def test_a_claim_that_exists_keeps_its_data() -> None:
    claim = stored("PersistentVolumeClaim", "files")
    made = plan(claim, volumes=(volume(),), live={CLAIM: Live(equal=False)})
    assert only_fill(made).action is RestoreAction.KEEP
    assert made.empty


def test_i11_a_claim_that_was_begun_is_filled_and_kept() -> None:
    claim = stored("PersistentVolumeClaim", "files")
    begun = {CLAIM: Live(equal=True, restoring=RUN)}
    made = plan(claim, volumes=(volume(),), live=begun)
    assert only(made).action is RestoreAction.KEEP
    assert only_fill(made).action is RestoreAction.CREATE
    assert not made.empty


def test_a_claim_that_another_restore_has_begun_is_left_alone() -> None:
    claim = stored("PersistentVolumeClaim", "files")
    other = {CLAIM: Live(equal=True, restoring="shop-20261120-041703-7c1e9")}
    made = plan(claim, volumes=(volume(),), live=other)
    assert only(made).action is RestoreAction.SKIP
    assert only_fill(made).action is RestoreAction.SKIP
    assert made.empty


def test_a_volume_without_data_or_claim_is_skipped_and_one_by_rule_is_not_mentioned() -> None:
    claim = stored("PersistentVolumeClaim", "files")
    none = volume(outcome=Outcome.FAILED, snapshot=None, reason="no space")
    assert "no space" in only_fill(plan(claim, volumes=(none,))).why
    orphan = volume(claim="gone")
    assert "is not in this recovery point" in only_fill(plan(claim, volumes=(orphan,))).why
    assert plan(claim, volumes=(volume(outcome=Outcome.SKIPPED),)).fills == ()


def test_what_the_recovery_point_lacks_is_a_warning() -> None:
    made = plan(stored("ConfigMap", "a"), reasons=("volume files: no space",))
    assert made.warnings == ("shop: volume files: no space",)


@pytest.mark.parametrize("metadata", [{"annotations": None}, {}])
def test_empty_metadata_is_no_obstacle(metadata: dict[str, Any]) -> None:
    found = stored("Job", "import", group="batch", metadata=metadata)
    assert only(plan(found)).action is RestoreAction.CREATE
