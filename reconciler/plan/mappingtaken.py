"""What there is only once in a cluster: node ports, addresses, hosts. Copies leave it to others.

Pure. ``taken`` is read from all Services and Ingresses of the cluster but the copies themselves,
so that a copy that holds its own is equal to its plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
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
)
"""Addresses that somebody asked a load balancer for, with commas between them."""
DNS_ANNOTATION = "external-dns.alpha.kubernetes.io/hostname"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Each with its holder, as ``shop/web``."""

    ports: Mapping[tuple[int, str], str] = field(default_factory=dict)
    """(node port, protocol)"""
    addresses: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(class, host); an empty host is an Ingress for all of them."""
    names: Mapping[str, str] = field(default_factory=dict)
    """DNS names that external-dns publishes for Services."""


def find_taken(
    services: Iterable[Object], ingresses: Iterable[Object], *, copies: Collection[Place]
) -> Taken:
    """From raw objects of the whole cluster, without those at the places of ``copies``."""
    ports: dict[tuple[int, str], str] = {}
    addresses: dict[str, str] = {}
    names: dict[str, str] = {}
    hosts: dict[tuple[str, str], str] = {}
    for holder, raw in _others(services, copies):
        for key in _ports(raw.get("spec") or {}):
            ports.setdefault(key, holder)
        for address in _addresses(raw):
            addresses.setdefault(address, holder)
        for name in _listed(_annotations(raw).get(DNS_ANNOTATION)):
            names.setdefault(name, holder)
    for holder, raw in _others(ingresses, copies):
        for host in _hosts(raw):
            hosts.setdefault((_class(raw), host), holder)
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


def find_taken_host(manifest: Object, taken: Taken) -> str:
    """Why a copy of this Ingress is not made, or an empty string."""
    for host in _hosts(manifest):
        holder = taken.hosts.get((_class(manifest), host))
        if holder:
            what = f"host {host}" if host else "what has no host of its own"
            return f"{what} is taken by {holder}; not restored"
    return ""


def _hosts(ingress: Object) -> list[str]:
    spec = ingress.get("spec") or {}
    hosts = [str(rule.get("host") or "") for rule in spec.get("rules") or ()]
    return hosts or ([""] if spec.get("defaultBackend") else [])


def _class(ingress: Object) -> str:
    named = (ingress.get("spec") or {}).get("ingressClassName")
    return str(named or _annotations(ingress).get("kubernetes.io/ingress.class") or "")
