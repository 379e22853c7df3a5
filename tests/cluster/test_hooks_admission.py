"""What `deploy/components/hooks` lets a run execute, on a real API server: a command, no shell."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.rig.cluster import paths
from tests.rig.cluster.providers import Cluster

COMPONENT = paths.REPOSITORY / "deploy/components/hooks"
KUBECTL = Path(sys.executable).parent / "kubectl"
RUN = "system:serviceaccount:backstay-system:backstay-run"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "app"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "app",
                "image": "localhost/backstay-rig/busybox:1",
                "command": ["sleep", "100000"],
            }
        ],
    },
}
# kubectl itself gets the pod first, and the rest is what somebody bound by mistake.
MISTAKE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "mistake"},
    "rules": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/attach"], "verbs": ["get", "create"]},
    ],
}


@pytest.fixture(scope="module")
def tenant(cluster: Cluster) -> Iterator[str]:
    """Return a namespace with a running pod, in which hooks are bound."""
    name = f"hooked-{uuid.uuid4().hex[:8]}"
    shared = [str(COMPONENT / file) for file in ("rbac.yaml", "admission-hooks.yaml")]
    for file in shared:
        cluster.kubectl("apply", "-f", file)
    cluster.create_namespace(name)
    binding = yaml.safe_load((COMPONENT / "rolebinding.yaml").read_text())
    del binding["metadata"]["namespace"]
    for found in (binding, MISTAKE, POD):
        cluster.kubectl("-n", name, "create", "-f", "-", input=json.dumps(found))
    cluster.kubectl(
        "-n", name, "create", "rolebinding", "mistake", "--role=mistake", f"--user={RUN}"
    )
    cluster.kubectl("-n", name, "wait", "--for=condition=Ready", "pod/app", "--timeout=600s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    for file in shared:
        cluster.kubectl("delete", "-f", file)


def tried(cluster: Cluster, namespace: str, *command: str) -> str:
    """What a kubectl command in a run's name says, refused or not."""
    done = subprocess.run(
        [
            str(KUBECTL), "--kubeconfig", str(cluster.kubeconfig), "-n", namespace,
            f"--as={RUN}", *command,
        ],
        input="", capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_run_executes_commands_and_has_no_shell(cluster: Cluster, tenant: str) -> None:
    # An API server goes by a new policy after a while.
    for _ in range(1000):
        if "no input and no terminal" in tried(cluster, tenant, "exec", "-i", "app", "--", "cat"):
            break
        time.sleep(0.2)
    else:
        pytest.fail("the admission policy never came into force")
    assert tried(cluster, tenant, "exec", "app", "--", "echo", "a  b") == "a  b\n"
    assert "neither attach nor forward" in tried(cluster, tenant, "attach", "app")
    asked = ("auth", "can-i", "create", "pods", "--subresource=exec")
    assert tried(cluster, tenant, *asked).split()[-1] == "yes"
    assert tried(cluster, "default", *asked).split()[-1] == "no"
