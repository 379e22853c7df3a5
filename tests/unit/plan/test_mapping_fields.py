"""Each field that is followed, kept apart from fields that look like it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan import mappingrefs
from tests.unit.plan.mapping_world import NAMES, RBAC, captured, copy_of

LABEL = "kubernetes.io/metadata.name"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
GATEWAY = "gateway.networking.k8s.io"

FOLLOWED: list[tuple[str, dict[str, Any], str]] = [
    (
        "networking.k8s.io/NetworkPolicy",
        {"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {LABEL: "shop"}}}]}]},
        f"spec.ingress[0].from[0].namespaceSelector.matchLabels.{LABEL}",
    ),
    (
        "networking.k8s.io/NetworkPolicy",
        {
            "egress": [
                {
                    "to": [
                        {
                            "namespaceSelector": {
                                "matchExpressions": [
                                    {"key": LABEL, "operator": "In", "values": ["dns", "shop"]}
                                ]
                            }
                        }
                    ]
                }
            ]
        },
        "spec.egress[0].to[0].namespaceSelector.matchExpressions[0].values[1]",
    ),
    (
        "cilium.io/CiliumNetworkPolicy",
        {"endpointSelector": {"matchLabels": {"k8s:io.kubernetes.pod.namespace": "shop"}}},
        "spec.endpointSelector.matchLabels.k8s:io.kubernetes.pod.namespace",
    ),
    (
        f"{GATEWAY}/HTTPRoute",
        {"parentRefs": [{"name": "public", "namespace": "shop"}]},
        "spec.parentRefs[0].namespace",
    ),
    (
        f"{GATEWAY}/HTTPRoute",
        {"rules": [{"backendRefs": [{"name": "web", "namespace": "shop", "port": 80}]}]},
        "spec.rules[0].backendRefs[0].namespace",
    ),
    (
        f"{GATEWAY}/ReferenceGrant",
        {"from": [{"group": GATEWAY, "kind": "HTTPRoute", "namespace": "shop"}]},
        "spec.from[0].namespace",
    ),
    (
        f"{GATEWAY}/Gateway",
        {"allowedRoutes": {"namespaces": {"selector": {"matchLabels": {LABEL: "shop"}}}}},
        f"spec.allowedRoutes.namespaces.selector.matchLabels.{LABEL}",
    ),
    (
        "monitoring.coreos.com/ServiceMonitor",
        {"namespaceSelector": {"matchNames": ["shop"]}},
        "spec.namespaceSelector.matchNames[0]",
    ),
    (
        "apps/StatefulSet",
        {
            "volumeClaimTemplates": [
                {"spec": {"dataSourceRef": {"kind": "X", "name": "seed", "namespace": "shop"}}}
            ]
        },
        "spec.volumeClaimTemplates[0].spec.dataSourceRef.namespace",
    ),
    (
        "apps/Deployment",
        {
            "template": {
                "spec": {
                    "affinity": {
                        "podAntiAffinity": {
                            REQUIRED: [{"topologyKey": "zone", "namespaces": ["shop"]}]
                        }
                    }
                }
            }
        },
        f"spec.template.spec.affinity.podAntiAffinity.{REQUIRED}[0].namespaces[0]",
    ),
    (
        "security.istio.io/AuthorizationPolicy",
        {"rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}]},
        "spec.rules[0].from[0].source.namespaces[0]",
    ),
    (
        "security.istio.io/AuthorizationPolicy",
        {"rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/web"]}}]}]},
        "spec.rules[0].from[0].source.principals[0]",
    ),
    (
        "Service",
        {"type": "ExternalName", "externalName": "db.shop.svc.cluster.local"},
        "spec.externalName",
    ),
    (
        "x.org/Database",
        {"passwordRef": {"name": "db", "namespace": "shop"}},
        "spec.passwordRef.namespace",
    ),
    (
        "cilium.io/CiliumNetworkPolicy",
        {"egress": [{"toServices": [{"k8sService": {"serviceName": "db", "namespace": "shop"}}]}]},
        "spec.egress[0].toServices[0].k8sService.namespace",
    ),
    (
        "x.org/Thing",
        {"tls": {"secretName": "web", "namespace": "shop"}},
        "spec.tls.namespace",
    ),
    (
        "networking.istio.io/VirtualService",
        {"gateways": ["mesh", "shop/public"]},
        "spec.gateways[1]",
    ),
    (
        "networking.istio.io/Sidecar",
        {"egress": [{"hosts": ["istio-system/*", "shop/*"]}]},
        "spec.egress[0].hosts[1]",
    ),
    (
        "networking.istio.io/Gateway",
        {"servers": [{"hosts": ["shop/shop.example.org"]}]},
        "spec.servers[0].hosts[0]",
    ),
    (
        "networking.istio.io/DestinationRule",
        {"exportTo": [".", "shop"]},
        "spec.exportTo[1]",
    ),
]


@pytest.mark.parametrize(
    ("kind", "spec", "path"), FOLLOWED, ids=[f"{k}-{p}" for k, _, p in FOLLOWED]
)
def test_a_reference_is_followed(kind: str, spec: dict[str, Any], path: str) -> None:
    made = copy_of(captured(kind, "a", spec=spec))
    (change,) = made.changes
    assert change.startswith(f"{path}: ")
    assert "shop2" in change.partition(" → ")[2]
    assert "shop2" in str(made.manifest["spec"])
    assert made.warnings == ()


def test_another_namespaces_references_are_left_alone() -> None:
    for kind, spec, _ in FOLLOWED:
        found = captured(kind, "a", spec=spec)
        made, changes = mappingrefs.follow(found.manifest, found.folder, {"sho": "x", "shop2": "y"})
        assert (made["spec"], changes) == (spec, [])


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"name": "web", "namespace": "shop"}},
        {"template": {"metadata": {"labels": {"name": "web", "namespace": "shop"}}}},
        {"matchNames": ["shop"]},
        {"namespaces": ["shop"]},
        {"values": ["shop"], "key": "team"},
        {"resources": ["configmaps"], "resourceNames": ["shop"]},
        {"externalName": "db.shop.svc.cluster.local"},
        {"kubernetes.io/metadata.name": "shop"},
        {"name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccount:shop"},
        {"command": ["system:serviceaccount:shop:web"]},
        {"hosts": ["shop", "shop.example.org", "shop-two/*"]},
        {"gateways": ["shop", "other/shop"]},
        {"serviceNames": ["db"], "namespace": "shop"},
    ],
)
def test_what_only_looks_like_a_reference_is_left_alone(spec: dict[str, Any]) -> None:
    made = copy_of(captured("x.org/Thing", "a", spec=spec))
    assert made.manifest["spec"] == spec
    assert made.changes == ()


def test_a_role_for_its_own_namespace_and_accounts_follows() -> None:
    rules = [
        {"resources": ["namespaces"], "resourceNames": ["shop"], "verbs": ["get"]},
        {"resources": ["users"], "resourceNames": ["system:serviceaccount:shop:web"]},
    ]
    made = copy_of(captured(f"{RBAC}/Role", "a", rules=rules))
    assert [rule["resourceNames"] for rule in made.manifest["rules"]] == [
        ["shop2"],
        ["system:serviceaccount:shop2:web"],
    ]


@pytest.mark.parametrize("key", sorted(mappingrefs.PLACED))
def test_annotations_that_name_an_object_follow(key: str) -> None:
    made = copy_of(
        captured("Service", "a", metadata={"annotations": {key: "shop/tls", "x": "shop/tls"}})
    )
    assert made.manifest["metadata"]["annotations"] == {key: "shop2/tls", "x": "shop/tls"}
    assert made.changes == (f"annotation {key}: shop/tls → shop2/tls",)
    for text in ("shop", "shop-two/tls", "other/shop"):
        left = copy_of(captured("Service", "a", metadata={"annotations": {key: text}}))
        assert left.manifest["metadata"]["annotations"] == {key: text}


def test_files_in_a_config_map_are_never_read_as_fields() -> None:
    data = {"name": "web", "namespace": "shop"}
    made = copy_of(captured("ConfigMap", "a", data=data))
    assert made.manifest["data"] == data
    assert made.changes == ()
    assert made.warnings == ("data.namespace: still shop",)


def test_who_is_meant_by_a_subject() -> None:
    account = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}
    assert mappingrefs.refers(account, NAMES)
    assert mappingrefs.refers([account], ["shop"])
    assert not mappingrefs.refers(account, ["other"])
    assert not mappingrefs.refers({"kind": "User", "name": "shop"}, NAMES)
    assert not mappingrefs.refers(None, NAMES)
