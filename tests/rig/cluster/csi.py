"""Storage with snapshots and clones: a CSI driver of the rig's own, and Kubernetes' real sidecars.

No cluster has it unless it is asked for: `added` gives it to a running cluster of the rig and takes
all of it away again. Volumes lie in a folder that all nodes share, so each may be used on any node.
docs/rig.md says what it offers, and `CsiFaults` how it is made to misbehave.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.rig.cluster import csibuild, definitions, loops
from tests.rig.cluster.api import wait_until
from tests.rig.cluster.csifaults import CsiFaults
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.instance import Instance
from tests.rig.cluster.machine import Machine
from tests.rig.cluster.node import Node
from tests.rig.cluster.progress import say
from tests.rig.cluster.providers import GIVEN, Built, Cluster

NAME = "csi.rig.test"
CLASS = "csi"
LATE_CLASS = "csi-late"  # waits for the first consumer
SNAPSHOT_CLASS = "csi"  # deletes, and is the default
RETAINING_CLASS = "csi-retain"
INSIDE = "/run/rig-shared/csi"
ENDPOINT = f"/var/lib/kubelet/plugins/{NAME}/csi.sock"
REGISTRY = "/var/lib/kubelet/plugins_registry"
SECONDS = 300.0
LINKED = (csibuild.DRIVER, csibuild.PROVISIONER, csibuild.SNAPSHOTTER, csibuild.CONTROLLER)
FAST_CLIENT = ("--kube-api-qps=200", "--kube-api-burst=400")
RETRIES = ("--retry-interval-start=100ms", "--retry-interval-max=2s")
NO_GROUPS = "--feature-gates=CSIVolumeGroupSnapshot=false"  # else it waits 30 s for their kinds
CRDS = tuple(f"{kind}.{csibuild.GROUP}" for kind in csibuild.KINDS)


@contextmanager
def added(cluster: Cluster) -> Iterator[CsiFaults]:
    """Storage of the class `csi` for as long as the block lasts; nothing of it is left then.

    What was made with it must be gone before: claims, snapshots, and pods that use them.
    """
    if not isinstance(cluster.provider, Built):
        raise RigError("a given cluster gets no storage of the rig's", hint=f"unset {GIVEN}")
    known = cluster.provider.instance
    csibuild.ensure()
    try:
        yield start(known, cluster.kubectl)
    finally:
        stop(known, cluster.kubectl)


def start(known: Instance, kubectl: Callable[..., str]) -> CsiFaults:
    """Start it on every node, and return when volumes can be had; one that runs is left alone."""
    csibuild.ensure()
    folder = _folder(known)
    data = folder / "data"
    if data.exists() and all(_registered(kubectl, node.name) for node in known.members()):
        return CsiFaults(data)
    for made in (data, folder / "bin"):
        made.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        _link(csibuild.program(name), folder / "bin" / name)
    (folder / "kubeconfig").touch(mode=0o600)
    shutil.copyfile(known.kubeconfig, folder / "kubeconfig")
    kubectl("apply", "--server-side", "-f", str(csibuild.definitions()))
    definitions.wait_established(kubectl, *CRDS)
    kubectl("apply", "--server-side", "-f", "-", input=json.dumps(_objects()))
    first = known.members()[0].machine
    for machine, service, argv in (
        *((node.machine, csibuild.DRIVER, _driver(node.name)) for node in known.members()),
        (known.control, csibuild.CONTROLLER, _controller()),
        (first, csibuild.PROVISIONER, _provisioner()),
        (first, csibuild.SNAPSHOTTER, _snapshotter()),
    ):
        machine.start(service, argv)
    for node in known.members():
        wait_until(
            lambda name=node.name: _registered(kubectl, name),  # type: ignore[misc]
            f"{NAME} on {node.name}",
            SECONDS,
            lambda machine=node.machine: machine.log(csibuild.DRIVER),  # type: ignore[misc]
        )
    say(f"storage of {NAME} is there")
    return CsiFaults(data)


def stop(known: Instance, kubectl: Callable[..., str]) -> None:
    """Take all of it away; while its programs still run they let go of what they protect.

    A step that fails does not keep the others from being done: its error is raised after them.
    """
    absent = ("--ignore-not-found", "--timeout=300s")
    first = known.members()[0].machine
    attempt(
        lambda: kubectl("delete", "volumesnapshots", "--all", "--all-namespaces", "--timeout=300s"),
        lambda: kubectl("delete", "volumesnapshotcontents", "--all", "--timeout=300s"),
        lambda: _wait_empty(known, kubectl),
        lambda: kubectl("delete", "crd", *CRDS, *absent),
        lambda: definitions.wait_gone(kubectl, *CRDS),
        lambda: kubectl("delete", "storageclass", CLASS, LATE_CLASS, *absent),
        lambda: kubectl("delete", "csidriver", NAME, *absent),
        lambda: _end(first, csibuild.PROVISIONER),
        lambda: _end(first, csibuild.SNAPSHOTTER),
        lambda: _end(known.control, csibuild.CONTROLLER),
        *(partial(_forget, node, kubectl) for node in known.members()),
        lambda: loops.release(known.block_volumes()),
        lambda: shutil.rmtree(_folder(known)),
    )


def attempt(*steps: Callable[[], object]) -> None:
    """Do all steps, one after the other; then raise the first error, the others are its notes."""
    failed: list[RigError | OSError] = []
    for step in steps:
        try:
            step()
        except (RigError, OSError) as error:
            failed.append(error)
    for later in failed[1:]:
        failed[0].add_note(f"then: {later}")
    if failed:
        raise failed[0]


def _wait_empty(known: Instance, kubectl: Callable[..., str]) -> None:
    wait_until(
        lambda: not volumes(kubectl),
        f"no volume of {NAME}",
        SECONDS,
        lambda: f"left: {volumes(kubectl)}; {known.members()[0].machine.log(csibuild.PROVISIONER)}",
    )


def volumes(kubectl: Callable[..., str]) -> list[str]:
    """The names of this driver's PersistentVolumes."""
    found = json.loads(kubectl("get", "pv", "-o", "json"))["items"]
    return [
        one["metadata"]["name"] for one in found if one["spec"].get("csi", {}).get("driver") == NAME
    ]


