"""What the round trips share: one capture as a mapping, and the objects that are made for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reconciler.adapters.kube import KubeClient
from reconciler.capture import canonical, fingerprints, quiet, references
from reconciler.model.errors import NotServed
from reconciler.model.objects import Resource
from tests.rig.cluster.definitions import PAUSE, SECONDS, wait_established
from tests.rig.cluster.errors import RigError
from tests.rig.cluster.providers import Cluster

NAMESPACE = "round-trip"
FOLDER = Path(__file__).parent
KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "round-trip")
BETWEEN = "\n---\n"
DEFINITION = "kind: CustomResourceDefinition\n"
DEFINITIONS = "customresourcedefinition.apiextensions.k8s.io"
GONE = ("--ignore-not-found", "--timeout=300s")


@dataclass
class Tree:
    """What one capture gave, by path."""

    texts: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def to_create(self, path: str) -> str:
        return self.secrets.get(path, self.texts[path]).decode()

    def different(self, other: Tree) -> dict[str, tuple[str, str]]:
        """By path: what stands here, and there."""
        return {
            path: (self.texts.get(path, b"").decode(), other.texts.get(path, b"").decode())
            for path in sorted(self.texts.keys() | other.texts.keys())
            if self.texts.get(path) != other.texts.get(path)
        }

    def of(self, paths: Iterable[str]) -> str:
        """These as one text for kubectl."""
        return BETWEEN.join(map(self.to_create, paths))


def capture(client: KubeClient) -> Tree:
    """The namespace and what it refers to, as a run captures it by default."""
    tree, collector = Tree(), references.References([NAMESPACE])
    candidates: dict[str, canonical.Captured] = {}
    # The adapter remembers what is served; a kind that came with a test must be seen.
    for resource in client.discover().resources:
        if quiet.kind_left_out(resource):
            continue
        if resource.namespaced or references.is_candidate(resource):
            for found in _captured(client, resource, collector, tree):
                if resource.namespaced:
                    _put(tree, found)
                else:
                    candidates[found.path] = found
    for ref, why in collector.wanted().items():
        tree.why[str(ref)] = why
    for found in candidates.values():
        manifest = canonical.read_manifest(found.text)
        if any(
            ref.kind == manifest["kind"] and ref.name == manifest["metadata"]["name"]
            for ref in collector.wanted()
        ):
            _put(tree, found)
    return tree


def capture_made(client: KubeClient, files: Iterable[str]) -> Tree:
    """The objects of these files that have no namespace, or the one of the round trips."""
    tree, nothing = Tree(), references.References(())
    names = {(one["kind"], one["metadata"]["name"]) for file in files for one in objects_of(file)}
    for resource in client.discover().resources:
        if quiet.kind_left_out(resource) is None:
            for found in _captured(client, resource, nothing, tree):
                manifest = canonical.read_manifest(found.text)
                if (manifest["kind"], manifest["metadata"]["name"]) in names:
                    _put(tree, found)
    return tree


def _put(tree: Tree, found: canonical.Captured) -> None:
    tree.texts[found.path] = found.text
    if found.secret:
        tree.secrets[found.path] = found.secret


def _captured(
    client: KubeClient, resource: Resource, collector: references.References, tree: Tree
) -> Iterator[canonical.Captured]:
    namespace = NAMESPACE if resource.namespaced else ""
    for raw in _listed(client, resource, namespace):
        collector.observe(resource, raw)
        found = canonical.capture_object(raw, resource, fingerprint_key=KEY)
        if isinstance(found, canonical.Captured):
            yield found
        elif resource.namespaced:
            tree.left_out[f"{resource}/{raw['metadata']['name']}"] = found.reason


def _listed(client: KubeClient, resource: Resource, namespace: str) -> list[dict[str, Any]]:
    """None of a kind whose definition has just gone: discovery may name it still."""
    try:
        return [raw for page in client.pages(resource, namespace=namespace) for raw in page]
    except NotServed:
        return []


def wait_served(client: KubeClient, *files: str) -> None:
    """Until discovery tells every kind of these objects: it is later than a definition's status."""
    wanted = {(str(one["apiVersion"]).rpartition("/")[0], str(one["kind"]))
              for file in files for one in objects_of(file)}  # fmt: skip
    until(lambda: wanted <= {(one.group, one.kind) for one in client.discover().resources})


def wait_calm(client: KubeClient) -> None:
    """Until discovery names no kind whose definition is gone, and no group that fails."""

    def is_calm() -> bool:
        found = client.discover()
        (definitions,) = (kind for kind in found.resources if kind.folder == DEFINITIONS)
        defined = {raw["spec"]["group"] for page in client.pages(definitions) for raw in page}
        custom = {kind.group for kind in found.resources if not is_built_in(kind.group)}
        return not found.failed and custom <= defined

    until(is_calm)


def is_built_in(group: str) -> bool:
    """By its name: definitions in groups of Kubernetes' own count as built in."""
    return "." not in group or group.endswith(".k8s.io")


def until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        if time.monotonic() > until:
            raise RigError(f"it did not come true within {SECONDS:.0f} s")
        time.sleep(PAUSE)


def parts(file: str) -> list[str]:
    """The documents of a file of this folder, as they stand there."""
    return (FOLDER / file).read_text().split(BETWEEN)


def objects_of(file: str) -> Iterator[dict[str, Any]]:
    """The objects of a file; for their kinds and names only."""
    yield from yaml.safe_load_all((FOLDER / file).read_text())


def create(cluster: Cluster, file: str) -> None:
    """All objects of a file, definitions first."""
    definitions = [part for part in parts(file) if DEFINITION in part]
    apply_definitions(cluster, BETWEEN.join(definitions), "create")
    others = [part for part in parts(file) if DEFINITION not in part]
    cluster.kubectl("create", "-f", "-", input=BETWEEN.join(others))


def apply_definitions(cluster: Cluster, text: str, *verb: str) -> None:
    """Until they are served."""
    named = cluster.kubectl(*verb, "-f", "-", "-o", "name", input=text).split()
    wait_established(cluster.kubectl, *(name.partition("/")[2] for name in named))


def delete(cluster: Cluster, *files: str) -> None:
    """What is there of the files; custom resources go with their definitions."""
    there = [part for file in files for part in parts(file) if not _is_custom(part)]
    cluster.kubectl("delete", "-f", "-", *GONE, input=BETWEEN.join(there))


def _is_custom(part: str) -> bool:
    """Without its definition its kind can't be named."""
    return "\napiVersion: round-trip.example.org/" in f"\n{part}"


def free(cluster: Cluster, kind: str, name: str) -> None:
    """Take the finalizers of a custom resource away, if it is there."""
    if not cluster.kubectl("get", "crd", kind, "--ignore-not-found"):
        return
    where = ("-n", NAMESPACE, kind, name)
    if cluster.kubectl("get", *where, "--ignore-not-found"):
        patch = ("--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        cluster.kubectl("patch", *where, *patch)
