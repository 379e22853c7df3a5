"""What `deploy/components/copies` lets a run do to claims and pods, on a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rig.cluster import paths
from tests.rig.cluster.providers import Cluster

COMPONENT = paths.REPOSITORY / "deploy/components/copies"
KUBECTL = Path(sys.executable).parent / "kubectl"
RUN = "system:serviceaccount:backstay-system:backstay-run"
ONLY_OURS = "may only write claims"
NO_VOLUME = "a claim of Backstay's own is made from a snapshot"
COPY = {"backstay.dev/component": "copy"}
OF_DATA = {"kind": "PersistentVolumeClaim", "name": "data"}


def claim(name: str, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A claim of no storage class: no volume is ever made for it."""
    resources = {"requests": {"storage": "1Mi"}}
    usual = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {**usual, **spec},
    }


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    """Return a namespace with a claim of somebody's, in a cluster with the component."""
    name = f"copied-{uuid.uuid4().hex[:8]}"
    files = [str(COMPONENT / file) for file in ("rbac.yaml", "admission-copies.yaml")]
    for file in files:
        cluster.kubectl("apply", "-f", file)
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("-n", name, "create", "-f", "-", input=json.dumps(claim("data")))
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    for file in files:
        cluster.kubectl("delete", "-f", file)


def tried(cluster: Cluster, namespace: str, *command: str, made: object = None) -> str:
    """What a kubectl command in a run's name says, refused or not."""
    done = subprocess.run(
        [
            str(KUBECTL), "--kubeconfig", str(cluster.kubeconfig), "-n", namespace,
            f"--as={RUN}", *command,
        ],
        input=json.dumps(made) if made else "",
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_run_writes_copies_of_claims_and_no_others(cluster: Cluster, tenant: str) -> None:
    def run(*command: str, made: object = None) -> str:
        return tried(cluster, tenant, *command, made=made)

    def create(name: str, labels: dict[str, str] | None = None, **spec: Any) -> str:
        return run("create", "-f", "-", made=claim(name, labels, **spec))

    # An API server goes by a new policy, and by new rights, after a while.
    for _ in range(1000):
        if ONLY_OURS in run("delete", "pvc", "data", "--dry-run=server"):
            break
        time.sleep(0.2)
    else:
        pytest.fail("the admission policy never came into force")
    assert ONLY_OURS in create("theirs", dataSource=OF_DATA)
    assert ONLY_OURS in create("theirs", {"backstay.dev/component": "mover"}, dataSource=OF_DATA)
    mark = json.dumps({"metadata": {"labels": COPY}})
    assert ONLY_OURS in run("patch", "pvc", "data", "--type=merge", "-p", mark)
    assert NO_VOLUME in create("bare", COPY)
    assert NO_VOLUME in create("bound", COPY, dataSource=OF_DATA, volumeName="somebodys")
    assert "created" in create("copy", COPY, dataSource=OF_DATA)
    # Kubernetes takes a volume's name once, as long as a claim is not bound.
    later = json.dumps({"spec": {"volumeName": "somebodys"}})
    assert NO_VOLUME in run("patch", "pvc", "copy", "--type=merge", "-p", later)
    noted = json.dumps({"metadata": {"annotations": {"note": "x"}}})
    assert "patched" in run("patch", "pvc", "copy", "--type=merge", "-p", noted)
    assert "deleted" in run("delete", "pvc", "copy", "--wait=false")
