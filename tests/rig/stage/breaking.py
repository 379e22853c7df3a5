"""Parts of a stage's own cluster broken on purpose: the API server, a network, a disk, a node.

Each is whole again at the end of its block. What a run says meanwhile is read from the node's disk:
the API server that would tell may be the part that is away.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.rig.cluster import network, shell
from tests.rig.cluster.api import wait_until
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.lifecycle import READY_SECONDS, api_of
from tests.rig.cluster.machine import Machine
from tests.rig.cluster.processes import Process, processes_with
from tests.rig.cluster.providers import Built, Cluster
from tests.rig.stage import logs
from tests.rig.stage.stage import Stage

_APISERVER, _SCHEDULER = "kube-apiserver", "kube-scheduler"
# mount(2) from inside: the program `mount` is not in the image, and nsenter takes programs there.
_MOUNT_SMALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
where = os.open(f"/proc/{sys.argv[1]}/ns/mnt", os.O_RDONLY)
if libc.setns(where, 0) or libc.mount(b"tmpfs", sys.argv[2].encode(), b"tmpfs", 0, b"size=8k"):
    raise OSError(ctypes.get_errno(), sys.argv[2])
"""


def instance_of(stage: Stage) -> Instance:
    """The rig's own cluster below the stage."""
    return instance_below(stage.cluster)


def instance_below(cluster: Cluster) -> Instance:
    """The machines of a cluster of the rig's own."""
    if not isinstance(cluster.provider, Built):
        raise RigError("only the rig's own cluster can be broken")
    return cluster.provider.instance


def said(stage: Stage, pod: str) -> str:
    """What a pod wrote so far, from the nodes' log files."""
    return logs.said(stage, pod)


@contextlib.contextmanager
def unscheduled(stage: Stage) -> Iterator[None]:
    """Pods get no node in the block, but by `bind`: what is made meanwhile can't begin."""
    machine = instance_of(stage).control

    def process() -> int:
        return int(machine.services().get(_SCHEDULER, {}).get("pid", 0))

    wait_until(lambda: process() > 0, "a scheduler", READY_SECONDS, lambda: machine.log(_SCHEDULER))
    pid = process()
    machine.enter(["kill", "-STOP", str(pid)])
    try:
        yield
    finally:
        machine.enter(["kill", "-CONT", str(pid)])


def bind(stage: Stage, namespace: str, pod: str, node: str) -> None:
    """Does the scheduler's work for one pod."""
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}}
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    text = json.dumps({**body, "target": target})
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/binding"
    stage.kubectl("create", "--raw", path, "-f", "-", stdin=text)


@contextlib.contextmanager
def api_away(stage: Stage) -> Iterator[None]:
    """The API server is down for the block, killed as by a power cut."""
    with apiserver_away(instance_of(stage)):
        yield


@contextlib.contextmanager
def apiserver_away(known: Instance) -> Iterator[None]:
    """The same, of a cluster without a stage."""
    machine, api = known.control, api_of(known)
    start_again = _stop(machine, _APISERVER)
    try:
        wait_until(lambda: not api.ready(), "apiserver down", 120, lambda: "")
        yield
    finally:
        start_again()
        wait_until(api.ready, "apiserver ready", READY_SECONDS, lambda: machine.log(_APISERVER))


def _stop(machine: Machine, service: str) -> Callable[[], None]:
    """Kills a service; returns what starts it again, as it was started."""
    spec = json.loads((machine.state / "services" / f"{service}.json").read_text())
    machine.stop(service)
    return lambda: machine.start(service, spec["argv"], env=spec["env"])


@contextlib.contextmanager
def node_cut(stage: Stage, node: str) -> Iterator[None]:
    """A node's cable is pulled, its kubelet and containerd are dead; what its pods do goes on."""
    known = instance_of(stage)
    cable = network.port(known.network, node)
    network.batch(f"link set dev {cable} down")
    starting = [_stop(_machine(known, node), name) for name in ("containerd", "kubelet")]
    try:
        yield
    finally:
        network.batch(f"link set dev {cable} up")
        for start_again in starting:
            start_again()


def _machine(known: Instance, node: str) -> Machine:
    return next(member.machine for member in known.members() if member.name == node)


def processes_of(pod: str) -> list[Process]:
    """Those of a pod on this machine, whatever its cluster knows of it; itself the first."""
    found = processes_with("HOSTNAME", pod)
    return sorted(found, key=lambda process: (process.started, process.pid))


def process_of(pod: str) -> Process:
    """The first process of a pod on this machine."""
    found = processes_of(pod)
    if not found:
        raise RigError(f"no process of pod {pod} on this machine")
    return found[0]


@contextlib.contextmanager
def network_cut(stage: Stage, pod: str, node: str = "node-1") -> Iterator[None]:
    """The pod's cable is pulled: what it sends is lost, and nobody tells it so."""
    inside = ["nsenter", "--target", str(process_of(pod).pid), "--net", "--"]
    (link,) = json.loads(shell.run([*inside, "ip", "-json", "link", "show", "dev", "eth0"]))
    machine = _machine(instance_of(stage), node)
    links = json.loads(machine.enter(["ip", "-json", "link", "show"]))
    name = next(one["ifname"] for one in links if one["ifindex"] == link["link_index"])
    machine.enter(["ip", "link", "set", "dev", name, "down"])
    try:
        yield
    finally:
        with contextlib.suppress(RigError):  # the pod is gone, its cable with it
            machine.enter(["ip", "link", "set", "dev", name, "up"])


def unanswered(pod: str) -> bool:
    """Whether a process of the pod has sent something that nobody has acknowledged: it is felt."""
    inside = ["nsenter", "--target", str(process_of(pod).pid), "--net", "--"]
    return "backoff:" in shell.run([*inside, "ss", "-tin"])


def fill_disk(pod: str, folder: str = "/tmp") -> None:
    """A folder of a running pod becomes a file system without room, until the pod ends."""
    pid = str(process_of(pod).pid)
    shell.run([sys.executable, "-c", _MOUNT_SMALL, pid, folder])
    room = Path(f"/proc/{pid}/root{folder}/full")
    with contextlib.suppress(OSError):
        room.write_bytes(b"x" * (1 << 16))
