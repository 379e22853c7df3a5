"""The rig's CSI storage: real claims, snapshots and clones, and each way it can be made to fail."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rig.cluster import csi as storage
from tests.rig.cluster import csibuild, lifecycle, loops, shell
from tests.rig.cluster.csifaults import (
    CREATE_SNAPSHOT,
    CREATE_VOLUME,
    DELETE_SNAPSHOT,
    DELETE_VOLUME,
    CsiFaults,
)
from tests.rig.cluster.images import BUSYBOX
from tests.rig.cluster.providers import Built, Cluster

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

    def until(self, what: str, found: Callable[[dict[str, Any]], object]) -> None:
        """Poll an object until something is found in it."""
        deadline = time.monotonic() + 300
        while not found(self.get(what)):
            assert time.monotonic() < deadline, self.kubectl("describe", what)
            time.sleep(0.1)

    def get(self, what: str) -> dict[str, Any]:
        """One object."""
        found: dict[str, Any] = json.loads(self.kubectl("get", what, "-o", "json"))
        return found


@pytest.fixture(scope="module")
def shop(cluster: Cluster, csi: CsiFaults) -> Iterator[Namespace]:
    """Two claims, a folder and a block device, each with something on it; one snapshot each."""
    assert csi.data.is_dir()
    shop, other = Namespace(cluster, NAMESPACE), Namespace(cluster, OTHER)
    try:
        for space in (shop, other):
            cluster.create_namespace(space.name)
        raw = claim("raw", volumeMode="Block", storageClassName=storage.LATE_CLASS)
        shop.apply(claim("data"), raw)
        write = "echo before > /data/file; printf before | dd of=/dev/raw conv=notrunc 2>&1"
        shop.run(pod("writer", "data", raw="raw"), write)
        shop.apply(snapshot("first", "data"), snapshot("raw", "raw"))
        for each in ("first", "raw"):
            shop.wait(f"volumesnapshot/{each}", READY)
        yield shop
    finally:
        for space in (shop, other):  # a namespace that holds nothing goes at once
            space.kubectl("delete", "pod,volumesnapshot,pvc", "--all", "--timeout=300s")
        gone = ("--ignore-not-found", "--timeout=300s")
        cluster.kubectl("delete", "namespace", NAMESPACE, OTHER, *gone)


def test_claims_of_a_snapshot_have_what_was_then(shop: Namespace) -> None:
    shop.run(pod("later", "data"), "echo after > /data/file")
    block = copied("raw-then", "VolumeSnapshot", "raw", volumeMode="Block")
    shop.apply(copied("then", "VolumeSnapshot", "first"), block)
    read = pod("reader", "then", "data", raw="raw-then")
    said = shop.run(read, "cat /then/file /data/file", "head -c 6 /dev/raw")
    assert said.split() == ["before", "after", "before"]


def test_clone_for_many_readers_takes_no_write(shop: Namespace) -> None:
    shop.apply(copied("clone", "PersistentVolumeClaim", "data", mode="ReadOnlyMany"))
    said = shop.run(pod("cloned", "clone"), "cat /clone/file; touch /clone/file 2>&1 || true")
    assert said.splitlines()[0] in ("before", "after")
    assert "Read-only file system" in said


def test_retained_snapshot_is_read_in_another_namespace(cluster: Cluster, shop: Namespace) -> None:
    bound = shop.get("volumesnapshot/first")["status"]["boundVolumeSnapshotContentName"]
    content = json.loads(cluster.kubectl("get", "volumesnapshotcontent", bound, "-o", "json"))
    spec = {
        "driver": storage.NAME,
        "deletionPolicy": "Retain",
        "source": {"snapshotHandle": content["status"]["snapshotHandle"]},
        "sourceVolumeMode": "Filesystem",
        "volumeSnapshotRef": {"namespace": OTHER, "name": "lent"},
    }
    other = Namespace(cluster, OTHER)
    other.apply(
        named(f"{SNAPSHOTS}/v1", "VolumeSnapshotContent", "lent", spec),
        named(
            f"{SNAPSHOTS}/v1",
            "VolumeSnapshot",
            "lent",
            {"source": {"volumeSnapshotContentName": "lent"}},
        ),
        copied("copy", "VolumeSnapshot", "lent"),
    )
    assert other.run(pod("reader", "copy"), "cat /copy/file") == "before\n"
    other.kubectl("delete", "volumesnapshot", "lent", "--timeout=300s")
    cluster.kubectl("delete", "volumesnapshotcontent", "lent", "--timeout=300s")
    shop.apply(copied("again", "VolumeSnapshot", "first"))
    assert shop.run(pod("reader", "again"), "cat /again/file") == "before\n"


def test_failing_snapshot_says_why_until_it_does_not_fail(csi: CsiFaults, shop: Namespace) -> None:
    with csi.failing(CREATE_SNAPSHOT, f"failed of {NAMESPACE}/data$", message="no space") as fault:
        shop.apply(snapshot("failed", "data"))
        fault.wait(2)  # it is tried again
        shop.until(
            "volumesnapshot/failed",
            lambda found: "no space" in str(found.get("status", {}).get("error")),
        )
    shop.wait("volumesnapshot/failed", READY)


def test_held_and_unready_snapshots_are_ready_when_they_are_let_go(
    csi: CsiFaults, shop: Namespace
) -> None:
    with csi.unready(f"/late of {NAMESPACE}/data$"), csi.held(CREATE_SNAPSHOT, "/held of ") as held:
        shop.apply(snapshot("late", "data"), snapshot("held", "data"))
        shop.until("volumesnapshot/late", lambda found: "creationTime" in found.get("status", {}))
        held.wait()
        for name in ("late", "held"):
            assert not shop.get(f"volumesnapshot/{name}").get("status", {}).get("readyToUse")
    for name in ("late", "held"):
        shop.wait(f"volumesnapshot/{name}", READY)


def test_claim_of_a_snapshot_that_fails_waits(csi: CsiFaults, shop: Namespace) -> None:
    with csi.failing(CREATE_VOLUME, f"from {NAMESPACE}/first", message="no such extent") as fault:
        shop.apply(copied("waiting", "VolumeSnapshot", "first"))
        fault.wait(2)
        assert shop.get("pvc/waiting")["status"]["phase"] == "Pending"
        shop.until("events", lambda found: "no such extent" in json.dumps(found))
    shop.wait("pvc/waiting", "--for=jsonpath={.status.phase}=Bound")


def test_what_can_not_be_deleted_stays(cluster: Cluster, csi: CsiFaults, shop: Namespace) -> None:
    shop.apply(snapshot("kept", "data"), claim("kept"))
    shop.wait("volumesnapshot/kept", READY)
    shop.wait("pvc/kept", "--for=jsonpath={.status.phase}=Bound")
    content = shop.get("volumesnapshot/kept")["status"]["boundVolumeSnapshotContentName"]
    volume = shop.get("pvc/kept")["spec"]["volumeName"]
    with (
        csi.failing(DELETE_SNAPSHOT, "/kept of ", message="busy") as first,
        csi.failing(DELETE_VOLUME, "/kept$", message="busy") as second,
    ):
        shop.kubectl("delete", "--wait=false", "volumesnapshot/kept", "pvc/kept")
        first.wait(2)
        second.wait(2)
        cluster.kubectl("get", f"volumesnapshotcontent/{content}", f"pv/{volume}")
    for what in (f"volumesnapshotcontent/{content}", f"pv/{volume}"):
        cluster.kubectl("wait", "--for=delete", what, "--timeout=300s")


def test_volume_that_was_not_attached_is_empty(csi: CsiFaults, shop: Namespace) -> None:
    shop.apply(copied("missed", "VolumeSnapshot", "first"))
    with csi.emptied(f"{NAMESPACE}/missed from ") as fault:
        assert shop.run(pod("hollow", "missed"), "ls /missed") == ""
        assert fault.wait().node == "node-1"
    assert shop.run(pod("whole", "missed"), "ls /missed") == "file\n"


def test_killed_driver_goes_on_with_what_there_was(
    cluster: Cluster, csi: CsiFaults, shop: Namespace
) -> None:
    shop.apply(copied("open", "VolumeSnapshot", "raw", volumeMode="Block"))
    shop.apply(pod("holding", raw="open"))
    shop.wait("pod/holding", "--for=condition=Ready")
    registered = len(csi.calls("NodeGetInfo"))
    storage.kill_driver(cluster)
    shop.apply(snapshot("after-kill", "data"), copied("after-kill", "VolumeSnapshot", "first"))
    shop.wait("volumesnapshot/after-kill", READY)
    assert shop.run(pod("reader", "after-kill"), "cat /after-kill/file") == "before\n"
    shop.until("pod/holding", lambda _: len(csi.calls("NodeGetInfo")) > registered)
    assert shop.kubectl("exec", "holding", "--", "head", "-c", "6", "/dev/raw") == "before"
    shop.kubectl("delete", "pod", "holding", "--timeout=300s")


# The socket lies where its path is short, however long that of the test's folder is.
SANITY = """
mount -t tmpfs tmpfs /mnt
{driver} --data "$1/data" --endpoint /mnt/csi.sock --node sanity >"$1/log" 2>&1 &
until [ -S /mnt/csi.sock ]; do sleep 0.05; done
{sanity} --csi.endpoint unix:///mnt/csi.sock --csi.testvolumeaccesstype "$2" \
  --csi.mountdir "$1/paths/target" --csi.stagingdir "$1/paths/stage" --ginkgo.no-color
