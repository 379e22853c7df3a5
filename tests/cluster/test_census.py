"""What a real API server serves against what a run captured: every difference has its reason.

The census is kubectl's own; the reasons are those of the record. No pod runs for it.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.kube import KubeClient
from reconciler.capture import paths
from reconciler.engine import capturing, observe
from reconciler.engine.capturing import CapturedTree
from reconciler.engine.runplan import RunPlan
from reconciler.model.cluster import Discovery
from reconciler.model.errors import NotServed
from reconciler.model.objects import Resource, folder_of
from reconciler.model.policy import ClusterScoped, ObjectSelector
from reconciler.model.run import LeftOutCount
from reconciler.plan.selection import SelectedNamespace, Selection
from tests.fakes.gitstore import FakeManifestStore
from tests.rig.cluster.definitions import wait_established
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Built, Cluster
from tests.rig.proxies.api import ApiProxy
from tests.rig.proxies.rules import Answer
from tests.unit.engine.run_world import RunWorld

NAMESPACES = ("census", "kube-system")
SERVED_TWICE = {"event.events.k8s.io"}
"""The same objects as in the core group."""
OBJECTS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: counted.census.example.org}
spec:
  group: census.example.org
  names: {kind: Counted, plural: counted, listKind: CountedList}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: census}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: census}
value: 7
---
apiVersion: v1
kind: Namespace
metadata: {name: census}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: census, labels: {tier: gold}}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: census}
stringData: {password: census-password}
"""

Served = dict[str, set[tuple[str, str]]]
"""Folder → (namespace, name) of each object."""


@pytest.fixture(scope="module")
def client(cluster: Cluster) -> Iterator[KubeClient]:
    """Return the adapter on the rig's cluster."""
    client = KubeClient.connect(cluster.kubeconfig, version="test")
    yield client
    client.close()


@pytest.fixture(scope="module", autouse=True)
def counted(cluster: Cluster) -> Iterator[None]:
    """Make objects of several kinds; leave nothing behind."""
    cluster.kubectl("apply", "-f", "-", input=OBJECTS)
    wait_established(cluster.kubectl, "counted.census.example.org")
    one = {"apiVersion": "census.example.org/v1", "kind": "Counted", "metadata": {"name": "one"}}
    cluster.kubectl("apply", "-f", "-", input=json.dumps(one))
    yield
    gone = ("--ignore-not-found", "--timeout=300s")
    cluster.kubectl("delete", "-f", "-", *gone, input=OBJECTS)


@dataclass(frozen=True)
class Captured:
    """A capture of `NAMESPACES` into an empty tree."""

    tree: CapturedTree
    files: set[str]
    commit: str


