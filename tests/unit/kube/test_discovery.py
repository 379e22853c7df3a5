"""Discovery documents become kinds and gaps, aggregated or one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.adapters.kubediscovery import Catalogue, read_catalogue
from reconciler.model.errors import Transient
from reconciler.model.objects import Gap, Resource

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def entry(
    plural: str, kind: str, *, verbs: list[str] | None = None, **extra: Any
) -> dict[str, Any]:
    """One kind of an aggregated document."""
    return {
        "resource": plural,
        "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": "Namespaced",
        "verbs": VERBS if verbs is None else verbs,
        **extra,
    }


def group(name: str, *versions: dict[str, Any]) -> dict[str, Any]:
    """One group of an aggregated document."""
    return {"metadata": {"name": name} if name else {}, "versions": list(versions)}


def version(name: str, *entries: dict[str, Any], freshness: str = "Current") -> dict[str, Any]:
    """One version of a group."""
    return {"version": name, "resources": list(entries), "freshness": freshness}


def aggregated(core: list[dict[str, Any]], *groups: dict[str, Any]) -> Catalogue:
    """The catalogue of a server that aggregates."""
    documents = {
        "/api": {"kind": "APIGroupDiscoveryList", "items": [group("", version("v1", *core))]},
        "/apis": {"kind": "APIGroupDiscoveryList", "items": list(groups)},
    }
    return read_catalogue(documents.__getitem__)


def names(catalogue: Catalogue) -> list[str]:
    """``kind.group`` and version of all that can be listed."""
    return [f"{r.folder} {r.version}" for r in catalogue.discovery().resources]


def test_only_what_can_be_listed_and_read() -> None:
    found = aggregated(
        [
            entry("configmaps", "ConfigMap"),
            entry("bindings", "Binding", verbs=["create"]),
            entry("lists", "ListOnly", verbs=["list"]),
            entry("pods", "Pod", subresources=[{"subresource": "log", "verbs": ["get"]}]),
        ]
    )
    assert names(found) == ["configmap v1", "pod v1"]


def test_each_kind_at_the_first_version_that_lists_it() -> None:
    found = aggregated(
        [],
        group(
            "autoscaling",
            version("v2", entry("hpas", "HPA")),
            version("v1", entry("hpas", "HPA"), entry("olds", "Old")),
        ),
    )
    assert sorted(names(found)) == ["hpa.autoscaling v2", "old.autoscaling v1"]
    resource = found.find("autoscaling", "HPA", "v1")
    assert resource is not None
    assert resource.version == "v1"
    preferred = found.find("autoscaling", "HPA")
    assert preferred is not None
    assert preferred.version == "v2"
    assert found.find("autoscaling", "Nothing") is None


TWICE = (
    ("extensions", "apps", "deployments", "Deployment"),
    ("extensions", "apps", "daemonsets", "DaemonSet"),
    ("extensions", "apps", "replicasets", "ReplicaSet"),
    ("extensions", "networking.k8s.io", "ingresses", "Ingress"),
    ("extensions", "networking.k8s.io", "networkpolicies", "NetworkPolicy"),
    ("extensions", "policy", "podsecuritypolicies", "PodSecurityPolicy"),
)


@pytest.mark.parametrize(("old", "new", "plural", "kind"), TWICE)
@pytest.mark.parametrize("order", [1, -1])
def test_kinds_that_are_served_twice_are_read_once(
    old: str, new: str, plural: str, kind: str, order: int
) -> None:
    groups = [
        group(old, version("v1beta1", entry(plural, kind))),
        group(new, version("v1", entry(plural, kind))),
    ]
    assert names(aggregated([], *groups[::order])) == [f"{kind.lower()}.{new} v1"]


def test_events_are_read_from_the_core_group() -> None:
    found = aggregated(
        [entry("events", "Event")],
        group("events.k8s.io", version("v1", entry("events", "Event"))),
    )
    assert names(found) == ["event v1"]


def test_an_equal_name_in_another_group_is_another_kind() -> None:
    """Only what Kubernetes itself has moved: a custom kind may be called as it likes."""
    found = aggregated(
        [entry("services", "Service")],
        group("serving.knative.dev", version("v1", entry("services", "Service"))),
        group("example.org", version("v1", entry("deployments", "Deployment"))),
        group("apps", version("v1", entry("deployments", "Deployment"))),
    )
    assert names(found) == [
        "service v1",
        "deployment.apps v1",
        "deployment.example.org v1",
        "service.serving.knative.dev v1",
    ]


def test_a_kind_that_is_served_only_there_is_kept() -> None:
    found = aggregated([], group("extensions", version("v1beta1", entry("ingresses", "Ingress"))))
    assert names(found) == ["ingress.extensions v1beta1"]


def test_a_stale_version_is_a_gap() -> None:
    found = aggregated(
        [],
        group("metrics.k8s.io", version("v1beta1", entry("pods", "PodMetrics"), freshness="Stale")),
    )
    assert names(found) == []
    (gap,) = found.discovery().failed
    assert (gap.group, gap.plural) == ("metrics.k8s.io", "")
    assert "does not answer" in gap.reason


def test_cluster_scope_is_told() -> None:
    found = aggregated([entry("nodes", "Node", scope="Cluster")])
    assert found.discovery().resources == (
        Resource(group="", version="v1", kind="Node", plural="nodes", namespaced=False),
    )


OLD: Mapping[str, Mapping[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {
        "kind": "APIResourceList",
        "resources": [
            {"name": "pods", "kind": "Pod", "namespaced": True, "verbs": VERBS},
            {"name": "pods/log", "kind": "Pod", "namespaced": True, "verbs": ["get"]},
            {"name": "nodes", "kind": "Node", "namespaced": False, "verbs": VERBS},
        ],
    },
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "apps",
                "versions": [{"version": "v1beta1"}, {"version": "v1"}],
                "preferredVersion": {"version": "v1"},
            },
            {"name": "broken.example.org", "versions": [{"version": "v1"}]},
        ],
    },
    "/apis/apps/v1": {
        "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": VERBS}
        ]
    },
    "/apis/apps/v1beta1": {
        "resources": [
            {"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": VERBS}
        ]
    },
}


def test_an_old_server_gives_the_same() -> None:
    def get(path: str) -> Mapping[str, Any]:
        if path not in OLD:
            raise Transient(f"get {path}: HTTP 503")
        return OLD[path]

    found = read_catalogue(get)
    assert sorted(names(found)) == ["deployment.apps v1", "node v1", "pod v1"]
    assert found.discovery().failed == (
        Gap(group="broken.example.org", reason="get /apis/broken.example.org/v1: HTTP 503"),
    )


def test_a_root_that_does_not_answer_raises() -> None:
    def get(path: str) -> Mapping[str, Any]:
        raise Transient(f"get {path}: HTTP 503")

    with pytest.raises(Transient):
        read_catalogue(get)


def test_a_group_that_tells_that_it_has_nothing_has_told() -> None:
    found = aggregated(
        [entry("configmaps", "ConfigMap")],
        group("empty.example.org", version("v1")),
        group("down.example.org", version("v1", freshness="Stale")),
    )
    assert found.discovery().groups == {("", "v1"), ("empty.example.org", "v1")}
