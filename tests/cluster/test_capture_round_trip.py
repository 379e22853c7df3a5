"""Create, capture, delete, create again from the captured text, capture: the same bytes.

For every built-in kind that a person can make and for a custom one, on a real API server with its
controllers at work, and with kubectl only: what is in Git needs no help of ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.capture import canonical, fingerprints, quiet, references
from reconciler.model.objects import Resource
from tests.rig.cluster.definitions import wait_established
from tests.rig.cluster.providers import Cluster

NAMESPACE = "round-trip"
IMAGE = "localhost/backstay-rig/busybox:1"
FOLDER = Path(__file__).parent
KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "round-trip")
# kubectl's server-side apply is read as YAML by the API server, which changes such strings.
CONTROL_CHARACTERS = f"{NAMESPACE}/configmap/control-characters.yaml"
STORAGE_CLASS = "_cluster/storageclass.storage.k8s.io/local-path.yaml"


@dataclass
class Tree:
    """What one capture gave, by path."""

    texts: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def to_create(self, path: str) -> str:
        return self.secrets.get(path, self.texts[path]).decode()


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


def capture(client: KubeClient) -> Tree:
    tree, collector = Tree(), references.References([NAMESPACE])
    candidates: dict[str, canonical.Captured] = {}
    # The adapter remembers what is served; a kind that came with a test must be seen.
    for resource in client.discover().resources:
        if quiet.kind_left_out(resource):
            continue
        if resource.namespaced or references.is_candidate(resource):
            for found in _captured(client, resource, collector, tree):
                if resource.namespaced:
                    tree.texts[found.path] = found.text
                    if found.secret:
                        tree.secrets[found.path] = found.secret
                else:
                    candidates[found.path] = found
    for ref, why in collector.wanted().items():
        tree.why[str(ref)] = why
    for path, found in candidates.items():
        manifest = canonical.read_manifest(found.text)
        if any(
            ref.kind == manifest["kind"] and ref.name == manifest["metadata"]["name"]
            for ref in collector.wanted()
        ):
            tree.texts[path] = found.text
    return tree


def _captured(
    client: KubeClient, resource: Resource, collector: references.References, tree: Tree
) -> Iterator[canonical.Captured]:
    namespace = NAMESPACE if resource.namespaced else ""
    for page in client.pages(resource, namespace=namespace):
        for raw in page:
            collector.observe(resource, raw)
            found = canonical.capture_object(raw, resource, fingerprint_key=KEY)
            if isinstance(found, canonical.Captured):
                yield found
            elif resource.namespaced:
                tree.left_out[f"{resource}/{raw['metadata']['name']}"] = found.reason


@pytest.fixture
def application(cluster: Cluster) -> Iterator[None]:
    """One of everything, settled; gone afterwards."""
    wipe(cluster)
    server = cluster.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    address = ".".join([*server.strip().split(".")[:3], "77"])
    objects = (FOLDER / "round-trip.yaml").read_text()
    cluster.kubectl("create", "-f", str(FOLDER / "round-trip-cluster.yaml"))
    wait_established(cluster.kubectl, "widgets.round-trip.example.org")
    cluster.kubectl("create", "namespace", NAMESPACE)
    filled = objects.replace("IMAGE", IMAGE).replace("CLUSTER_IP", address)
    cluster.kubectl("-n", NAMESPACE, "create", "-f", "-", input=filled)
    settle(cluster)
    cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/web")
    debug = ("debug", "bare", "--image", IMAGE, "--", "sleep", "1")
    cluster.kubectl("-n", NAMESPACE, *debug)
    settle(cluster)
    yield
    wipe(cluster)


def settle(cluster: Cluster) -> None:
    for workload in ("deployment/web", "statefulset/store", "daemonset/everywhere"):
        cluster.kubectl("-n", NAMESPACE, "rollout", "status", workload, "--timeout=300s")
    ready = ("pod/bare", "--for=condition=Ready", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", *ready)
    ended = ("job/ended", "--for=condition=Complete", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", *ended)
    ended = ("pod/ended", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", *ended)
    bound = ("pvc/data", "pvc/static", "--for=jsonpath={.status.phase}=Bound", "--timeout=300s")
    cluster.kubectl("-n", NAMESPACE, "wait", *bound)


def wipe(cluster: Cluster) -> None:
    """Also after a test that failed half-way."""
    gone = ("--ignore-not-found", "--timeout=300s")
    found = cluster.kubectl("get", "crd", "widgets.round-trip.example.org", "--ignore-not-found")
    if found and NAMESPACE in cluster.kubectl("get", "widgets", "-A", "--ignore-not-found"):
        free = '{"metadata":{"finalizers":null}}'
        patch = ("patch", "widget/one", "--type=merge", "-p", free)
        cluster.kubectl("-n", NAMESPACE, *patch)
    cluster.kubectl("delete", "namespace", NAMESPACE, *gone)
    cluster.kubectl("delete", "-f", str(FOLDER / "round-trip-cluster.yaml"), *gone)


def is_dynamic(text: bytes) -> bool:
    return b"pv.kubernetes.io/provisioned-by" in text


def rank(path: str) -> tuple[bool, ...]:
    """What others need comes first."""
    first = ("_cluster/customresource", "_cluster/namespace", "_cluster/", "/serviceaccount/")
    return tuple(part not in path for part in first)


def create_again(cluster: Cluster, tree: Tree, how: str) -> None:
    order = sorted((path for path in tree.texts if not is_dynamic(tree.texts[path])), key=rank)
    definitions = [path for path in order if "customresourcedefinition" in path]
    namespaces = [path for path in order if path.startswith("_cluster/namespace")]
    # Made with its namespace by the cluster, and the rig's own.
    there = (f"{NAMESPACE}/serviceaccount/default.yaml", STORAGE_CLASS)
    rest = [path for path in order if path not in (*definitions, *namespaces, *there)]
    verb = ("apply", "--server-side") if how == "apply" else ("create",)
    for paths in (definitions, namespaces):
        text = "---\n".join(map(tree.to_create, paths))
        cluster.kubectl(*verb, "-f", "-", input=text)
    wait_established(cluster.kubectl, "widgets.round-trip.example.org")
    if how == "apply":
        rest.remove(CONTROL_CHARACTERS)
        cluster.kubectl("create", "-f", "-", input=tree.to_create(CONTROL_CHARACTERS))
    cluster.kubectl(*verb, "-f", "-", input="\n---\n".join(map(tree.to_create, rest)))


def not_covered(client: KubeClient, tree: Tree) -> list[str]:
    """Namespaced built-in kinds that nothing in the tree is of."""
    captured = {path.split("/")[1] for path in tree.texts}
    return [
        resource.folder
        for resource in client.discover().resources
        if resource.namespaced
        and "example.org" not in resource.group
        and quiet.kind_left_out(resource) is None
        and resource.folder not in captured
    ]


@pytest.mark.usefixtures("application")
@pytest.mark.parametrize("how", ["create", "apply"])
def test_what_is_created_from_a_capture_is_captured_alike(
    cluster: Cluster, client: KubeClient, how: str
) -> None:
    before = capture(client)
    time.sleep(3)
    assert capture(client).texts == before.texts, "nobody changed anything"
    text = b"".join(before.texts.values())
    assert b"round-trip-marker" not in text
    assert b"cm91bmQtdHJpcC1tYXJrZXI" not in text, "nor in base64"

    wipe(cluster)
    create_again(cluster, before, how)
    settle(cluster)
    after = capture(client)

    names = before.texts.keys() | after.texts.keys()
    different = {
        name: (before.texts.get(name, b"").decode(), after.texts.get(name, b"").decode())
        for name in names
        if before.texts.get(name) != after.texts.get(name)
        and not is_dynamic(before.texts.get(name, b"") + after.texts.get(name, b""))
    }
    assert different == {}
    assert len(before.texts) > 50
    assert b"captured-completed: " in before.texts[f"{NAMESPACE}/job.batch/ended.yaml"]
    assert b"captured-phase: Succeeded" in before.texts[f"{NAMESPACE}/pod/ended.yaml"]
    assert {"namespace/round-trip", "priorityclass.scheduling.k8s.io/round-trip"} <= set(before.why)
    assert set(before.why.values()) >= {"selected", "calls service round-trip/plain"}
    assert not_covered(client, before) == [], "add an object of this kind to round-trip.yaml"