def capture(
    client: KubeClient,
    objects: ObjectSelector,
    store: FakeManifestStore | None = None,
    parent: str | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Captured:
    """By the run's own code, without movers, Git and restic, on top of ``parent``.

    ``meanwhile`` is done when the kinds are known and nothing is listed yet.
    """
    world = RunWorld()
    selector = replace(world.policy.selector, objects=objects)
    world.policy = replace(world.policy, selector=selector)
    known = observe.observe_namespaces(client)
    chosen = tuple(SelectedNamespace(one, "named") for one in known if one.name in NAMESPACES)
    store = store or FakeManifestStore()
    clock = SystemClock()
    commit = store.begin("clusters/census/census", parent)
    tree = capturing.capture(
        world.request(deadline=datetime.now(UTC) + timedelta(minutes=10)),
        world.ports(reader=Meanwhile(client, meanwhile), store=store, clock=clock),
        RunPlan(Selection(chosen), {}, len(known)),
        commit,
        parent,
        b"k" * 32,
    )
    sha = commit.finish("census", when=clock.now())
    return Captured(tree, set(store.tree(sha)), sha)


class Meanwhile:
    """The same reader; something happens after its first discovery."""

    def __init__(self, client: KubeClient, then: Callable[[], object]) -> None:
        self._client = client
        self._then: Callable[[], object] | None = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def discover(self) -> Discovery:
        """As ever, and then."""
        found = self._client.discover()
        then, self._then = self._then, None
        if then is not None:
            then()
        return found


def census(cluster: Cluster) -> Served:
    """All objects of all kinds that can be listed, as kubectl finds them."""
    served: Served = {}
    for scope in ("true", "false"):
        listing = ("api-resources", f"--namespaced={scope}", "--verbs=list", "-o", "name")
        names = sorted(cluster.kubectl(*listing).split())
        found = json.loads(cluster.kubectl("get", ",".join(names), "-A", "-o", "json"))
        for raw in found["items"]:
            group = raw["apiVersion"].rpartition("/")[0]
            metadata = raw["metadata"]
            where = (metadata.get("namespace", ""), metadata["name"])
            served.setdefault(folder_of(group, raw["kind"]), set()).add(where)
    return served


def in_files(files: Iterable[str]) -> Served:
    """The same from a tree."""
    found: Served = {}
    for path in files:
        location = paths.parse_path(path)
        assert location is not None
        assert location.name is not None
        found.setdefault(location.folder, set()).add((location.namespace, location.name))
    return found


def unexplained(served: Served, got: Captured) -> dict[str, list[tuple[str, str]]]:
    """What is not in the tree, and of which the record doesn't say why."""
    kinds = {found.kind for found in got.tree.left_out_kinds} | SERVED_TWICE
    counted: Counter[tuple[str, str]] = Counter()
    parts: dict[str, tuple[LeftOutCount, ...]] = {"": got.tree.cluster_scoped.left_out}
    parts |= {name: part.left_out for name, part in got.tree.namespaces.items()}
    for part, left_out in parts.items():
        for one in left_out:
            counted[part, one.kind] += one.count
    captured = in_files(got.files)
    left: dict[str, list[tuple[str, str]]] = {}
    for folder, objects in served.items():
        for part in ("", *NAMESPACES):
            missing = {one for one in objects if one[0] == part} - captured.get(folder, set())
            if missing and folder not in kinds and len(missing) != counted[part, folder]:
                left[folder] = sorted(missing)
    return left


def test_all_means_all_but_for_what_the_record_explains(
    cluster: Cluster, client: KubeClient
) -> None:
    """Objects come and go by themselves: a look that was disturbed is not the last one."""
    for attempt in range(1, 21):
        before = census(cluster)
        got = capture(client, ObjectSelector(cluster_scoped=ClusterScoped.ALL))
        left = unexplained(before, got)
        if not left or attempt == 20:
            break
        time.sleep(2)
    assert left == {}
    assert got.tree.gaps == ()
    captured = in_files(got.files)
    for folder, name in (
        ("counted.census.example.org", "one"),
        ("clusterrole.rbac.authorization.k8s.io", "census"),
        ("priorityclass.scheduling.k8s.io", "census"),
        ("customresourcedefinition.apiextensions.k8s.io", "counted.census.example.org"),
        ("namespace", "census"),
    ):
        assert ("", name) in captured[folder]
    assert {("census", "settings")} <= captured["configmap"]
    # What is there for nobody but the API server itself is left out by a reason, not by a gap.
    reasons = {one.reason for one in got.tree.cluster_scoped.left_out}
    assert reasons >= {
        "made by the API server, which keeps it as it is",
        "selector.namespaces does not select it",
    }


def test_less_than_all_is_less_by_the_policys_own_words(
    cluster: Cluster, client: KubeClient
) -> None:
    before = client.requests["GET"]
    whole = capture(client, ObjectSelector())
    asked = client.requests["GET"] - before
    referenced = {path for path in whole.files if path.startswith("_cluster/")}
    assert "_cluster/namespace/census.yaml" in referenced
    assert "_cluster/clusterrole.rbac.authorization.k8s.io/census.yaml" not in referenced
    kinds = {one.kind: one.reason for one in whole.tree.left_out_kinds}
    assert "no way is known" in kinds["counted.census.example.org"]

    before = client.requests["GET"]
    narrow = capture(
        client,
        ObjectSelector(
            match_labels={"tier": "gold"},
            include=("configmaps", "secret"),
            cluster_scoped=ClusterScoped.NONE,
        ),
    )
    assert client.requests["GET"] - before < asked / 3
    assert narrow.files == {
        "_cluster/namespace/census.yaml",
        "_cluster/namespace/kube-system.yaml",
        "census/configmap/settings.yaml",
    }
    left = {(one.kind, one.reason) for one in narrow.tree.namespaces["census"].left_out}
    assert ("secret", "selector.objects.matchLabels: tier=gold") in left
    assert narrow.tree.gaps == ()


WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.census.example.org}
spec:
  group: census.example.org
  names: {kind: Widget, plural: widgets, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
WIDGET = {
    "apiVersion": "census.example.org/v1",
    "kind": "Widget",
    "metadata": {"name": "one", "namespace": "census"},
}
KIND = Resource(
    group="census.example.org", version="v1", kind="Widget", plural="widgets", namespaced=True
)
JSON = {"Content-Type": "application/json"}
NOBODY = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.nobody.census.example.org"},
    "spec": {
        "group": "nobody.census.example.org",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 10,
        "insecureSkipTLSVerify": True,
        "service": {"name": "nobody", "namespace": "default"},
    },
}
WIDGET_FILES = {
    "census/widget.census.example.org/one.yaml",
    "_cluster/customresourcedefinition.apiextensions.k8s.io/widgets.census.example.org.yaml",
}


