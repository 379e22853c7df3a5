"""Bringing an instance up and taking it down, whatever state an earlier one was left in."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tests.rig.cluster import (
    build,
    cgroups,
    images,
    instance,
    limits,
    loops,
    network,
    packages,
    storage,
)
from tests.rig.cluster.api import Api, wait_until
from tests.rig.cluster.certs import Authority
from tests.rig.cluster.control import PORT, ControlPlane
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.processes import Process
from tests.rig.cluster.progress import say

READY_SECONDS = 300.0
STILL_THERE_SECONDS = 20.0


def up(name: str, *, nodes: int = 1, owner: Process | None = None) -> Instance:
    """Return the running instance; start it, or start it anew, when it does not run.

    With an owner its machines die with the calling process, and the next `up` clears the rest.
    """
    if os.geteuid() != 0:
        raise RigError(
            "a cluster needs root", hint="or name one of yours: BACKSTAY_TEST_KUBECONFIG"
        )
    packages.ensure()
    limits.ensure()
    programs = build.ensure()
    archives = images.ensure()
    sweep()
    with instance.locked(name):
        known = instance.load(name)
        if known and healthy(known):
            if known.nodes != nodes:
                raise RigError(
                    f"{name} is up with {known.nodes} nodes, not {nodes}",
                    hint=f"scripts/cluster down --name {name}",
                )
            say(f"{name} is already up")
            return known
        if known:
            say(f"{name} was left behind; clearing it")
            remove(known)
        fresh = _allocate(name, nodes=nodes, programs=programs, owner=owner)
        _start(fresh, archives)
    return fresh


def _allocate(name: str, *, nodes: int, programs: Path, owner: Process | None) -> Instance:
    """Pick addresses nobody has, and hold them by the record and the bridge."""
    with instance.locked(""):
        taken = [other.block for other in instance.all_known()]
        block = network.free_block(taken)
        fresh = Instance(name=name, block=block, nodes=nodes, programs=programs, owner=owner)
        fresh.save()
        network.raise_bridge(fresh.network, str(fresh.folder))
    return fresh


def _start(fresh: Instance, archives: list[images.Image]) -> None:
    for machine in fresh.machines():
        machine.boot(tied=fresh.owner is not None)
        network.plug(machine, fresh.network)
    authority = Authority.new(f"backstay-rig-{fresh.name}")
    control = ControlPlane(fresh.name, fresh.control, fresh.network, authority)
    control.start()
    nodes = fresh.members()
    for node in nodes:
        node.prepare(fresh.nodes)
    network.route_to_nodes(fresh.network, fresh.nodes, machine=None)
    network.route_to_nodes(fresh.network, fresh.nodes, machine=fresh.control)
    api = _administrator(fresh, control)
    for node in nodes:
        node.wait_for_containerd()
        for image in archives:
            node.load(image.archive, image.name)
        node.join(control)
    wait_until(
        api.ready, "apiserver ready", READY_SECONDS, lambda: fresh.control.log("kube-apiserver")
    )
    say("apiserver ready")
    control.start_clients()
    storage.start(control, api)
    for node in nodes:
        wait_until(
            lambda name=node.name: api.node_ready(name),  # type: ignore[misc]
            f"{node.name} ready",
            READY_SECONDS,
            lambda machine=node.machine: machine.log("kubelet"),  # type: ignore[misc]
        )
        say(f"{node.name} ready")
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    wait_until(
        lambda: api.exists(account),
        "service account default",
        READY_SECONDS,
        lambda: fresh.control.log("kube-controller-manager"),
    )


def _administrator(fresh: Instance, control: ControlPlane) -> Api:
    """Write the administrator's certificate and kubeconfig."""
    client = control.authority.issue("backstay-rig-admin", group="system:masters")
    client.write(fresh.folder, "admin")
    (fresh.folder / "ca.crt").write_bytes(control.authority.pem)
    fresh.kubeconfig.touch(mode=0o600)
    fresh.kubeconfig.write_text(control.kubeconfig("backstay-rig-admin", "system:masters"))
    return api_of(fresh)


def api_of(known: Instance) -> Api:
    """The apiserver of an instance that has been started."""
    return Api(f"https://{known.network.control}:{PORT}", known.folder)


def healthy(known: Instance, *, patience: float = STILL_THERE_SECONDS) -> bool:
    """Whether all its machines run, the apiserver is ready and so is every node."""
    if not known.kubeconfig.exists() or any(machine.init is None for machine in known.machines()):
        return False
    api = api_of(known)
    deadline = time.monotonic() + patience
    while not (api.ready() and all(api.node_ready(node.name) for node in known.members())):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def down(name: str) -> bool:
    """Take the instance down and leave nothing of it; False when there was none."""
    with instance.locked(name):
        known = instance.load(name)
        if known is None:
            shutil.rmtree(instance.folder(name), ignore_errors=True)
            return False
        remove(known)
    return True


def remove(known: Instance) -> None:
    """Machines first: their processes, mounts and rules go with them. Then what the host holds."""
    for machine in known.machines():
        machine.kill()
    network.remove_bridge(known.network)
    for node in known.members():
        cgroups.remove(node.cgroup)
    _check_unmounted(known.folder)
    loops.release(known.block_volumes())
    shutil.rmtree(known.folder)


def _check_unmounted(folder: Path) -> None:
    """Deleting through a mount would delete somebody's data."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [path for path in mounts if Path(path).is_relative_to(folder)]
    if inside:
        raise RigError(
            f"something is mounted in {folder}: {inside}", hint="unmount it, then try again"
        )


def sweep() -> None:
    """Clear instances whose owner is gone, and bridges whose instance is."""
    for known in instance.all_known():
        if known.orphaned:
            say(f"{known.name} lost its owner; clearing it")
            down(known.name)
    with instance.locked(""):
        for link in network.links():
            owner = link.get("ifalias", "")
            if (
                owner.startswith(network.ALIAS)
                and not Path(owner.removeprefix(network.ALIAS)).exists()
            ):
                network.remove_bridge(network.Network(int(link["ifname"].removeprefix("bs"))))


@dataclass(frozen=True, slots=True)
class Status:
    """What `scripts/cluster status` says about one instance."""

    name: str
    healthy: bool
    kubeconfig: str
    server: str
    host_address: str
    folder: str
    services: dict[str, dict[str, int]]


def status(known: Instance) -> Status:
    """Look at it once, without waiting."""
    services = {
        f"{machine.name}/{name}": {"starts": found["starts"]}
        for machine in known.machines()
        if machine.init
        for name, found in sorted(machine.services().items())
    }
    return Status(
        name=known.name,
        healthy=healthy(known, patience=0),
        kubeconfig=str(known.kubeconfig),
        server=f"https://{known.network.control}:{PORT}",
        host_address=str(known.network.host),
        folder=str(known.folder),
        services=services,
    )
