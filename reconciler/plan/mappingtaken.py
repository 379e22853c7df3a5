"""What there is only once in a cluster: node ports, addresses, hosts. Copies leave it to others.

Pure. ``taken`` is read from all Services and routes of the cluster but the copies themselves,
so that a copy that holds its own is equal to its plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]
Place = tuple[str, str]
"""(namespace, name)"""

ADDRESS_ANNOTATIONS = (
    "metallb.io/loadBalancerIPs",
    "metallb.universe.tf/loadBalancerIPs",
    "kube-vip.io/loadbalancerIPs",
    "lbipam.cilium.io/ips",
    "io.cilium/lb-ipam-ips",
    "networking.gke.io/load-balancer-ip-addresses",
    "service.beta.kubernetes.io/aws-load-balancer-eip-allocations",
    "service.beta.kubernetes.io/aws-load-balancer-name",
    "service.beta.kubernetes.io/azure-load-balancer-ipv4",
    "service.beta.kubernetes.io/azure-pip-name",
    "service.beta.kubernetes.io/do-loadbalancer-name",
    "kubernetes.digitalocean.com/load-balancer-id",
    "load-balancer.hetzner.cloud/name",
    "loadbalancer.openstack.org/load-balancer-id",
    "service.beta.kubernetes.io/linode-loadbalancer-nodebalancer-id",
    "service.beta.kubernetes.io/scw-loadbalancer-id",
)
"""Addresses and load balancers, with commas between them: asked for by somebody, or written by a
cloud's controller, which would give the original's load balancer to the copy."""
DNS_ANNOTATION = "external-dns.alpha.kubernetes.io/hostname"


Host = tuple[str, str, str]
"""(kind, class, host); an empty host is an Ingress for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Each with its holder, as ``shop/web``."""

    ports: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(node port, protocol)"""
    addresses: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[Host, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    """DNS names that external-dns publishes for Services."""


def find_taken(
    services: Iterable[Object],
    routes: Mapping[str, Iterable[Object]],
    *,
    copies: Collection[Place],
) -> Taken:
    """From raw objects of the whole cluster, without those at the places of ``copies``.

    ``routes`` by folder, of the kinds in `ROUTES`.
    """
    ports: dict[tuple[int, str], str] = {}
    addresses: dict[str, str] = {}
    names: dict[str, str] = {}
    hosts: dict[Host, str] = {}
    for holder, raw in _others(services, copies):
        for key in _ports(raw.get("spec") or {}):
            ports.setdefault(key, holder)
        for address in _addresses(raw):
            addresses.setdefault(address, holder)
        for name in _listed(_annotations(raw).get(DNS_ANNOTATION)):
            names.setdefault(name, holder)
    for folder, found in routes.items():
        for holder, raw in _others(found, copies):
            for host in _hosts(folder, raw):
                hosts.setdefault(host, holder)
    return Taken(ports=ports, addresses=addresses, hosts=hosts, names=names)


def _others(raws: Iterable[Object], copies: Collection[Place]) -> Iterator[tuple[str, Object]]:
    found = []
    for raw in raws:
        place = (str(raw["metadata"].get("namespace") or ""), str(raw["metadata"]["name"]))
        if place not in copies:
            found.append(("/".join(place), raw))
    yield from sorted(found, key=lambda pair: pair[0])


def _annotations(raw: Object) -> Object:
    return (raw.get("metadata") or {}).get("annotations") or {}


def _listed(text: object) -> list[str]:
    return [part.strip() for part in str(text or "").split(",") if part.strip()]


def _ports(spec: Object) -> Iterator[tuple[int, str]]:
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            yield port["nodePort"], port.get("protocol") or "TCP"
    if spec.get("healthCheckNodePort"):
        yield spec["healthCheckNodePort"], "TCP"


def _addresses(raw: Object) -> Iterator[str]:
    spec = raw.get("spec") or {}
    status = (raw.get("status") or {}).get("loadBalancer") or {}
    yield from (str(item["ip"]) for item in status.get("ingress") or () if item.get("ip"))
    yield from (str(ip) for ip in spec.get("externalIPs") or ())
    for ip in (spec.get("clusterIP"), spec.get("loadBalancerIP"), *(spec.get("clusterIPs") or ())):
        if ip and ip != "None":
            yield str(ip)
    for key in ADDRESS_ANNOTATIONS:
        yield from _listed(_annotations(raw).get(key))


def free_service(manifest: Object, taken: Taken) -> tuple[dict[str, Any], list[str]]:
    """A Service without what others hold, and in words what went. Never changes ``manifest``."""
    spec = dict(manifest.get("spec") or {})
    words: list[str] = []
    ports = []
    for port in spec.get("ports") or ():
        number = port.get("nodePort")
        holder = taken.ports.get((number, port.get("protocol") or "TCP"))
        if holder:
            words.append(f"node port {number} is taken by {holder}; it gets another one")
        ports.append({k: v for k, v in port.items() if not holder or k != "nodePort"})
    if ports:
        spec["ports"] = ports
    health = spec.get("healthCheckNodePort")
    if health and (holder := taken.ports.get((health, "TCP"))):
        words.append(f"node port {health} is taken by {holder}; it gets another one")
        del spec["healthCheckNodePort"]
    _free_cluster_addresses(spec, taken, words)
    _free_balancer(spec, taken, words)
    made = {**manifest, "spec": spec} if "spec" in manifest else dict(manifest)
    annotations = _free_annotations(_annotations(manifest), taken, words)
    if annotations != _annotations(manifest):
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "annotations"}
        made["metadata"] = {**metadata, **({"annotations": annotations} if annotations else {})}
    return made, words