def until(holds: Callable[[], bool]) -> None:
    """Wait for the API server's own discovery."""
    for _ in range(1500):
        if holds():
            return
        time.sleep(0.2)
    raise AssertionError("it did not come true within five minutes")


def make_widgets(cluster: Cluster, client: KubeClient) -> None:
    """Define the kind, make one, and wait until everybody can know of it."""
    cluster.kubectl("apply", "-f", "-", input=WIDGETS)
    wait_established(cluster.kubectl, "widgets.census.example.org")
    until(lambda: any(one.kind == "Widget" for one in client.discover().resources))
    cluster.kubectl("apply", "-f", "-", input=json.dumps(WIDGET))


def take_widgets_away(cluster: Cluster, client: KubeClient) -> None:
    """Delete the definition, and wait until a list of the kind says that it is gone."""
    crd = "crd/widgets.census.example.org"
    cluster.kubectl("delete", crd, "--ignore-not-found", "--timeout=300s")

    def is_gone() -> bool:
        try:
            list(client.pages(KIND, namespace="census"))
        except NotServed:
            return True
        return False

    until(is_gone)


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[ApiProxy]:
    """In front of the API server."""
    if not isinstance(cluster.provider, Built):
        raise RigError("only the rig's own cluster has an authority that we can sign with")
    with ApiProxy.of(cluster.provider.instance, tmp_path) as made:
        yield made


def test_i2_a_group_that_discovery_leaves_out_is_a_gap(
    cluster: Cluster, client: KubeClient, proxy: ApiProxy
) -> None:
    """The API server's own answer without the group: nobody says that something failed."""
    behind = KubeClient.connect(proxy.kubeconfig(cluster), version="test")
    store = FakeManifestStore()
    told = json.loads(cluster.kubectl("get", "--raw", "/apis"))
    left = [group for group in told["groups"] if group["name"] != KIND.group]
    without = Answer(200, json.dumps({**told, "groups": left}).encode(), JSON)
    try:
        make_widgets(cluster, client)
        before = capture(client, ObjectSelector(), store)
        assert before.files >= WIDGET_FILES
        assert before.tree.gaps == ()
        with proxy.rule("GET", r"/apis$", without, times=0):
            after = capture(behind, ObjectSelector(), store, before.commit)
        assert [gap.group for gap in after.tree.gaps] == [KIND.group]
        assert (
            after.tree.gaps[0].reason == "its definition is there, and discovery does not name it"
        )
        assert after.files >= WIDGET_FILES
    finally:
        behind.close()
        take_widgets_away(cluster, client)


def test_i2_definitions_that_come_and_go_and_a_server_that_is_down(
    cluster: Cluster, client: KubeClient
) -> None:
    store = FakeManifestStore()
    gone = ("--ignore-not-found", "--timeout=300s")
    try:
        came = capture(
            client, ObjectSelector(), store, meanwhile=lambda: make_widgets(cluster, client)
        )
        assert came.files >= WIDGET_FILES
        assert came.tree.gaps == ()

        cluster.kubectl("apply", "-f", "-", input=json.dumps(NOBODY))
        until(lambda: bool(client.discover().failed))
        went = capture(
            client,
            ObjectSelector(),
            store,
            came.commit,
            meanwhile=lambda: take_widgets_away(cluster, client),
        )
        assert {gap.group for gap in went.tree.gaps} == {
            "nobody.census.example.org", "census.example.org",
        }  # fmt: skip
        assert went.files >= WIDGET_FILES
        # Nobody takes anything of the group that does not answer: then it is no gap.
        calm = ObjectSelector(exclude=("*.nobody.census.example.org",))
        until(lambda: not any(one.kind == "Widget" for one in client.discover().resources))
        after = capture(client, calm, store, went.commit)
        assert after.tree.gaps == ()
        assert not after.files & WIDGET_FILES
    finally:
        cluster.kubectl("delete", "-f", "-", *gone, input=json.dumps(NOBODY))
        cluster.kubectl("delete", "-f", "-", *gone, input=WIDGETS)
        until(lambda: not client.discover().failed)
