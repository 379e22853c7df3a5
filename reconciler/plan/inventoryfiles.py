"""An `Inventory` as files of a branch, and back. Pure; the format is docs/inventory.md.

Promises: equal inventories give equal bytes, a namespace that did not change gives the file that
it gave before, and reading gives `published` back. What does not fit is an error with its file and
line, never a guess: a plan made from half an inventory would say that protection is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model import naming
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.errors import InvalidInput, Problem
from reconciler.model.inventory import (
    ClaimTemplate,
    Inventory,
    NamespaceInventory,
    PointDigest,
    SnapshotClass,
    StorageClass,
)
from reconciler.model.run import Outcome
from reconciler.plan import jsonplaces as js
from reconciler.plan.jsonplaces import Node

VERSION = 1
HEAD = "inventory.json"
NAMESPACES = "namespaces"
POINTS = "points"
MOST_FILES = 50_000
"""Files of a branch that are read: ten times the largest cluster that Backstay is measured with."""
LARGEST = 16 * 2**20
"""Bytes of a file that are read; the largest that is written has a sixth of it."""
MOST_POINTS = 2000
"""Recovery points per policy: a point an hour for twelve weeks, one a day for five years."""
MOST_NAMES = 50_000
"""Names of namespaces and claims in the points of one policy, each content counted once."""

_SUFFIX = ".json"
_LONGEST = 200
# As in the manifest store: a name that Windows takes for a device is written with its first letter
# encoded, so that the branch can be checked out everywhere.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyPoints:
    """The points file of one policy, oldest first."""

    policy: str
    tip: str = ""
    """The commit of the policy's branch up to which all records were read."""
    older: int = 0
    points: tuple[PointDigest, ...] = ()


def published(inventory: Inventory) -> Inventory:
    """What of it is written down: no uids but the cluster's own, no pods, nodes or user ids.

    A pod that uses a claim is told by its workload; of the annotations only the one that allows
    movers to run as root is kept.
    """
    return replace(
        inventory,
        taken=inventory.taken.replace(microsecond=0) if inventory.taken else None,
        namespaces=tuple(map(_published, inventory.namespaces)),
    )


def _published(part: NamespaceInventory) -> NamespaceInventory:
    found = part.namespace
    allowed = {naming.PRIVILEGED_MOVERS: "true"} if found.privileged_movers else {}
    names = {claim.name for claim in part.claims}
    workloads = {claim: what for claim, what in part.workloads.items() if claim in names}
    return replace(
        part,
        namespace=replace(found, annotations=allowed, uid=""),
        claims=tuple(replace(claim, uid="", restoring="") for claim in part.claims),
        workloads=workloads,
        users={claim: ClaimUser(pod=what, node="") for claim, what in workloads.items()},
    )


def render_inventory(inventory: Inventory) -> dict[str, bytes]:
    """Path → content: the head and a file per namespace. Points are `render_points`'."""
    files = {HEAD: render_head(inventory)}
    files.update(map(render_namespace, inventory.namespaces))
    return files


def namespace_path(name: str) -> str:
    """``namespaces/shop.json``."""
    return f"{NAMESPACES}/{_file(name)}"


def points_path(policy: str) -> str:
    """``points/shop.json``."""
    return f"{POINTS}/{_file(policy)}"


def _file(name: str) -> str:
    if _DEVICE.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return naming.cut(name, _LONGEST) + _SUFFIX


def render_head(inventory: Inventory) -> bytes:
    """The file that says whose inventory it is, when it was taken, and which classes there are."""
    return js.render(
        {
            "formatVersion": VERSION,
            "cluster": inventory.cluster,
            "uid": inventory.uid,
            "labels": dict(sorted(inventory.labels.items())),
            "ownNamespace": inventory.own_namespace,
            "revision": inventory.revision,
            "taken": inventory.taken.strftime(js.TIME) if inventory.taken else None,
            "namespaces": len(inventory.namespaces),
            "storageClasses": [
                _filled(name=one.name, provisioner=one.provisioner, default=one.default)
                for one in inventory.storage_classes
            ],
            "snapshotClasses": [
                _filled(name=one.name, driver=one.driver, default=one.default)
                for one in inventory.snapshot_classes
            ],
        }
    )


def render_namespace(part: NamespaceInventory) -> tuple[str, bytes]:
    """Path and content of the file of one namespace."""
    data = js.render(
        {
            "namespace": part.namespace.name,
            "labels": dict(sorted(part.namespace.labels.items())),
            "privilegedMovers": part.namespace.privileged_movers,
            "terminating": part.namespace.terminating,
            "claims": [_claim(claim, part.workloads) for claim in part.claims],
            "claimTemplates": [
                _filled(
                    workload=one.workload,
                    name=one.name,
                    storageClass=one.storage_class,
                    size=one.size,
                    replicas=one.replicas,
                )
                for one in part.templates
            ],
        }
    )
    return namespace_path(part.namespace.name), data