def _folder(known: Instance) -> Path:
    return known.shared / "csi"


def _link(program: Path, target: Path) -> None:
    """A program of the cache, where all machines see it; the cache may be of another disk."""
    target.unlink(missing_ok=True)
    try:
        os.link(program, target)
    except OSError:
        shutil.copy(program, target)


def _registered(kubectl: Callable[..., str], node: str) -> bool:
    found = json.loads(kubectl("get", "csinodes", "-o", "json"))["items"]
    return any(
        driver["name"] == NAME
        for one in found
        if one["metadata"]["name"] == node
        for driver in one["spec"].get("drivers") or []
    )


def kill_driver(cluster: Cluster) -> None:
    """SIGKILL on every node; the machines start it again, and the sidecars that end with it."""
    if isinstance(cluster.provider, Built):
        for node in cluster.provider.instance.members():
            if pid := node.machine.services()[csibuild.DRIVER]["pid"]:
                node.machine.enter(["kill", "-KILL", str(pid)])


def _end(machine: Machine, service: str) -> None:
    """Stop it, and wait until it is gone: it writes where the next one reads."""
    init, pid = machine.init, machine.services().get(service, {}).get("pid", 0)
    machine.stop(service)
    inside = Path("/proc", str(init.pid if init else 0), "root", "proc", str(pid))
    wait_until(
        lambda: not pid or not inside.exists(),
        f"{service} ended",
        SECONDS,
        lambda: machine.log(service),
    )


def _forget(node: Node, kubectl: Callable[..., str]) -> None:
    """A killed driver leaves its sockets; the kubelet lets go when the one it watches goes."""
    _end(node.machine, csibuild.DRIVER)
    node.machine.enter(["rm", "-f", f"{REGISTRY}/{NAME}-reg.sock", ENDPOINT])
    wait_until(
        lambda: not _registered(kubectl, node.name),
        f"{NAME} gone from {node.name}",
        SECONDS,
        lambda: node.machine.log("kubelet"),
    )


def _driver(node: str) -> Sequence[str]:
    return [
        f"{INSIDE}/bin/{csibuild.DRIVER}",
        f"--name={NAME}",
        f"--node={node}",
        f"--data={INSIDE}/data",
        f"--endpoint={ENDPOINT}",
        f"--registry={REGISTRY}",
    ]


def _provisioner() -> Sequence[str]:
    return [
        f"{INSIDE}/bin/{csibuild.PROVISIONER}",
        f"--kubeconfig={INSIDE}/kubeconfig",
        f"--csi-address={ENDPOINT}",
        "--extra-create-metadata",
        "--timeout=60s",
        "--snapshot-orphan-sweep-interval=1s",  # a deleted snapshot may wait for it
        *RETRIES,
        *FAST_CLIENT,
    ]


def _snapshotter() -> Sequence[str]:
    return [
        f"{INSIDE}/bin/{csibuild.SNAPSHOTTER}",
        f"--kubeconfig={INSIDE}/kubeconfig",
        f"--csi-address={ENDPOINT}",
        "--extra-create-metadata",
        "--timeout=60s",
        NO_GROUPS,
        *RETRIES,
        *FAST_CLIENT,
    ]


def _controller() -> Sequence[str]:
    program = f"{INSIDE}/bin/{csibuild.CONTROLLER}"
    return [program, f"--kubeconfig={INSIDE}/kubeconfig", NO_GROUPS, *RETRIES, *FAST_CLIENT]


def _objects() -> Mapping[str, Any]:
    items = [
        _object("storage.k8s.io/v1", "CSIDriver", NAME)
        | {
            "spec": {
                "attachRequired": False,
                "podInfoOnMount": False,
                "fsGroupPolicy": "File",
                "volumeLifecycleModes": ["Persistent"],
            }
        },
        _storage_class(CLASS, "Immediate"),
        _storage_class(LATE_CLASS, "WaitForFirstConsumer"),
        _snapshot_class(SNAPSHOT_CLASS, "Delete", default=True),
        _snapshot_class(RETAINING_CLASS, "Retain", default=False),
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _object(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _storage_class(name: str, binding: str) -> dict[str, Any]:
    return _object("storage.k8s.io/v1", "StorageClass", name) | {
        "provisioner": NAME,
        "volumeBindingMode": binding,
        "reclaimPolicy": "Delete",
    }


def _snapshot_class(name: str, deletion: str, *, default: bool) -> dict[str, Any]:
    made = _object(f"{csibuild.GROUP}/v1", "VolumeSnapshotClass", name)
    made["metadata"]["annotations"] = {
        "snapshot.storage.kubernetes.io/is-default-class": str(default).lower()
    }
    return made | {"driver": NAME, "deletionPolicy": deletion}
