"""Raw objects become namespaces, claims and their users."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import kinds
from reconciler.model.cluster import Claim, ClaimUser
from reconciler.model.errors import Refused
from reconciler.model.objects import Gap
from reconciler.model.volumes import CopyKind
from reconciler.plan import copyobjects, observe
from reconciler.plan.inventory import slim
from tests.unit.plan.test_copysteps import CLONE, COPY, JOB, TASK

COPIES = [
    copyobjects.make_claim(TASK, COPY, JOB),
    copyobjects.make_claim(CLONE, replace(COPY, method=CopyKind.CLONE), JOB),
]


@pytest.mark.parametrize("raw", COPIES, ids=["snapshot", "clone"])
def test_a_copy_of_our_own_is_known_by_more_than_its_label(raw: dict[str, Any]) -> None:
    assert observe.claim_of(raw).ours
    assert observe.claim_of(slim(raw)).ours, "also as an inventory reads it"
    metadata, spec = raw["metadata"], raw["spec"]
    labels, annotations = metadata["labels"], metadata["annotations"]
    another = {**spec["dataSource"], "name": "backstay-000000000000"}
    for changed in (
        {"metadata": {**metadata, "labels": {}}},
        {"metadata": {**metadata, "labels": {**labels, "backstay.dev/component": "x"}}},
        {"metadata": {**metadata, "name": "files"}},
        {"metadata": {**metadata, "annotations": {}}},
        {"metadata": {**metadata, "annotations": {**annotations, "backstay.dev/claim": "b"}}},
        {"spec": {key: spec[key] for key in spec if key != "dataSource"}},
        {"spec": {**spec, "dataSource": another}},
    ):
        assert not observe.claim_of({**raw, **changed}).ours, changed


def test_a_label_takes_no_claim_out_of_backups() -> None:
    """Whoever may write a claim could take its data out, and nobody would be told."""
    for value in ("copy", "mover", "x", ""):
        metadata = {"name": "files", "namespace": "shop"}
        labels = {"backstay.dev/component": value}
        assert not observe.claim_of({"metadata": {**metadata, "labels": labels}}).ours


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1024", 1024),
        ("1Ki", 1024),
        ("1.5Gi", 1610612736),
        ("10Gi", 10737418240),
        ("2Ei", 2 * 2**60),
        ("1k", 1000),
        ("100M", 100_000_000),
        ("3G", 3_000_000_000),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", 2),
        ("1500m", 2),
        ("1n", 1),
        (".5Gi", 536870912),
        ("5.", 5),
        ("", 0),
        ("lots", 0),
        ("1..2", 0),
        ("1Gi ", 1073741824),
        ("1GiB", 0),
        ("1e99999999", 0),
    ],
)
def test_quantities_are_those_of_kubernetes(text: str, expected: int) -> None:
    assert observe.quantity(text) == expected


@given(st.text(st.characters(), max_size=30))
def test_no_text_breaks_a_quantity(text: str) -> None:
    assert isinstance(observe.quantity(text), int)


@pytest.mark.parametrize(
    ("written", "created"),
    [
        ("2026-11-21T04:17:03Z", datetime(2026, 11, 21, 4, 17, 3, tzinfo=UTC)),
        (None, None),
        ("", None),
        ("yesterday", None),
        (7, None),
    ],
)
def test_since_when_something_is_there(written: object, created: datetime | None) -> None:
    metadata = {"name": "shop", "namespace": "shop", "creationTimestamp": written}
    assert observe.namespace_of({"metadata": metadata}).created == created
    assert observe.claim_of({"metadata": metadata}).created == created
    assert observe.claim_of(slim({"metadata": metadata})).created == created


def test_a_namespace_that_terminates() -> None:
    raw = {"metadata": {"name": "shop", "deletionTimestamp": "2026-11-21T04:17:03Z"}}
    assert observe.namespace_of(raw).terminating
    allowed = {"backstay.dev/privileged-movers": "true"}
    found = observe.namespace_of(
        {"metadata": {"name": "shop", "labels": {"env": "prod"}, "annotations": allowed}}
    )
    assert found.privileged_movers
    assert found.labels == {"env": "prod"}
    assert not found.terminating


def test_a_claim() -> None:
    raw = {
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "fast",
            "volumeMode": "Block",
        },
        "status": {"phase": "Bound"},
    }
    assert observe.claim_of(raw) == Claim(
        namespace="shop",
        name="data",
        storage_class="fast",
        phase="Bound",
        volume_mode="Block",
        access_modes=("ReadWriteOnce",),
        size=10 * 2**30,
    )
    bare = observe.claim_of({"metadata": {"name": "data", "namespace": "shop"}})
    assert (bare.size, bare.volume_mode, bare.phase) == (0, "Filesystem", "")


def pod(name: str, claim: str = "data", **extra: Any) -> dict[str, Any]:
    """A running pod on node-1 that mounts a claim."""
    container = {"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    spec = {
        "nodeName": "node-1",
        "containers": [container],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
        **extra.pop("spec", {}),
    }
    metadata = {"name": name, "namespace": "shop", **extra.pop("metadata", {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}, **extra}


def test_the_first_running_pod_uses_a_claim() -> None:
    pending = pod("a", status={"phase": "Pending"})
    going = pod("b", metadata={"deletionTimestamp": "2026-11-21T04:17:03Z"})
    users = observe.claim_users([pod("d"), pod("c"), pending, going])
    assert users == {"data": ClaimUser(pod="c", node="node-1")}
    assert observe.claim_users([pending])["data"].pod == "a"


def test_who_does_not_use_a_claim() -> None:
    ours = pod("mover", metadata={"labels": {"backstay.dev/component": "mover"}})
    nowhere = pod("unscheduled", spec={"nodeName": ""}, status={"phase": "Pending"})
    ended = [pod(phase, status={"phase": phase}) for phase in ("Succeeded", "Failed")]
    assert observe.claim_users([ours, nowhere, *ended]) == {}


def test_ids_and_tolerations_of_the_user() -> None:
    toleration = {"key": "gpu", "operator": "Exists"}
    own = {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000, "supplementalGroups": [4, 5]}
    found = observe.claim_users(
        [pod("a", spec={"securityContext": own, "tolerations": [toleration]})]
    )
    assert found["data"] == ClaimUser(
        pod="a",
        node="node-1",
        run_as_user=1000,
        run_as_group=2000,
        fs_group=3000,
        supplemental_groups=(4, 5),
        tolerations=(toleration,),
    )


def test_the_container_that_mounts_it_wins_over_the_pod() -> None:
    mounts = [{"name": "v", "mountPath": "/data"}]
    mounting = {"name": "db", "volumeMounts": mounts, "securityContext": {"runAsUser": 999}}
    other = {"name": "proxy", "securityContext": {"runAsUser": 1}}
    own = {"runAsUser": 1000}
    spec = {"containers": [other, mounting], "securityContext": own}
    assert observe.claim_users([pod("a", spec=spec)])["data"].run_as_user == 999
    second = {"name": "web", "volumeMounts": mounts, "securityContext": {"runAsUser": 33}}
    spec = {"containers": [second, mounting], "securityContext": own}
    assert observe.claim_users([pod("a", spec=spec)])["data"].run_as_user == 1000


def test_an_ephemeral_volume_is_a_claim_too() -> None:
    spec = {"volumes": [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}]}
    assert list(observe.claim_users([pod("a", spec=spec)])) == ["a-scratch"]


def test_a_gap_names_what_could_not_be_listed() -> None:
    found = observe.gap_of(kinds.PODS, Refused("list pod: not allowed"), namespace="shop")
    assert found == Gap(
        group="", plural="pods", namespace="shop", folder="pod", reason="list pod: not allowed"
    )
