"""The controller publishes what a real cluster has, over real Git: names, and no value."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.cli.inventoryinput import read_inventory
from reconciler.model.inventory import ClaimTemplate
from tests.cluster.faroff import files
from tests.rig.cluster.providers import Cluster
from tests.rig.policyrepo import PolicyRepository
from tests.rig.servers.sshd import Sshd

OWN = "backstay-inventory"
SHOP = "inventory-shop"
BACKSTAY = Path(sys.executable).parent / "backstay"
BRANCH = "inventory/prod-eu"
APPLICATION = f"""\
apiVersion: v1
kind: Namespace
metadata: {{name: {SHOP}, labels: {{team: a}}, annotations: {{note: hunter2}}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: db, namespace: {SHOP}}}
stringData: {{password: hunter2}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: files, namespace: {SHOP}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: {SHOP}}}
spec:
  replicas: 0
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{{name: db, image: db, env: [{{name: PASSWORD, value: hunter2}}]}}]}}
  volumeClaimTemplates:
    - metadata: {{name: data}}
      spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 2Gi}}}}}}
"""


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[str]:
    """Return a namespace with a claim, a Secret and a StatefulSet."""
    cluster.kubectl("create", "namespace", OWN)
    cluster.kubectl("apply", "-f", "-", input=APPLICATION)
    yield SHOP
    for name in (OWN, SHOP):
        cluster.kubectl("delete", "namespace", name, "--ignore-not-found", "--timeout=300s")


def test_the_branch_has_the_claims_of_the_shop_and_no_secret(
    cluster: Cluster, shop: str, tmp_path: Path
) -> None:
    with Sshd(tmp_path / "sshd", tied=True) as server:
        revision = PolicyRepository(server.create("policies")).push(files("shop"))
        server.create("captures")
        published = server.create("inventory")
        keys = tmp_path / "keys"
        keys.mkdir(mode=0o700)
        for name, data in server.secret().items():
            (keys / name).touch(mode=0o600)
            (keys / name).write_bytes(data)
        git = {"file": str(keys)}
        config = {
            "apiVersion": "backstay.dev/v1alpha1",
            "kind": "Config",
            "cluster": {"name": "prod-eu"},
            "policySource": {"url": server.url("policies"), "path": "policies", **git},
            "manifestStore": {"url": server.url("captures"), **git},
            "inventory": {"url": server.url("inventory"), **git},
            "image": "localhost/backstay-rig/busybox:1",
            "sharedKeyInTenants": True,
        }
        (tmp_path / "backstay.yaml").write_text(yaml.safe_dump(config))
        once = [str(BACKSTAY), "controller", "--once", "--kubeconfig", str(cluster.kubeconfig)]
        for _ in range(2):
            done = subprocess.run(
                once, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=400,
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BACKSTAY_NAMESPACE": OWN},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        assert "hunter2" not in done.stderr

    def show(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=published, capture_output=True, text=True, check=True
        ).stdout

    assert len(show("log", "--format=%s", BRANCH).splitlines()) == 1, "the second wrote nothing"
    assert '"name": "files"' in show("show", f"{BRANCH}:namespaces/{shop}.json")
    paths = show("ls-tree", "-r", "--name-only", BRANCH).splitlines()
    everything = "".join(show("show", f"{BRANCH}:{path}") for path in paths)
    assert "hunter2" not in everything
    assert "PASSWORD" not in everything
    found = read_inventory(str(published), cluster="prod-eu")
    assert found.revision == revision
    assert found.uid == cluster.kubectl(
        "get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"
    )
    (mine,) = (part for part in found.namespaces if part.namespace.name == shop)
    assert mine.namespace.labels["team"] == "a"
    assert mine.namespace.annotations == {}
    assert {(claim.name, claim.size) for claim in mine.claims} == {("files", 2**30)}
    assert mine.templates == (ClaimTemplate(workload="db", name="data", size=2 * 2**30),)
