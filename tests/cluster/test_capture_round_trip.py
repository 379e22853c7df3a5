"""Create, capture, delete, create again from the captured text, capture: the same bytes.

For every built-in kind that the API server serves and for custom ones of every form, on a real API
server with its controllers at work, and with kubectl only: what is in Git needs no help of ours.
A kind that is served, and is neither here nor left out for a reason, fails: a new Kubernetes
breaks this test, and not a restore.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from reconciler.adapters.kube import KubeClient
from reconciler.capture import quiet
from reconciler.capture.canonical import read_manifest
from tests.cluster import roundtrips
from tests.cluster.roundtrips import GONE, NAMESPACE, Tree, capture, capture_made
from tests.cluster.unequal import UNEQUAL
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Cluster

IMAGE = "localhost/backstay-rig/busybox:1"
NAMESPACED = "round-trip.yaml"
KINDS = ("round-trip-cluster.yaml", "round-trip-kinds.yaml")
APPLY = ("apply", "--server-side")
UNEVEN = "round-trip-uneven.yaml"
CONTROL_CHARACTERS = f"{NAMESPACE}/configmap/control-characters.yaml"
ONE_KEY_TWICE = f"{NAMESPACE}/podtemplate/one-key-twice.yaml"
"""Two that server-side apply takes not at all, or not as they are."""
STORAGE_CLASS = "_cluster/storageclass.storage.k8s.io/local-path.yaml"


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


@pytest.fixture
def application(cluster: Cluster) -> Iterator[None]:
    """One of everything that lives in a namespace, settled; gone afterwards."""
    wipe(cluster)
    server = cluster.kubectl("get", "service", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    address = ".".join([*server.strip().split(".")[:3], "77"])
    objects = (roundtrips.FOLDER / NAMESPACED).read_text()
    roundtrips.create(cluster, "round-trip-cluster.yaml")
    cluster.create_namespace(NAMESPACE)
    filled = objects.replace("IMAGE", IMAGE).replace("CLUSTER_IP", address)
    cluster.kubectl("-n", NAMESPACE, "create", "-f", "-", input=filled)
    settle(cluster)
    cluster.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/web")
    debug = ("debug", "bare", "--image", IMAGE, "--", "sleep", "1")
    cluster.kubectl("-n", NAMESPACE, *debug)
    settle(cluster)
    yield
    wipe(cluster)


@pytest.fixture
def kinds(cluster: Cluster, client: KubeClient) -> Iterator[None]:
    """One of every cluster-scoped kind, and custom resources of every form; gone afterwards."""
    wipe(cluster)
    cluster.kubectl("create", "namespace", NAMESPACE)
    for file in KINDS:
        roundtrips.create(cluster, file)
    roundtrips.wait_served(client, *KINDS)
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
    roundtrips.free(cluster, "widgets.round-trip.example.org", "one")
    cluster.kubectl("delete", "namespace", NAMESPACE, *GONE)
    take_away(cluster)


def take_away(cluster: Cluster) -> None:
    """All that has no namespace, and custom resources with their definitions."""
    roundtrips.free(cluster, "wilds.round-trip.example.org", "wild-one.v1")
    roundtrips.delete(cluster, *KINDS, UNEVEN)


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
    verb = APPLY if how == "apply" else ("create",)
    roundtrips.apply_definitions(cluster, tree.of(definitions), *verb)
    for path in namespaces:
        cluster.kubectl(*verb, "-f", "-", input=tree.to_create(path))
    cluster.wait_for_account(NAMESPACE)
    if how == "apply":
        for path in {CONTROL_CHARACTERS, ONE_KEY_TWICE} & {*rest}:
            rest.remove(path)
            cluster.kubectl("create", "-f", "-", input=tree.to_create(path))
    cluster.kubectl(*verb, "-f", "-", input=tree.of(rest))


def not_covered(client: KubeClient, tree: Tree, *, namespaced: bool) -> list[str]:
    """Built-in kinds that nothing in the tree is of, and that are not left out for a reason.

    All that can be listed: what cannot, such as a TokenReview, is a question and kept nowhere.
    """
    captured = {path.split("/")[1] for path in tree.texts}
    served = client.discover().resources
    (definitions,) = (kind for kind in served if kind.kind == "CustomResourceDefinition")
    defined = {
        (raw["spec"]["group"], raw["spec"]["names"]["kind"])
        for page in client.pages(definitions)
        for raw in page
    }
    return [
        resource.folder
        for resource in served
        if resource.namespaced is namespaced
        and roundtrips.is_built_in(resource.group)
        and (resource.group, resource.kind) not in defined
        and quiet.kind_left_out(resource) is None
        and resource.folder not in captured
    ]


@pytest.mark.usefixtures("application")
def test_what_is_created_from_a_capture_is_captured_alike(
    cluster: Cluster, client: KubeClient
) -> None:
    roundtrips.wait_served(client, NAMESPACED)
    before = capture(client)
    time.sleep(3)
    assert capture(client).texts == before.texts, "nobody changed anything"
    text = b"".join(before.texts.values())
    assert b"round-trip-marker" not in text
    assert b"cm91bmQtdHJpcC1tYXJrZXI" not in text, "nor in base64"
    assert len(before.texts) > 50
    assert b"captured-completed: " in before.texts[f"{NAMESPACE}/job.batch/ended.yaml"]
    assert b"captured-phase: Succeeded" in before.texts[f"{NAMESPACE}/pod/ended.yaml"]
    assert {"namespace/round-trip", "priorityclass.scheduling.k8s.io/round-trip"} <= set(before.why)
    assert set(before.why.values()) >= {"selected", "calls service round-trip/plain"}
    left = not_covered(client, before, namespaced=True)
    assert left == [], "add an object of this kind to round-trip.yaml"

    for how in ("apply", "create"):
        wipe(cluster)
        create_again(cluster, before, how)
        settle(cluster)
        roundtrips.wait_served(client, NAMESPACED)
        after = capture(client)
        different = before.different(after)
        made = {path for path in different if is_dynamic("".join(different[path]).encode())}
        assert {path: both for path, both in different.items() if path not in made} == {}
        # The old ones are gone, the new ones have other names.
        assert made, UNEQUAL["dynamic volume"]
        assert all("" in different[path] for path in made), UNEQUAL["dynamic volume"]


@pytest.mark.usefixtures("kinds")
def test_cluster_scoped_kinds_and_custom_resources_are_applied_alike(
    cluster: Cluster, client: KubeClient
) -> None:
    before = capture_made(client, KINDS)
    left = not_covered(client, before, namespaced=False)
    assert left == ["namespace"], "add an object of this kind to round-trip-kinds.yaml"
    made = sum(1 for file in KINDS for _ in roundtrips.objects_of(file))
    assert len(before.texts) == made, "each of them, once"
    kept = [one["metadata"]["finalizers"] for one in map(read_manifest, before.texts.values())
            if "finalizers" in one["metadata"]]  # fmt: skip
    assert kept == [["example.org/mine"]], "that of a person, and none of a controller"

    take_away(cluster)
    create_again(cluster, before, "apply")
    roundtrips.wait_served(client, *KINDS)
    assert before.different(capture_made(client, KINDS)) == {}
    look_at_uneven(cluster, client)


def look_at_uneven(cluster: Cluster, client: KubeClient) -> None:
    """What does not come back the same is what the documentation names."""
    control, twice, stored = (
        f"{NAMESPACE}/{path}.yaml"
        for path in ("configmap/uneven", "podtemplate/uneven", "uneven.round-trip.example.org/one")
    )
    roundtrips.create(cluster, UNEVEN)
    roundtrips.wait_served(client, UNEVEN)
    before = capture_made(client, [UNEVEN])
    assert before.texts.keys() > {control, twice, stored}
    roundtrips.delete(cluster, UNEVEN)

    for path, message, why in (
        (twice, "duplicate entries for key", UNEQUAL["one key twice"]),
        (control, "control characters are not allowed", UNEQUAL["control characters"]),
    ):
        with pytest.raises(RigError, match=message):
            cluster.kubectl(*APPLY, "-f", "-", input=before.to_create(path))
        cluster.kubectl("create", "-f", "-", input=before.to_create(path))
        assert capture_made(client, [UNEVEN]).texts[path] == before.texts[path], why
    text = before.texts[stored]
    assert b"both: b" in text
    assert b"old: " not in text, UNEQUAL["another version's fields"]
