"""Runs over a cluster in which nobody changes anything: each commit touches the record only.

Meanwhile the cluster is as busy as ever: leases, both old ways to elect a leader, an autoscaler,
Jobs of a CronJob, a pod that restarts, certificates, Events, finished rollouts. Then somebody does
something, and the difference of two runs is what a person would call it. It is the run's own code,
with the real API server and its controllers; Git and restic are the fakes, and no pod of a run is
started.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube import KubeClient
from tests.cluster.fakeruns import Runs
from tests.cluster.roundtrips import wait_calm
from tests.rig.cluster.providers import Cluster

NAMESPACE = "quiet"
RUNS = 20
IMAGE = "localhost/backstay-rig/busybox:1"
SIGNER = "kubernetes.io/kube-apiserver-client"
LEADER = "control-plane.alpha.kubernetes.io/leader"
RECORD = {"_run.yaml"}
SCALED = [
    "quiet/deployment.apps/web spec.replicas",
    "quiet/horizontalpodautoscaler.autoscaling/web spec.minReplicas",
]
ROLLED_OUT = [
    "quiet/deployment.apps/web spec.template.spec.containers[name=c].env[name=COLOUR].value",
]
RENEWED = ["quiet/secret/web-tls data[tls.crt]", "quiet/secret/web-tls data[tls.key]"]
DRAINED = ["removed quiet/pod/bare"]
Object = dict[str, Any]


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


@pytest.fixture(scope="module")
def runs(cluster: Cluster, client: KubeClient) -> Iterator[Runs]:
    """The application with a rollout that is finished; gone afterwards."""
    wipe(cluster)
    wait_calm(client)
    objects = (Path(__file__).parent / "quiet.yaml").read_text().replace("IMAGE", IMAGE)
    cluster.create_namespace(NAMESPACE)
    cluster.kubectl("apply", "-f", "-", input=objects)
    roll_out(cluster, "green")
    ready = ("pod/bare", "--for=condition=Ready", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", *ready)
    yield Runs(client, NAMESPACE)
    wipe(cluster)


def wipe(cluster: Cluster) -> None:
    gone = ("--ignore-not-found", "--timeout=300s")
    cluster.kubectl("delete", "namespace", NAMESPACE, *gone)
    cluster.kubectl("delete", "csr", "-l", f"round={NAMESPACE}", *gone)


def roll_out(cluster: Cluster, colour: str) -> None:
    cluster.kubectl("-n", NAMESPACE, "set", "env", "deployment/web", f"COLOUR={colour}")
    done = ("rollout", "status", "deployment/web", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, *done)


def certificate_request() -> str:
    """PEM, of a key that nobody keeps."""
    argv = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null"]
    made = subprocess.run([*argv, "-subj", "/CN=quiet"], capture_output=True, check=True)
    return base64.b64encode(made.stdout).decode()


def elect(client: KubeClient, number: int) -> None:
    """A leader renews what it holds, in each of the ways there have been."""
    now = f"2026-11-22T00:00:{number:02d}"
    held = {LEADER: json.dumps({"holderIdentity": "me", "renewTime": f"{now}Z"})}
    for kind in ("ConfigMap", "Endpoints"):
        client.apply(named("v1", kind, "leader", annotations=held))
    spec = {"holderIdentity": "me", "renewTime": f"{now}.000000Z"}
    client.apply({**named("coordination.k8s.io/v1", "Lease", "leader"), "spec": spec})


def tell(client: KubeClient, number: int) -> None:
    """One more Event."""
    about = {"apiVersion": "v1", "kind": "Pod", "name": "bare", "namespace": NAMESPACE}
    event = named("v1", "Event", f"quiet-{number}")
    said = {"involvedObject": about, "reason": "Tested", "message": "still here", "type": "Normal"}
    client.create(event | said)


def ask_for_a_certificate(cluster: Cluster, client: KubeClient, number: int, pem: str) -> None:
    """It is approved and signed by the cluster."""
    name = f"quiet-{number}"
    spec = {"request": pem, "signerName": SIGNER, "usages": ["client auth"]}
    request = named("certificates.k8s.io/v1", "CertificateSigningRequest", name)
    request["metadata"] = {"name": name, "labels": {"round": NAMESPACE}}
    client.create({**request, "spec": spec})
    cluster.kubectl("certificate", "approve", name)
    issued = ("--for=jsonpath={.status.certificate}", "--timeout=300s")
    cluster.kubectl("wait", f"csr/{name}", *issued)


def named(version: str, kind: str, name: str, **metadata: Any) -> Object:
    placed = {"name": name, "namespace": NAMESPACE, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": placed}


def test_twenty_runs_over_a_busy_cluster_touch_the_record_only(
    cluster: Cluster, client: KubeClient, runs: Runs
) -> None:
    elect(client, 0)
    pem = certificate_request()
    before = versions(cluster)
    commits = [runs.run()]
    for number in range(1, RUNS):
        elect(client, number)
        tell(client, number)
        if number % 5 == 0:
            ask_for_a_certificate(cluster, client, number, pem)
        time.sleep(1)
        commits.append(runs.run())
    after = versions(cluster)
    pairs = itertools.pairwise(commits)
    assert {path for old, new in pairs for path in runs.touched(old, new)} == RECORD
    assert len(set(commits)) == RUNS
    # It was busy: kinds of which objects came, or were written.
    busy = {kind for kind in after if after[kind] - before.get(kind, set())}
    assert busy >= {"Lease", "ConfigMap", "Endpoints", "Event", "CertificateSigningRequest"}


def versions(cluster: Cluster) -> dict[str, set[str]]:
    """Kind → uid and version of each object there."""
    kinds = "leases,configmaps,endpoints,events,csr,horizontalpodautoscalers,pods,jobs"
    found: dict[str, set[str]] = {}
    for one in json.loads(cluster.kubectl("-n", NAMESPACE, "get", kinds, "-o", "json"))["items"]:
        known = one["metadata"]["uid"] + one["metadata"]["resourceVersion"]
        found.setdefault(one["kind"], set()).add(known)
    return found


def test_a_rollout_a_scale_a_renewal_and_a_drain_are_told_as_such(
    cluster: Cluster, runs: Runs
) -> None:
    """By a person, the autoscaler, whoever renews certificates, and the node's administrator."""
    first = runs.run()
    roll_out(cluster, "red")
    rolled_out = runs.run()
    assert runs.difference(first, rolled_out) == ROLLED_OUT

    patch = ("--type=merge", "-p", '{"spec":{"minReplicas":2}}')
    cluster.kubectl("-n", NAMESPACE, "patch", "hpa/web", *patch)
    grown = ("--for=jsonpath={.spec.replicas}=2", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", "deployment/web", *grown)
    scaled = runs.run()
    assert runs.difference(rolled_out, scaled) == SCALED

    renewed = '{"data":{"tls.crt":"c2Vjb25k","tls.key":"c2Vjb25kIGtleQ=="}}'
    cluster.kubectl("-n", NAMESPACE, "patch", "secret/web-tls", "--type=merge", "-p", renewed)
    certified = runs.run()
    assert runs.difference(scaled, certified) == RENEWED

    place = ("get", "pod/bare", "-o", "jsonpath={.spec.nodeName}")
    node = cluster.kubectl("-n", NAMESPACE, *place).strip()
    try:
        how = ("--pod-selector=round=quiet", "--force", "--timeout=300s")
        cluster.kubectl("drain", node, *how)
        drained = runs.run()
    finally:
        cluster.kubectl("uncordon", node)
    assert runs.difference(certified, drained) == DRAINED
    assert runs.touched(certified, drained) == {"quiet/pod/bare.yaml", *RECORD}