def _claim(claim: Claim, workloads: Mapping[str, str]) -> dict[str, Any]:
    return _filled(
        name=claim.name,
        storageClass=claim.storage_class,
        size=claim.size,
        phase=claim.phase,
        volumeMode="" if claim.volume_mode == "Filesystem" else claim.volume_mode,
        accessModes=list(claim.access_modes),
        terminating=claim.terminating,
        workload=workloads.get(claim.name, ""),
    )


def _filled(**fields: Any) -> dict[str, Any]:
    """Without what is empty or false; 0 stays."""
    return {
        key: value for key, value in fields.items() if value is not False and value not in ("", [])
    }


def render_points(found: PolicyPoints) -> bytes:
    """The points file of one policy: what runs held stands once, however many held the same."""
    contents: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    listed = []
    for point in found.points:
        content = _content(point)
        index = known.setdefault(repr(content), len(contents))
        if index == len(contents):
            contents.append(content)
        listed.append(
            {
                "run": point.run,
                "started": point.started.strftime(js.TIME),
                "outcome": point.outcome.value,
                "content": index,
            }
        )
    return js.render(
        {
            "policy": found.policy,
            "tip": found.tip,
            "older": found.older,
            "contents": contents,
            "points": listed,
        }
    )


def _content(point: PointDigest) -> dict[str, Any]:
    return {
        name: _filled(outcome=outcome.value, claims=sorted(point.claims.get(name, ())))
        for name, outcome in sorted(point.namespaces.items())
    }


def bound(found: PolicyPoints) -> PolicyPoints:
    """The newest points that a file may hold; the others are counted in ``older``."""
    kept = 0
    names = 0
    known = set[str]()
    for point in reversed(found.points[-MOST_POINTS:]):
        content = repr(_content(point))
        if content not in known:
            known.add(content)
            names += len(point.namespaces) + sum(map(len, point.claims.values()))
        if names > MOST_NAMES and kept:
            break
        kept += 1
    left_out = len(found.points) - kept
    return replace(found, older=found.older + left_out, points=found.points[left_out:])


def parse_inventory(files: Mapping[str, bytes], *, where: str = "") -> Inventory:
    """The inventory in the files of a branch; ``where`` stands before each path in messages.

    Raises InvalidInput with file and line for what does not fit: also for a file that an inventory
    does not have, and where one is missing.
    """
    head = files.get(HEAD)
    if head is None:
        raise _misfit(where + HEAD, "is not there", "is this the branch of an inventory?")
    found, count = read_head(head, where=where)
    parts = []
    points: list[PolicyPoints] = []
    for path in sorted(files):
        if path.startswith(f"{NAMESPACES}/"):
            parts.append(read_namespace(path, files[path], where=where))
        elif path.startswith(f"{POINTS}/"):
            points.append(read_points(path, files[path], where=where))
        elif path != HEAD:
            raise _misfit(where + path, "is no file of an inventory")
    if len(parts) != count:
        raise _misfit(
            where + HEAD, f"names {count} namespaces, and the branch has files of {len(parts)}"
        )
    return with_points(
        replace(found, namespaces=tuple(sorted(parts, key=lambda part: part.namespace.name))),
        points,
    )


def with_points(inventory: Inventory, found: Iterable[PolicyPoints]) -> Inventory:
    """The inventory with these points in place of its own."""
    files = sorted(found, key=lambda one: one.policy)
    points = [point for one in files for point in one.points]
    return replace(
        inventory,
        points=tuple(sorted(points, key=lambda point: (point.started, point.policy, point.run))),
        older_points={one.policy: one.older for one in files if one.older},
    )


def check_paths(paths: Iterable[str], *, where: str = "") -> None:
    """Raises InvalidInput where a branch has more files than any inventory: before it is read."""
    count = sum(1 for _ in paths)
    if count > MOST_FILES:
        raise _misfit(where + HEAD, f"lies among {count} files; {MOST_FILES} are read at most")


def _misfit(file: str, message: str, hint: str = "") -> InvalidInput:
    hint = hint or "the controller writes this branch; look who else did: git log"
    return InvalidInput(
        [Problem(file=file, line=1, column=1, message=message, hint=hint)], hint=hint
    )


def _reading(where: str, path: str, data: bytes, read: Any) -> Any:
    if len(data) > LARGEST:
        raise _misfit(where + path, f"has {len(data)} bytes; {LARGEST} are read at most")
    return js.reading(where + path, data, read)


def read_head(data: bytes, *, where: str = "") -> tuple[Inventory, int]:
    """The head file without its namespaces, and how many there are."""
    found: tuple[Inventory, int] = _reading(where, HEAD, data, _head)
    return found


