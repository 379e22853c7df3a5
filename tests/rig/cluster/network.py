"""The rig's network: one private /16 per instance, on a bridge of its own.

    10.B.0.0/24     the switch: .1 the host, .10 the control plane, .11 and on the nodes
    10.B.16+n.0/24  the pods of node n
    10.B.128.0/17   Services

Nothing can leave: a machine has one interface, on the bridge, and routes to these ranges only, so a
packet for any other address ends with "unreachable" where it was made. The host forwards nothing
and has no rule of ours; its routes go with the bridge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from tests.rig.cluster import shell
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.machine import Machine

BLOCKS = range(100, 128)
ALIAS = "backstay-rig "


@dataclass(frozen=True, slots=True)
class Network:
    """All addresses of an instance follow from its block, the second byte."""

    block: int

    @property
    def bridge(self) -> str:
        """The bridge's name on the host."""
        return f"bs{self.block}"

    @property
    def host(self) -> IPv4Address:
        """The host as machines and pods see it."""
        return IPv4Address(f"10.{self.block}.0.1")

    @property
    def control(self) -> IPv4Address:
        """The machine of the control plane."""
        return self.node(0)

    def node(self, index: int) -> IPv4Address:
        """The machine of node `index`, counted from 1; 0 is the control plane."""
        return IPv4Address(f"10.{self.block}.0.{10 + index}")

    @property
    def everything(self) -> IPv4Network:
        """The whole block."""
        return IPv4Network(f"10.{self.block}.0.0/16")

    @property
    def pods(self) -> IPv4Network:
        """The range of all nodes' pods."""
        return IPv4Network(f"10.{self.block}.16.0/20")

    def pods_of(self, index: int) -> IPv4Network:
        """The range of one node's pods; its first address is the node's end."""
        return IPv4Network(f"10.{self.block}.{16 + index}.0/24")

    @property
    def services(self) -> IPv4Network:
        """The Services' range; its first address is the apiserver's."""
        return IPv4Network(f"10.{self.block}.128.0/17")


def free_block(taken: Iterable[int]) -> int:
    """The first block that no instance has and no route of this host touches."""
    routes = json.loads(shell.run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    used = [
        IPv4Network(route["dst"], strict=False) for route in routes if route["dst"][0].isdigit()
    ]
    names = {link["ifname"] for link in links()}
    for block in BLOCKS:
        network = Network(block)
        if block in taken or network.bridge in names:
            continue
        if not any(network.everything.overlaps(other) for other in used):
            return block
    raise RigError(
        "no free range among 10.100.0.0/16 to 10.127.0.0/16",
        hint="take down a cluster: scripts/cluster status",
    )


def links() -> list[dict[str, str]]:
    """The host's interfaces as `ip -json` gives them."""
    found: list[dict[str, str]] = json.loads(shell.run(["ip", "-json", "link", "show"]))
    return found


def hardware(address: IPv4Address) -> str:
    """A bridge's own hardware address, made from its address as container networks do (0a:58).

    Left to itself a bridge takes the lowest of its ports', which come and go with pods: the others
    would send to the one before until they ask anew, most of a minute later.
    """
    return ":".join(f"{byte:02x}" for byte in (0x0A, 0x58, *address.packed))


def raise_bridge(network: Network, owner: str) -> None:
    """Make the bridge, with the host's address on it; `owner` is written on it for people."""
    batch(
        f"link add name {network.bridge} address {hardware(network.host)} type bridge",
        f'link set dev {network.bridge} alias "{ALIAS}{owner}"',
        f"addr add {network.host}/24 dev {network.bridge}",
        f"link set dev {network.bridge} up",
    )


def port(network: Network, machine: str) -> str:
    """The host's end of a machine's cable; the kernel takes 15 characters."""
    return f"{network.bridge}-{machine}"


def plug(machine: Machine, network: Network) -> None:
    """Connect a booted machine to the bridge."""
    init = machine.init
    if init is None:
        raise RigError(f"machine {machine.name} is down")
    name = port(network, machine.name)
    batch(
        f"link add name {name} type veth peer name eth0 netns {init.pid}",
        f"link set dev {name} master {network.bridge} up",
    )
    batch(
        "link set dev lo up",
        f"addr add {machine.address}/24 dev eth0",
        "link set dev eth0 up",
        inside=machine,
    )


def open_node(machine: Machine, network: Network, index: int) -> None:
    """The node's own bridge for pods, and forwarding between it, the switch and Services.

    A Service address without a rule must not be looked for elsewhere: the range is routed to a
    bridge that has no port.
    """
    own = network.pods_of(index)
    batch(
        f"link add name cni0 address {hardware(own[1])} type bridge",
        f"addr add {own[1]}/24 dev cni0",
        "link set dev cni0 up",
        "link add name services type bridge",
        "link set dev services up",
        f"route add {network.services} dev services",
        inside=machine,
    )
    machine.enter(["tee", "/proc/sys/net/ipv4/ip_forward"], stdin="1")


def route_to_nodes(network: Network, nodes: int, *, machine: Machine | None, skip: int = 0) -> None:
    """Routes to the pods of every node but `skip`, and to Services by the first node.

    They are the machine's or, without one, the host's.
    """
    device = network.bridge if machine is None else "eth0"
    wanted = [
        f"route add {network.pods_of(i)} via {network.node(i)} dev {device}"
        for i in range(1, nodes + 1)
        if i != skip
    ]
    if not skip:
        wanted.append(f"route add {network.services} via {network.node(1)} dev {device}")
    if wanted:
        batch(*wanted, inside=machine)


def lead(machine: Machine, network: Network, address: IPv4Address) -> None:
    """Route one more address of the host, which must be this machine's, by the host's own."""
    batch(f"route replace {address}/32 via {network.host} dev eth0", inside=machine)


def remove_bridge(network: Network) -> None:
    """Remove the bridge and every port of it; addresses and routes go with them."""
    ports = [link["ifname"] for link in links() if link.get("master") == network.bridge]
    for name in [*ports, network.bridge]:
        shell.run(["ip", "link", "delete", "dev", name], check=False)


def batch(*lines: str, inside: Machine | None = None) -> None:
    """Run `ip` once for several lines, on the host or in a machine."""
    argv: Sequence[str] = ["ip", "-batch", "-"]
    text = "".join(f"{line}\n" for line in lines)
    if inside is None:
        shell.run(argv, stdin=text)
    else:
        inside.enter(argv, stdin=text)
