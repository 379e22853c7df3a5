"""The rig's CSI storage: real claims, snapshots and clones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.rig.cluster import csi as storage
from tests.rig.cluster.csifaults import CsiFaults
from tests.rig.cluster.images import BUSYBOX
from tests.rig.cluster.providers import Cluster

SNAPSHOTS = "snapshot.storage.k8s.io"
NAMESPACE = "csi-shop"
OTHER = "csi-other"
READY = "--for=jsonpath={.status.readyToUse}=true"


def named(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object with a spec."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def claim(name: str, *, mode: str = "ReadWriteOnce", **spec: Any) -> dict[str, Any]:
    """A claim of 16 MiB of the class `csi`."""
    size = {"requests": {"storage": "16Mi"}}
    usual = {"accessModes": [mode], "storageClassName": storage.CLASS, "resources": size}
    return named("v1", "PersistentVolumeClaim", name, usual | spec)


def copied(name: str, kind: str, source: str, **spec: Any) -> dict[str, Any]:
    """A claim filled from a snapshot or another claim."""
    group = {"apiGroup": SNAPSHOTS} if kind == "VolumeSnapshot" else {}
    return claim(name, dataSource={**group, "kind": kind, "name": source}, **spec)


def snapshot(name: str, of: str, kind: str = storage.SNAPSHOT_CLASS) -> dict[str, Any]:
    """A snapshot of a claim."""
    source = {"persistentVolumeClaimName": of}
    spec = {"source": source, "volumeSnapshotClassName": kind}
    return named(f"{SNAPSHOTS}/v1", "VolumeSnapshot", name, spec)


def pod(name: str, *claims: str, raw: str = "") -> dict[str, Any]:
    """A pod that does nothing, with claims on /<claim>, and a block volume on /dev/raw."""
    mounts = [{"name": each, "mountPath": f"/{each}"} for each in claims]
    devices = [{"name": raw, "devicePath": "/dev/raw"}] if raw else []
    container = {"name": "it", "image": BUSYBOX, "command": ["sleep", "1000000"]}
    volumes = [
        {"name": each, "persistentVolumeClaim": {"claimName": each}}
        for each in (*claims, *([raw] if raw else []))
    ]
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container | {"volumeMounts": mounts, "volumeDevices": devices}],
        "volumes": volumes,
    }
    return named("v1", "Pod", name, spec)


class Namespace:
    """kubectl in one namespace."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.name = name

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """Run it."""
        return self._cluster.kubectl("-n", self.name, *args, input=stdin)

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create them."""
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))

    def wait(self, what: str, until: str) -> None:
        """For a condition; the limit is for what hangs."""
        self.kubectl("wait", until, what, "--timeout=300s")

    def run(self, made: Mapping[str, Any], *script: str) -> str:
        """Create a pod, run a script in it when it is ready, and delete it."""
        name = made["metadata"]["name"]
        self.apply(made)
        self.wait(f"pod/{name}", "--for=condition=Ready")
        said = self.kubectl("exec", name, "--", "sh", "-c", "; ".join(script))
        self.kubectl("delete", "pod", name, "--timeout=300s")
        return said

    def get(self, what: str) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", what, "-o", "json"))
        return found


@pytest.fixture(scope="module")
def shop(cluster: Cluster, csi: CsiFaults) -> Iterator[Namespace]:
    """Two claims, a folder and a block device, each with something on it; one snapshot each."""
    assert csi.data.is_dir()
    for name in (NAMESPACE, OTHER):
        cluster.kubectl("create", "namespace", name)
    shop = Namespace(cluster, NAMESPACE)
    raw = claim("raw", volumeMode="Block", storageClassName=storage.LATE_CLASS)
    shop.apply(claim("data"), raw)
    write = "echo before > /data/file; printf before | dd of=/dev/raw conv=notrunc 2>&1"
    shop.run(pod("writer", "data", raw="raw"), write)
    shop.apply(snapshot("first", "data"), snapshot("raw", "raw"))
    for each in ("first", "raw"):
        shop.wait(f"volumesnapshot/{each}", READY)
    yield shop
    for name in (NAMESPACE, OTHER):
        cluster.kubectl("delete", "namespace", name, "--timeout=300s")


def test_claims_of_a_snapshot_have_what_was_then(shop: Namespace) -> None:
    shop.run(pod("later", "data"), "echo after > /data/file")
    block = copied("raw-then", "VolumeSnapshot", "raw", volumeMode="Block")
    shop.apply(copied("then", "VolumeSnapshot", "first"), block)
    read = pod("reader", "then", "data", raw="raw-then")
    said = shop.run(read, "cat /then/file /data/file", "head -c 6 /dev/raw")
    assert said.split() == ["before", "after", "before"]
