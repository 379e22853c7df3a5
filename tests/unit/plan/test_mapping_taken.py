"""What there is only once goes on belonging to who has it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.mappingtaken import (
    ADDRESS_ANNOTATIONS,
    DNS_ANNOTATION,
    ROUTES,
    Taken,
    find_taken,
    find_taken_host,
    free_service,
)
from tests.unit.plan.mapping_world import captured, copy_of


def service(
    name: str = "web", namespace: str = "shop", annotations: Any = None, **spec: Any
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec}


def ingress(*hosts: str, name: str = "web", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    rules = [{"host": host} if host else {} for host in hosts]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**({"rules": rules} if rules else {}), **spec},
    }


def taken(*raws: dict[str, Any]) -> Taken:
    return find_taken(raws, {}, copies=())


INGRESS = "ingress.networking.k8s.io"


def routed(raw: dict[str, Any], folder: str = INGRESS) -> Taken:
    return find_taken([], {folder: [raw]}, copies=())


PORTS = [{"port": 80, "nodePort": 31080}, {"port": 53, "nodePort": 31053, "protocol": "UDP"}]


def test_a_node_port_is_taken_for_its_protocol() -> None:
    found = service(ports=PORTS)
    made, words = free_service(found, taken(service("a", "x", ports=PORTS[:1])))
    assert made["spec"]["ports"] == [{"port": 80}, PORTS[1]]
    assert words == ["node port 31080 is taken by x/a; it gets another one"]
    assert found["spec"]["ports"] == PORTS
    tcp = service("a", "x", ports=[{"port": 1, "nodePort": 31053}])
    assert free_service(found, taken(tcp)) == (found, [])


def test_a_health_check_port_is_a_node_port_too() -> None:
    held = taken(service("a", "x", healthCheckNodePort=32000))
    made, words = free_service(service(healthCheckNodePort=32000, ports=[]), held)
    assert "healthCheckNodePort" not in made["spec"]
    assert words == ["node port 32000 is taken by x/a; it gets another one"]
    other = service(ports=[{"port": 1, "nodePort": 32000}])
    assert "nodePort" not in free_service(other, held)[0]["spec"]["ports"][0]


def test_a_cluster_address_goes_in_both_its_fields() -> None:
    found = service(clusterIP="10.0.0.9", clusterIPs=["10.0.0.9", "fd00::9"], type="ClusterIP")
    made, words = free_service(found, taken(service("a", "x", clusterIP="10.0.0.9")))
    assert made["spec"] == {"type": "ClusterIP"}
    assert words == ["address 10.0.0.9 is taken by x/a; it gets another one"]
    headless = service(clusterIP="None")
    assert free_service(headless, taken(headless)) == (headless, [])


@pytest.mark.parametrize(
    "holder",
    [
        {"spec": {"loadBalancerIP": "192.0.2.7"}},
        {"spec": {"externalIPs": ["192.0.2.7"]}},
        {"spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}},
        *(
            {"spec": {}, "metadata": {"annotations": {key: "192.0.2.6, 192.0.2.7"}}}
            for key in ADDRESS_ANNOTATIONS
        ),
    ],
)
def test_a_load_balancers_address_is_known_wherever_it_stands(holder: dict[str, Any]) -> None:
    metadata = {"name": "a", "namespace": "x", **holder.get("metadata", {})}
    held = taken({**holder, "metadata": metadata})
    made, words = free_service(service(loadBalancerIP="192.0.2.7", externalIPs=["192.0.2.7"]), held)
    assert made["spec"] == {}
    assert words == [
        "address 192.0.2.7 is taken by x/a; it gets another one",
        "external address 192.0.2.7 is taken by x/a; not restored",
    ]
    for key in ADDRESS_ANNOTATIONS:
        made, words = free_service(service(annotations={key: "192.0.2.7", "a": "b"}), held)
        assert made["metadata"]["annotations"] == {"a": "b"}
        assert len(words) == 1


def test_a_published_name_is_not_published_twice() -> None:
    found = service(annotations={DNS_ANNOTATION: "shop.example.org,www.example.org"})
    made, words = free_service(found, taken(found))
    assert "annotations" not in made["metadata"]
    assert f"annotation {DNS_ANNOTATION}: shop.example.org is taken by shop/web" in words[0]
    free = service(annotations={DNS_ANNOTATION: "new.example.org"})
    assert free_service(free, taken(found)) == (free, [])


def test_what_a_copy_holds_itself_is_not_taken() -> None:
    mine = service("web", "shop2", ports=PORTS)
    routes = {INGRESS: [ingress("a", namespace="shop2")]}
    assert find_taken([mine], routes, copies={("shop2", "web")}) == Taken()


def test_of_several_holders_the_first_by_name_is_told() -> None:
    raws = [service(name, "x", ports=PORTS) for name in "ba"]
    assert taken(*raws).ports[31080, "TCP"] == "x/a"


@pytest.mark.parametrize(
    ("there", "wanted", "why"),
    [
        (ingress("a.org"), ingress("a.org"), "host a.org is taken by shop/web; not restored"),
        (ingress("a.org"), ingress("b.org", "a.org"), "host a.org is taken"),
        (ingress("a.org"), ingress("b.org"), ""),
        (ingress(""), ingress(""), "what has no host of its own is taken by shop/web"),
        (ingress("a.org"), ingress(""), ""),
        (ingress(defaultBackend={}), ingress(defaultBackend={"service": {}}), ""),
        (
            ingress(defaultBackend={"service": {}}),
            ingress(defaultBackend={"service": {}}),
            "what has no host",
        ),
        (ingress("a.org", ingressClassName="x"), ingress("a.org", ingressClassName="y"), ""),
        (ingress("a.org", ingressClassName="x"), ingress("a.org", ingressClassName="x"), "a.org"),
    ],
)
def test_a_host_belongs_to_one_ingress_of_a_class(
    there: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    found = find_taken_host(wanted, INGRESS, routed(there))
    assert why in found
    assert bool(found) == bool(why)


def test_the_class_may_stand_in_an_annotation() -> None:
    there = ingress("a.org", ingressClassName="nginx")
    wanted = ingress("a.org")
    wanted["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "nginx"}
    assert find_taken_host(wanted, INGRESS, routed(there))


def test_copies_are_made_without_what_is_taken() -> None:
    routes = {INGRESS: [ingress("a.org")]}
    held = find_taken([service("a", "x", ports=PORTS)], routes, copies=())
    made = copy_of(captured("Service", "web", spec={"ports": PORTS}), taken=held)
    assert made.manifest["spec"]["ports"] == [{"port": 80}, {"port": 53, "protocol": "UDP"}]
    assert len(made.changes) == 2
    rules = [{"host": "a.org"}]
    copied = copy_of(captured("networking.k8s.io/Ingress", "i", spec={"rules": rules}), taken=held)
    assert copied.obstacle == "host a.org is taken by shop/web; not restored"


A, B = "a.example.org", "b.example.org"


@pytest.mark.parametrize(
    ("folder", "spec", "other"),
    [
        ("httpproxy.projectcontour.io", {"virtualhost": {"fqdn": A}}, {"virtualhost": {"fqdn": B}}),
        ("route.route.openshift.io", {"host": A}, {"host": B}),
        (
            "ingressroute.traefik.io",
            {"routes": [{"match": f"Host(`{A}`, `{B}x`) && PathPrefix(`/`)"}]},
            {"routes": [{"match": f"Host(`{B}`) && PathPrefix(`{A}`)"}]},
        ),
        (
            "ingressroutetcp.traefik.containo.us",
            {"routes": [{"match": f"HostSNI(`{A}`)"}]},
            {"routes": [{"match": "ClientIP(`192.0.2.0/24`)"}]},
        ),
        ("virtualservice.networking.istio.io", {"hosts": ["web", A]}, {"hosts": ["web", B]}),
        (
            "gateway.networking.istio.io",
            {"servers": [{"hosts": [f"shop/{A}"]}]},
            {"servers": [{"hosts": [f"./{B}"]}]},
        ),
    ],
)
def test_a_host_is_found_in_every_kind_of_route(
    folder: str, spec: dict[str, Any], other: dict[str, Any]
) -> None:
    there = {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    held = routed(there, folder)
    assert find_taken_host(there, folder, held) == f"host {A} is taken by shop/web; not restored"
    assert find_taken_host({**there, "spec": other}, folder, held) == ""
    assert find_taken_host({"metadata": {}}, folder, held) == ""
    kind, _, group = folder.partition(".")
    made = copy_of(captured(f"{group}/{kind}", "web", spec=spec), taken=held)
    assert made.obstacle


def test_a_gateway_apis_route_is_restored_the_older_one_is_served() -> None:
    assert not [folder for folder in ROUTES if folder.endswith("gateway.networking.k8s.io")]