def _free_cluster_addresses(spec: dict[str, Any], taken: Taken, words: list[str]) -> None:
    for ip in dict.fromkeys((spec.get("clusterIP"), *(spec.get("clusterIPs") or ()))):
        if holder := taken.addresses.get(str(ip)):
            words.append(f"address {ip} is taken by {holder}; it gets another one")
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)


def _free_balancer(spec: dict[str, Any], taken: Taken, words: list[str]) -> None:
    wanted = spec.get("loadBalancerIP")
    if wanted and (holder := taken.addresses.get(str(wanted))):
        words.append(f"address {wanted} is taken by {holder}; it gets another one")
        del spec["loadBalancerIP"]
    held = [ip for ip in spec.get("externalIPs") or () if str(ip) in taken.addresses]
    words += [
        f"external address {ip} is taken by {taken.addresses[str(ip)]}; not restored" for ip in held
    ]
    if held:
        spec["externalIPs"] = [ip for ip in spec["externalIPs"] if ip not in held]
        if not spec["externalIPs"]:
            del spec["externalIPs"]


def _free_annotations(found: Object, taken: Taken, words: list[str]) -> dict[str, Any]:
    left = dict(found)
    for key in (*ADDRESS_ANNOTATIONS, DNS_ANNOTATION):
        held = taken.names if key == DNS_ANNOTATION else taken.addresses
        for value in _listed(found.get(key)):
            if value in held:
                words.append(f"annotation {key}: {value} is taken by {held[value]}; not restored")
                left.pop(key, None)
    return left


def find_taken_host(manifest: Object, folder: str, taken: Taken) -> str:
    """Why a copy of this route is not made, or an empty string."""
    for host in _hosts(folder, manifest):
        holder = taken.hosts.get(host)
        if holder:
            what = f"host {host[2]}" if host[2] else "what has no host of its own"
            return f"{what} is taken by {holder}; not restored"
    return ""


def _hosts(folder: str, raw: Object) -> list[Host]:
    spec = raw.get("spec")
    names = ROUTES[folder](spec if isinstance(spec, Mapping) else {})
    return [(folder, _class(raw), str(name)) for name in names]


def _class(raw: Object) -> str:
    named = (raw.get("spec") or {}).get("ingressClassName")
    return str(named or _annotations(raw).get("kubernetes.io/ingress.class") or "")


def _ingress(spec: Object) -> Iterator[str]:
    rules = spec.get("rules") or ()
    yield from (rule.get("host") or "" for rule in rules)
    if not rules and spec.get("defaultBackend"):
        yield ""


def _mappings(value: object) -> Iterator[Object]:
    """A custom resource may have anything anywhere."""
    for item in value if isinstance(value, list) else ():
        if isinstance(item, Mapping):
            yield item


def _texts(value: object) -> Iterator[str]:
    yield from (
        item for item in (value if isinstance(value, list) else ()) if isinstance(item, str)
    )


def _traefik(spec: Object) -> Iterator[str]:
    for route in _mappings(spec.get("routes")):
        for call in _TRAEFIK.findall(str(route.get("match") or "")):
            yield from _QUOTED.findall(call)


def _contour(spec: Object) -> Iterator[str]:
    host = spec.get("virtualhost")
    if isinstance(host, Mapping) and host.get("fqdn"):
        yield host["fqdn"]


def _openshift(spec: Object) -> Iterator[str]:
    if spec.get("host"):
        yield spec["host"]


def _istio_service(spec: Object) -> Iterator[str]:
    """A name without a dot is of the route's own namespace, so the copy has its own."""
    yield from (host for host in _texts(spec.get("hosts")) if "." in host or host == "*")


def _istio_gateway(spec: Object) -> Iterator[str]:
    for server in _mappings(spec.get("servers")):
        yield from (host.rpartition("/")[2] for host in _texts(server.get("hosts")))


_TRAEFIK = re.compile(r"\bHost(?:SNI)?\(([^)]*)\)")
_QUOTED = re.compile(r"[`\"']([^`\"']+)[`\"']")
ROUTES: Mapping[str, Callable[[Object], Iterator[str]]] = {
    "ingress.networking.k8s.io": _ingress,
    "httpproxy.projectcontour.io": _contour,
    "ingressroute.traefik.io": _traefik,
    "ingressroute.traefik.containo.us": _traefik,
    "ingressroutetcp.traefik.io": _traefik,
    "ingressroutetcp.traefik.containo.us": _traefik,
    "route.route.openshift.io": _openshift,
    "virtualservice.networking.istio.io": _istio_service,
    "gateway.networking.istio.io": _istio_gateway,
}
"""Kinds of which two with the same host disturb each other, and how each names its hosts.

Not Gateway API's routes: there the older one is served, by specification.
"""
