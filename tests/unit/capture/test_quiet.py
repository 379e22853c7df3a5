"""What is left out, and what looks like it and is captured."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.capture import quiet
from reconciler.model.naming import mover_name
from tests.unit.capture.objects import live, owned_by, resource

CONTROLLER = "made by a controller from a Service and its pods"
POD_ADDRESS = {"ip": "10.0.0.1", "targetRef": {"kind": "Pod", "name": "web"}}


def reason(folder: str, **fields: Any) -> str | None:
    namespace = fields.pop("namespace", "shop")
    raw = live(fields.pop("name", "x"), namespace=namespace, **fields)
    return quiet.object_left_out(raw, resource(folder, namespaced=bool(namespace)))


@pytest.mark.parametrize("folder", [*quiet.KINDS, "podmetrics.metrics.k8s.io"])
def test_kinds_that_are_never_captured_need_not_be_listed(folder: str) -> None:
    kind = resource(folder)
    why = quiet.kind_left_out(kind)
    assert why
    assert quiet.object_left_out(live("x"), kind) == why


def test_other_kinds_are_captured() -> None:
    for folder in ("configmap", "widget.example.org", "deployment.apps", "event.example.org"):
        assert quiet.kind_left_out(resource(folder)) is None
        assert reason(folder) is None


def test_what_is_being_deleted_is_left_out() -> None:
    assert reason("configmap", metadata={"deletionTimestamp": "2026-11-21T04:00:00Z"})


def test_what_backstay_made_is_left_out() -> None:
    labels = {"backstay.dev/component": "mover"}
    assert reason("configmap", metadata={"labels": labels}) == "made by Backstay"
    assert reason("configmap", metadata={"labels": {"backstay.dev/policy": "shop"}}) is None


CONTENT = "volumesnapshotcontent.snapshot.storage.k8s.io"
DRIVERS = {"annotations": {"pv.kubernetes.io/provisioned-by": "hostpath.csi.k8s.io"}}


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        (mover_name("shop-20261121-041703-7c1e9", "shop", "data"), True),
        ("backstay-0123456789AB", False),
        ("backstay-0123456789abc", False),
        ("backstay-0123456789ab\n", False),
        ("my-backstay-0123456789ab", False),
        ("data", False),
    ],
)
def test_what_the_cluster_makes_for_a_copy_carries_no_label_and_is_left_out(
    name: str, left_out: bool
) -> None:
    why = quiet.OF_COPY if left_out else None
    ref = {"name": name, "namespace": "shop"}
    spec = {"volumeSnapshotRef": ref, "source": {"volumeHandle": "v-1"}}
    assert reason(CONTENT, namespace="", spec=spec) == why
    assert reason("persistentvolume", namespace="", metadata=DRIVERS, spec={"claimRef": ref}) == why


def test_volumes_and_contents_that_a_person_wrote_are_captured_whatever_they_name() -> None:
    ref = {"name": "backstay-0123456789ab", "namespace": "shop"}
    spec = {"volumeSnapshotRef": ref, "source": {"snapshotHandle": "s-1"}}
    assert reason(CONTENT, namespace="", spec=spec) is None
    assert reason("persistentvolume", namespace="", spec={"claimRef": ref}) is None
    assert reason("persistentvolume", namespace="", metadata=DRIVERS) is None
    assert reason(CONTENT, namespace="") is None


@pytest.mark.parametrize("folder", sorted(quiet.OWNED_KINDS))
def test_what_a_controller_makes_again_is_left_out(folder: str) -> None:
    assert reason(folder, metadata=owned_by("Owner", "o")) == quiet.OWNED
    assert reason(folder) is None
    loose = {"ownerReferences": [{"kind": "Owner", "name": "o"}]}
    assert reason(folder, metadata=loose) is None, "an owner that does not control it"


def test_mirrors_of_static_pods_are_left_out_and_a_persons_pod_is_not() -> None:
    mirror = {"annotations": {"kubernetes.io/config.mirror": "abc"}}
    assert reason("pod", metadata=mirror) == quiet.MIRROR
    assert reason("pod", metadata={"annotations": {"kubernetes.io/config.source": "api"}}) is None


def test_other_owned_objects_are_captured() -> None:
    assert reason("secret", metadata=owned_by("Certificate", "web")) is None
    assert reason("persistentvolumeclaim", metadata=owned_by("StatefulSet", "db")) is None


def test_published_and_leader_config_maps_are_left_out() -> None:
    assert reason("configmap", name="kube-root-ca.crt")
    assert reason("configmap", metadata={"annotations": {quiet.LEADER: "{}"}})


def test_token_secrets_of_the_cluster_are_left_out_and_a_persons_is_not() -> None:
    metadata = {"annotations": {"kubernetes.io/service-account.name": "web"}}
    kind = "kubernetes.io/service-account-token"
    assert reason("secret", name="web-token-x7k2p", type=kind, metadata=metadata)
    assert reason("secret", name="web-dockercfg-x7k2p", metadata=metadata)
    assert reason("secret", name="web-ci", type=kind, metadata=metadata) is None
    assert reason("secret", name="web-token-x7k2p", type="Opaque") is None


def test_endpoints_of_controllers_are_left_out_and_written_ones_are_not() -> None:
    written = [{"addresses": [{"ip": "192.0.2.7"}]}]
    assert reason("endpoints", subsets=written) is None
    assert reason("endpoints", subsets=[{"addresses": [POD_ADDRESS]}]) == CONTROLLER
    assert reason("endpoints", subsets=[{"notReadyAddresses": [POD_ADDRESS]}]) == CONTROLLER
    assert reason("endpoints") == CONTROLLER
    managed = {"labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}}
    assert reason("endpoints", subsets=written, metadata=managed) == CONTROLLER
    server = {"name": "kubernetes", "namespace": "default"}
    assert reason("endpoints", **server, subsets=written) == CONTROLLER


def test_endpoint_slices_of_controllers_are_left_out_and_written_ones_are_not() -> None:
    folder = "endpointslice.discovery.k8s.io"
    assert reason(folder) is None
    for manager in ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"):
        labels = {"endpointslice.kubernetes.io/managed-by": manager}
        assert reason(folder, metadata={"labels": labels}) == CONTROLLER
    labels = {"endpointslice.kubernetes.io/managed-by": "my-tool"}
    assert reason(folder, metadata={"labels": labels}) is None


@pytest.mark.parametrize(
    ("folder", "metadata"),
    [
        ("service", {"name": "kubernetes", "namespace": "default"}),
        (
            "clusterrole.rbac.authorization.k8s.io",
            {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        ),
        ("priorityclass.scheduling.k8s.io", {"name": "system-node-critical"}),
        (
            "flowschema.flowcontrol.apiserver.k8s.io",
            {"annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}},
        ),
        (
            "apiservice.apiregistration.k8s.io",
            {"labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
        ),
        ("servicecidr.networking.k8s.io", {"name": "kubernetes"}),
    ],
)
def test_what_the_api_server_keeps_up_is_left_out(folder: str, metadata: dict[str, Any]) -> None:
    assert reason(folder, metadata=metadata) == quiet.MAINTAINED
    assert reason(folder) is None