"""


@pytest.mark.parametrize("mode", ["mount", "block"])
def test_driver_passes_the_sanity_suite(csi: CsiFaults, tmp_path: Path, mode: str) -> None:
    assert csi.data.is_dir(), "the programs are built"
    (tmp_path / "paths").mkdir()
    alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    driver, sanity = map(csibuild.program, (csibuild.DRIVER, csibuild.SANITY))
    script = SANITY.format(driver=driver, sanity=sanity)
    said = shell.run([*alone, "sh", "-euc", script, "sh", tmp_path, mode], timeout=1500)
    assert "Ran 53 of 103 Specs" in said, said
    assert "SUCCESS! -- 53 Passed | 0 Failed" in said, said
    left = [
        path
        for kind in ("volumes", "snapshots", "published", "new")
        for path in (tmp_path / "data" / kind).iterdir()
    ]
    assert not left


@pytest.mark.usefixtures("csi")  # builds what it needs, outside of this test's time
def test_any_node_reads_a_volume_and_a_killed_cluster_leaves_no_loop_device() -> None:
    name = f"test-{os.getpid()}-loops"
    try:
        known = lifecycle.up(name, nodes=2)
        second = Cluster(Built(known))
        storage.start(known, second.kubectl)
        default = Namespace(second, "default")
        raw = claim("raw", mode="ReadWriteMany", volumeMode="Block")
        default.apply(claim("data", mode="ReadWriteMany"), raw)
        for node in known.members():
            made = pod(node.name, "data", raw="raw")
            made["spec"]["nodeName"] = node.name
            default.apply(made)
            default.wait(f"pod/{node.name}", "--for=condition=Ready")
        first, other = (["exec", node.name, "--", "sh", "-c"] for node in known.members())
        default.kubectl(*first, "echo folder > /data/file; printf block > /dev/raw")
        assert default.kubectl(*other, "cat /data/file; head -c 5 /dev/raw") == "folder\nblock"
        devices = loops.standing_on(known.block_volumes())
        assert len(devices) == 3, "the driver's, and each kubelet's on top of it"
        for machine in known.machines():
            machine.kill()
    finally:
        lifecycle.down(name)
    deadline = time.monotonic() + 300
    while set(devices) & set(loops.attached()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
