"""CSI volumes on a fake cluster: what snapshot-controller, provisioner and driver would do.

As real ones it keeps finalizers: a snapshot's content goes by its own policy, a content that is
`Delete` takes the storage's snapshot with it, and a claim stays while there is a pod that mounts
it, even one that has ended.
"""

from __future__ import annotations

from typing import Any

from reconciler.model import kinds
from tests.fakes.cluster import FakeCluster

Raw = dict[str, Any]
SNAPSHOT_CLASS = "fast"
STORAGE_CLASS = "csi"
DRIVER = "csi.example.org"
CUT = "2026-11-21T04:17:04Z"


class FakeSnapshots:
    """``work`` is one turn of all of them."""

    def __init__(self, cluster: FakeCluster, *, policy: str = "Delete", restore_size: str = "1Gi"):
        self._cluster = cluster
        self._policy = policy
        self._size = restore_size
        self.ready = True
        """Whether snapshots become ready."""
        self.error = ""
        """What one that is not ready says."""
        self.bind = True
        """Whether claims are bound as soon as they can be."""
        self.handles: dict[str, str] = {}
        """The storage's own snapshots: handle → ``namespace/claim`` that it is of."""
        self.volumes: dict[str, str] = {}
        """Uid of a claim that was made from something → what is on it, as in `handles`."""
        self.order: list[str] = []
        """What was removed, in its order."""
        for found in (kinds.SNAPSHOTS, kinds.SNAPSHOT_CONTENTS, kinds.SNAPSHOT_CLASSES):
            cluster.serve(found)

    def work(self) -> None:
        """One turn."""
        for raw in self._cluster.all("VolumeSnapshot"):
            self._snapshot(raw)
        for raw in self._cluster.all("VolumeSnapshotContent"):
            self._content(raw)
        for raw in self._cluster.all("PersistentVolumeClaim"):
            self._claim(raw)

    def left(self) -> list[str]:
        """Everything that somebody would have to clean up."""
        found = [
            f"{kind} {raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"
            for kind in ("VolumeSnapshot", "VolumeSnapshotContent", "PersistentVolumeClaim")
            for raw in self._cluster.all(kind)
            if kind != "PersistentVolumeClaim" or "dataSource" in raw.get("spec", {})
        ]
        return [*found, *(f"handle {name}" for name in self.handles)]

    def _snapshot(self, raw: Raw) -> None:
        source = raw["spec"]["source"]
        content = self._named(raw)
        if "deletionTimestamp" in raw["metadata"]:
            if content and "persistentVolumeClaimName" in source:
                self._end_content(content)
            self._end(raw)
            return
        if not raw["metadata"].get("finalizers"):
            self._hold(raw)
        if "persistentVolumeClaimName" in source:
            self._take(raw, source["persistentVolumeClaimName"])
        elif content is not None:
            self._bind(raw, content)

    def _take(self, raw: Raw, claim: str) -> None:
        metadata = raw["metadata"]
        name, handle = f"snapcontent-{metadata['uid']}", f"snap-{metadata['uid']}"
        if self._named(raw) is None:
            self.handles[handle] = f"{metadata['namespace']}/{claim}"
            self._cluster.put(
                {
                    "apiVersion": kinds.SNAPSHOT_CONTENTS.api_version,
                    "kind": "VolumeSnapshotContent",
                    "metadata": {"name": name, "finalizers": ["bound"]},
                    "spec": {
                        "deletionPolicy": self._policy,
                        "driver": DRIVER,
                        "source": {"volumeHandle": f"vol-{claim}"},
                        "sourceVolumeMode": "Filesystem",
                        "volumeSnapshotClassName": raw["spec"]["volumeSnapshotClassName"],
                        "volumeSnapshotRef": {
                            key: metadata[key] for key in ("name", "namespace", "uid")
                        },
                    },
                    "status": {"snapshotHandle": handle},
                },
                manager="controller",
            )
        status: Raw = {"boundVolumeSnapshotContentName": name, "readyToUse": self.ready}
        if self.ready:
            status |= {"creationTime": CUT, "restoreSize": self._size}
        elif self.error:
            status["error"] = {"message": self.error}
        self._cluster.edit(raw, lambda found: found.update(status=status))

    def _bind(self, raw: Raw, content: Raw) -> None:
        spec = content["spec"]
        ref = spec["volumeSnapshotRef"]
        metadata = raw["metadata"]
        if (ref["name"], ref["namespace"]) != (metadata["name"], metadata["namespace"]):
            return
        ready = spec["source"].get("snapshotHandle") in self.handles
        status = {"boundVolumeSnapshotContentName": content["metadata"]["name"]}
        self._cluster.edit(raw, lambda found: found.update(status={**status, "readyToUse": ready}))

        def bound(found: Raw) -> None:
            found["spec"]["volumeSnapshotRef"]["uid"] = metadata["uid"]
            found["metadata"]["finalizers"] = ["bound"]

        self._cluster.edit(content, bound)

    def _content(self, raw: Raw) -> None:
        if "deletionTimestamp" not in raw["metadata"]:
            return
        ref = raw["spec"]["volumeSnapshotRef"]
        there = {one["metadata"]["uid"] for one in self._cluster.all("VolumeSnapshot")}
        if ref.get("uid") not in there:
            self._end_content(raw)

    def _end_content(self, raw: Raw) -> None:
        """By its policy, as it is now."""
        if raw["spec"]["deletionPolicy"] == "Delete":
            self.handles.pop(_handle(raw), None)
            self._end(raw)
        elif "deletionTimestamp" in raw["metadata"]:
            self._end(raw)

    def _claim(self, raw: Raw) -> None:
        metadata, source = raw["metadata"], raw.get("spec", {}).get("dataSource")
        if "deletionTimestamp" in metadata:
            if not self._mounted(raw):
                self.volumes.pop(metadata["uid"], None)
                self._end(raw)
            return
        if source is None or not self.bind or metadata.get("finalizers"):
            return
        place = metadata["namespace"]
        if source["kind"] == "PersistentVolumeClaim":
            self.volumes[metadata["uid"]] = f"{place}/{source['name']}"
        else:
            snapshot = self._cluster.get(kinds.SNAPSHOTS, source["name"], namespace=place)
            content = self._named(snapshot) if snapshot else None
            handle = _handle(content) if content else None
            if handle not in self.handles:
                return
            self.volumes[metadata["uid"]] = self.handles[handle]
        self._hold(raw)
        self._cluster.edit(raw, lambda found: found.update(status={"phase": "Bound"}))

    def _mounted(self, raw: Raw) -> bool:
        place, name = raw["metadata"]["namespace"], raw["metadata"]["name"]
        return any(
            pod["metadata"]["namespace"] == place
            and any(
                (volume.get("persistentVolumeClaim") or {}).get("claimName") == name
                for volume in (pod.get("spec") or {}).get("volumes", ())
            )
            for pod in self._cluster.all("Pod")
        )

    def _named(self, raw: Raw) -> Raw | None:
        source = raw["spec"]["source"]
        bound = (raw.get("status") or {}).get("boundVolumeSnapshotContentName")
        name = source.get("volumeSnapshotContentName") or bound
        return self._cluster.get(kinds.SNAPSHOT_CONTENTS, name) if name else None

    def _hold(self, raw: Raw) -> None:
        self._cluster.edit(raw, lambda found: found["metadata"].update(finalizers=["bound"]))

    def _end(self, raw: Raw) -> None:
        place = raw["metadata"].get("namespace", "")
        self.order.append(f"{raw['kind']} {place}".strip())
        self._cluster.remove(raw)


def _handle(content: Raw) -> str:
    given = content["spec"]["source"].get("snapshotHandle")
    return str(given or content["status"]["snapshotHandle"])