def _head(node: Node) -> tuple[Inventory, int]:
    version = node.number("formatVersion")
    if version != VERSION:
        node.fail(
            "formatVersion",
            f"is format {version}, and this version of Backstay reads {VERSION}",
            "read it with the version that the cluster runs",
        )
    inventory = Inventory(
        cluster=node.text("cluster", js.NAMESPACE),
        uid=node.text("uid", js.UID, ""),
        labels=node.mapping("labels", js.LABEL_KEY, js.LABEL_VALUE),
        own_namespace=node.text("ownNamespace", js.NAMESPACE),
        revision=node.text("revision", js.REVISION, ""),
        taken=node.time("taken") if node.has("taken") else None,
        storage_classes=_unique(node, "storageClasses", node.each("storageClasses", _storage)),
        snapshot_classes=_unique(node, "snapshotClasses", node.each("snapshotClasses", _snapshot)),
    )
    return inventory, node.number("namespaces")


def _storage(node: Node) -> StorageClass:
    return StorageClass(
        name=node.text("name", js.NAME),
        provisioner=node.text("provisioner", js.DRIVER, ""),
        default=node.flag("default"),
    )


def _snapshot(node: Node) -> SnapshotClass:
    return SnapshotClass(
        name=node.text("name", js.NAME),
        driver=node.text("driver", js.DRIVER, ""),
        default=node.flag("default"),
    )


def _unique(node: Node, key: str, found: tuple[Any, ...]) -> tuple[Any, ...]:
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        node.fail(key, "has one name twice")
    return found


def read_namespace(path: str, data: bytes, *, where: str = "") -> NamespaceInventory:
    """The file of one namespace."""

    def read(node: Node) -> NamespaceInventory:
        name = node.text("namespace", js.NAMESPACE)
        if path != namespace_path(name):
            node.fail("namespace", f"is {name}, which has the file {namespace_path(name)}")
        workloads: dict[str, str] = {}

        def claim(item: Node) -> Claim:
            return _read_claim(item, name, workloads)

        allowed = {naming.PRIVILEGED_MOVERS: "true"} if node.flag("privilegedMovers") else {}
        return NamespaceInventory(
            namespace=Namespace(
                name=name,
                labels=node.mapping("labels", js.LABEL_KEY, js.LABEL_VALUE),
                annotations=allowed,
                terminating=node.flag("terminating"),
            ),
            claims=_unique(node, "claims", node.each("claims", claim)),
            workloads=workloads,
            users={name: ClaimUser(pod=what, node="") for name, what in workloads.items()},
            templates=node.each("claimTemplates", _template),
        )

    found: NamespaceInventory = _reading(where, path, data, read)
    return found


def _read_claim(node: Node, namespace: str, workloads: dict[str, str]) -> Claim:
    name = node.text("name", js.NAME)
    if workload := node.text("workload", js.WORKLOAD, ""):
        workloads[name] = workload
    return Claim(
        namespace=namespace,
        name=name,
        storage_class=node.text("storageClass", js.NAME, ""),
        size=node.number("size"),
        phase=node.text("phase", js.OWN_WORD, ""),
        volume_mode=node.text("volumeMode", js.OWN_WORD, "Filesystem"),
        access_modes=node.texts("accessModes", js.OWN_WORD),
        terminating=node.flag("terminating"),
    )


def _template(node: Node) -> ClaimTemplate:
    return ClaimTemplate(
        workload=node.text("workload", js.NAME),
        name=node.text("name", js.NAME),
        storage_class=node.text("storageClass", js.NAME, ""),
        size=node.number("size"),
        replicas=node.number("replicas"),
    )


def read_points(path: str, data: bytes, *, where: str = "") -> PolicyPoints:
    """The points file of one policy."""

    def read(node: Node) -> PolicyPoints:
        policy = node.text("policy", js.NAME)
        if path != points_path(policy):
            node.fail("policy", f"is {policy}, which has the file {points_path(policy)}")
        contents = node.each("contents", _read_content)

        def point(item: Node) -> PointDigest:
            return _read_point(item, policy, contents)

        return PolicyPoints(
            policy=policy,
            tip=node.text("tip", js.SHA, ""),
            older=node.number("older"),
            points=node.each("points", point),
        )

    found: PolicyPoints = _reading(where, path, data, read)
    return found


Content = tuple[dict[str, Outcome], dict[str, tuple[str, ...]]]


def _read_content(node: Node) -> Content:
    outcomes: dict[str, Outcome] = {}
    claims: dict[str, tuple[str, ...]] = {}
    for name, part in node.named(js.NAMESPACE):
        outcomes[name] = _outcome(part)
        if held := part.texts("claims", js.NAME):
            claims[name] = held
        part.end()
    return outcomes, claims


def _outcome(node: Node) -> Outcome:
    text = node.text("outcome", js.OWN_WORD)
    try:
        return Outcome(text)
    except ValueError:
        node.fail("outcome", "must be one of " + ", ".join(Outcome))


def _read_point(node: Node, policy: str, contents: tuple[Content, ...]) -> PointDigest:
    index = node.number("content")
    if index >= len(contents):
        node.fail("content", f"is {index}, and there are {len(contents)} contents")
    outcomes, claims = contents[index]
    return PointDigest(
        policy=policy,
        run=node.text("run", js.NAME),
        started=node.time("started"),
        outcome=_outcome(node),
        namespaces=outcomes,
        claims=claims,
    )
