"""A copy is no tool's own any more, and nothing that found its pods loses them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.mappingtracking import INSTANCE, TRACKING
from tests.unit.plan.mapping_world import captured, copy_of

ARGO = "argocd.argoproj.io/tracking-id"
FLUX = "kustomize.toolkit.fluxcd.io/name"


def metadata_of(kind: str, *others: Any, **metadata: Any) -> dict[str, Any]:
    made = copy_of(captured(kind, "a", metadata=metadata), *others)
    return {
        key: value
        for key, value in made.manifest["metadata"].items()
        if key not in ("name", "namespace")
    }


@pytest.mark.parametrize(("mark", "owner"), TRACKING)
def test_each_mark_goes_from_labels_and_annotations(mark: str, owner: str) -> None:
    key = f"{mark}x" if mark.endswith("/") else mark
    for field in ("labels", "annotations"):
        found = captured("ConfigMap", "a", metadata={field: {key: "v", "mine": "w"}})
        made = copy_of(found)
        assert made.manifest["metadata"][field] == {"mine": "w"}
        assert made.changes == (f"not {owner}'s any more: without {key}",)
        assert found.manifest["metadata"][field] == {key: "v", "mine": "w"}
        assert metadata_of("ConfigMap", **{field: {key: "v"}}) == {}


def test_only_helms_own_managed_by_goes() -> None:
    key = "app.kubernetes.io/managed-by"
    assert metadata_of("ConfigMap", labels={key: "Helm"}) == {}
    assert metadata_of("ConfigMap", labels={key: "ann"}) == {"labels": {key: "ann"}}
    assert metadata_of("ConfigMap", labels={"helm.sh/chart": "web-1"}) == {
        "labels": {"helm.sh/chart": "web-1"}
    }


def test_argo_cds_settings_stay_where_they_are_no_tracking() -> None:
    kept = {"argocd.argoproj.io/sync-wave": "1"}
    assert metadata_of("ConfigMap", annotations=kept) == {"annotations": kept}
    secret = {"argocd.argoproj.io/secret-type": "repository"}
    assert metadata_of("Secret", labels=secret) == {"labels": secret}


@pytest.mark.parametrize(
    ("others", "stays"),
    [
        ({}, False),
        ({"annotations": {"meta.helm.sh/release-name": "web"}}, True),
        ({"annotations": {ARGO: "app:/ConfigMap:shop/a"}}, True),
    ],
)
def test_the_instance_label_goes_where_it_may_be_tracking(
    others: dict[str, Any], stays: bool
) -> None:
    made = metadata_of("ConfigMap", labels={INSTANCE: "web"}, **others)
    assert made == ({"labels": {INSTANCE: "web"}} if stays else {})


def test_the_instance_label_of_what_flux_applies_stays() -> None:
    made = metadata_of("ConfigMap", labels={INSTANCE: "web", FLUX: "apps"})
    assert made == {"labels": {INSTANCE: "web"}}


def test_a_workload_keeps_the_label_that_its_selector_uses() -> None:
    labels = {INSTANCE: "web", "app.kubernetes.io/managed-by": "Helm"}
    spec = {
        "selector": {"matchLabels": {INSTANCE: "web"}},
        "template": {"metadata": {"labels": labels}},
        "volumeClaimTemplates": [{"metadata": {"labels": labels}}],
    }
    found = captured("apps/StatefulSet", "a", metadata={"labels": labels}, spec=spec)
    made = copy_of(found)
    assert made.manifest["spec"] == spec
    assert "labels" not in made.manifest["metadata"]


@pytest.mark.parametrize(
    "selecting",
    [
        captured("Service", "s", spec={"selector": {INSTANCE: "web"}}),
        captured(
            "policy/PodDisruptionBudget", "p",
            spec={"selector": {"matchLabels": {INSTANCE: "web"}}},
        ),
        captured(
            "networking.k8s.io/NetworkPolicy", "n",
            spec={"podSelector": {"matchExpressions": [{"key": INSTANCE, "operator": "Exists"}]}},
        ),
    ],
)  # fmt: skip
def test_a_pod_of_its_own_keeps_the_label_that_somebody_selects_it_by(selecting: Any) -> None:
    labels = {INSTANCE: "web"}
    assert metadata_of("Pod", selecting, labels=labels) == {"labels": labels}
    assert metadata_of("Service", selecting, labels=labels) == {}
    assert metadata_of("Pod", labels=labels) == {}


def test_a_service_keeps_the_label_that_a_monitor_selects_it_by() -> None:
    spec = {"selector": {"matchLabels": {INSTANCE: "web"}}}
    monitor = captured("monitoring.coreos.com/ServiceMonitor", "m", spec=spec)
    labels = {INSTANCE: "web"}
    assert metadata_of("Service", monitor, labels=labels) == {"labels": labels}
    assert metadata_of("Pod", monitor, labels=labels) == {}
    elsewhere = captured("monitoring.coreos.com/ServiceMonitor", "m", "other", spec=spec)
    assert metadata_of("Service", elsewhere, labels=labels) == {}


@pytest.mark.parametrize(
    "kind",
    [
        "argoproj.io/Application",
        "argoproj.io/ApplicationSet",
        "kustomize.toolkit.fluxcd.io/Kustomization",
        "helm.toolkit.fluxcd.io/HelmRelease",
        "image.toolkit.fluxcd.io/ImageUpdateAutomation",
        "kappctrl.k14s.io/App",
        "packaging.carvel.dev/PackageInstall",
        "fleet.cattle.io/GitRepo",
        "helm.cattle.io/HelmChart",
    ],
)
def test_what_applies_git_by_itself_is_not_copied(kind: str) -> None:
    made = copy_of(captured(kind, "web", spec={}))
    assert "over the original's objects; make one for shop2 in Git" in made.obstacle
    assert not copy_of(captured(kind.replace(".", "-"), "web", spec={})).obstacle


@pytest.mark.parametrize(
    ("kind", "name", "fields", "copied"),
    [
        ("Secret", "sh.helm.release.v1.web.v3", {"type": "helm.sh/release.v1"}, False),
        ("Secret", "renamed", {"type": "helm.sh/release.v1"}, False),
        ("ConfigMap", "sh.helm.release.v1.web.v3", {}, False),
        ("Secret", "web", {"type": "Opaque"}, True),
        ("Service", "sh.helm.release.v1.web.v3", {}, True),
    ],
)
def test_helms_records_are_not_copied(
    kind: str, name: str, fields: dict[str, Any], copied: bool
) -> None:
    assert (not copy_of(captured(kind, name, **fields)).obstacle) == copied


def test_the_right_to_manage_a_namespace_is_not_copied() -> None:
    labels = {"argocd.argoproj.io/managed-by": "argocd", "team": "blue"}
    made = copy_of(captured("Namespace", "shop", "", metadata={"labels": labels}))
    assert made.manifest["metadata"] == {"name": "shop2", "labels": {"team": "blue"}}
