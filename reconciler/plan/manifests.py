"""Manifests that are not deployed yet → the inventory of a cluster that has only them. Pure.

Nothing is expected of an object's shape: whoever wrote it may have made a mistake, or meant harm.
What manifests can't tell is said in notes, never guessed in silence: labels of namespaces that
others make, names that are filled in later, and what controllers of other kinds will make.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.model import naming
from reconciler.model.cluster import Claim, ClaimUser, Namespace
from reconciler.model.errors import one_line
from reconciler.model.inventory import ClaimTemplate, Inventory, NamespaceInventory, StorageClass
from reconciler.plan import observe

Raw = Mapping[str, Any]

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_DEFAULT = "storageclass.kubernetes.io/is-default-class"
_MOST_REPLICAS = 1_000_000
_SHOWN = 5
_PODS = {
    ("", "Pod"): ("spec",),
    ("", "ReplicationController"): ("spec", "template", "spec"),
    ("apps", "DaemonSet"): ("spec", "template", "spec"),
    ("apps", "Deployment"): ("spec", "template", "spec"),
    ("apps", "ReplicaSet"): ("spec", "template", "spec"),
    ("apps", "StatefulSet"): ("spec", "template", "spec"),
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
    ("batch", "Job"): ("spec", "template", "spec"),
}
"""(group, kind) → where its pods' spec stands."""
_GLOBAL = frozenset({("", "Namespace"), ("storage.k8s.io", "StorageClass")})
_CLAIM = ("", "PersistentVolumeClaim")
_KNOWN = frozenset({*_PODS, *_GLOBAL, _CLAIM})


@dataclass(frozen=True, slots=True)
class Planned:
    """An inventory made of manifests, and what they do not tell."""

    inventory: Inventory
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Space:
    """What manifests say of one namespace."""

    namespace: Namespace | None = None
    claims: dict[str, Claim] = field(default_factory=dict)
    templates: dict[tuple[str, str], ClaimTemplate] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    """Claim → ``Deployment/web``, of workloads that name it."""
    ephemeral: set[str] = field(default_factory=set)
    """``cache (Deployment/web)``: volumes whose claims are made and deleted with each pod."""


def plan_inventory(
    objects: Iterable[Raw],
    *,
    cluster: str,
    labels: Mapping[str, str],
    own_namespace: str = naming.DEFAULT_NAMESPACE,
    default_namespace: str = "default",
    known: Inventory | None = None,
) -> Planned:
    """``default_namespace`` is for objects that name none; ``known`` is the cluster as it is.

    From ``known`` come the labels of namespaces without a manifest and the storage classes.
    """
    reader = _Reader(default_namespace)
    for raw in objects:
        reader.take(raw)
    classes = reader.classes or list(known.storage_classes if known else ())
    theirs = {one.namespace.name: one.namespace for one in known.namespaces} if known else {}
    bare = sorted(
        name
        for name, space in reader.spaces.items()
        if space.namespace is None and name not in theirs
    )
    namespaces = [
        _namespace(space.namespace or theirs.get(name) or Namespace(name=name), space)
        for name, space in sorted(reader.spaces.items())
    ]
    inventory = Inventory(
        cluster=cluster,
        uid=known.uid if known else "",
        labels=labels,
        own_namespace=own_namespace,
        namespaces=tuple(namespaces),
        storage_classes=tuple(sorted(classes, key=lambda one: one.name)),
    )
    return Planned(inventory, tuple(_notes(reader, bare)))


def _namespace(namespace: Namespace, space: _Space) -> NamespaceInventory:
    claims = dict(space.claims)
    for name in space.mounts:
        # Who mounts it will not start without it: somebody else makes it.
        claims.setdefault(name, Claim(namespace=namespace.name, name=name))
    return NamespaceInventory(
        namespace=namespace,
        claims=tuple(claim for _, claim in sorted(claims.items())),
        users={
            name: ClaimUser(pod=f"of {workload}", node="")
            for name, workload in sorted(space.mounts.items())
        },
        workloads=dict(sorted(space.mounts.items())),
        templates=tuple(template for _, template in sorted(space.templates.items())),
    )


class _Reader:
    """Sorts objects by what they say of namespaces, claims and templates."""

    def __init__(self, default_namespace: str) -> None:
        self.spaces: defaultdict[str, _Space] = defaultdict(_Space)
        self.classes: list[StorageClass] = []
        self.placeless = 0
        self.nameless: list[str] = []
        self.unknown: Counter[str] = Counter()
        self._default = default_namespace

    def take(self, raw: Raw) -> None:
        """One object; of a kind that has no claims only its namespace counts."""
        group, kind = _text(raw, "apiVersion").rpartition("/")[0], _text(raw, "kind")
        metadata = _mapping(raw, "metadata")
        name, where = _text(metadata, "name"), _text(metadata, "namespace")
        what = (group, kind)
        if what not in _KNOWN:
            if _NAME.fullmatch(where):
                self.spaces.setdefault(where, _Space())
            if "." in group and not group.endswith(".k8s.io"):
                self.unknown[f"{one_line(kind)[:64]}.{one_line(group)[:64]}"] += 1
        elif not _NAME.fullmatch(name) or (where and not _NAME.fullmatch(where)):
            self.nameless.append(f"{kind} {one_line(f'{where}/{name}' if where else name)[:64]}")
            if what not in _GLOBAL and (not where or _NAME.fullmatch(where)):
                # What it is called later changes nothing of where it will be.
                self.placeless += not where
                self.spaces.setdefault(where or self._default, _Space())
        elif what in _GLOBAL:
            self._global(kind, name, raw)
        else:
            self.placeless += not where
            space = self.spaces[where or self._default]
            if what == _CLAIM:
                space.claims[name] = _claim(where or self._default, name, _mapping(raw, "spec"))
            else:
                self._workload(space, what, name, raw)

    def _global(self, kind: str, name: str, raw: Raw) -> None:
        metadata = _mapping(raw, "metadata")
        if kind == "Namespace":
            self.spaces[name].namespace = Namespace(
                name=name,
                labels=_texts(_mapping(metadata, "labels")),
                annotations=_texts(_mapping(metadata, "annotations")),
            )
        elif kind == "StorageClass":
            default = _mapping(metadata, "annotations").get(_DEFAULT) == "true"
            provisioner = _text(raw, "provisioner")
            self.classes.append(StorageClass(name=name, provisioner=provisioner, default=default))

    def _workload(self, space: _Space, what: tuple[str, str], name: str, raw: Raw) -> None:
        kind = what[1]
        if kind == "StatefulSet":
            for template in _templates(name, _mapping(raw, "spec")):
                space.templates[template.workload, template.name] = template
        spec = raw
        for step in _PODS[what]:
            spec = _mapping(spec, step)
        for volume in _mappings(spec, "volumes"):
            if "volumeClaimTemplate" in _mapping(volume, "ephemeral"):
                space.ephemeral.add(f"{one_line(_text(volume, 'name'))[:64]} ({kind}/{name})")
            claim = _text(_mapping(volume, "persistentVolumeClaim"), "claimName")
            if _NAME.fullmatch(claim):
                space.mounts.setdefault(claim, f"{kind}/{name}")


def _claim(namespace: str, name: str, spec: Raw) -> Claim:
    modes = spec.get("accessModes")
    requests = _mapping(_mapping(spec, "resources"), "requests")
    return Claim(
        namespace=namespace,
        name=name,
        storage_class=_name(_text(spec, "storageClassName")),
        volume_mode="Block" if spec.get("volumeMode") == "Block" else "Filesystem",
        access_modes=tuple(
            mode for mode in modes if isinstance(mode, str) and mode.isalpha() and len(mode) < 64
        )
        if isinstance(modes, list)
        else (),
        size=observe.quantity(_text(requests, "storage")[:64]),
    )


def _templates(workload: str, spec: Raw) -> Iterator[ClaimTemplate]:
    written = _text(spec, "replicas")
    replicas = int(written) if written.isascii() and written.isdigit() and len(written) < 8 else 1
    for template in _mappings(spec, "volumeClaimTemplates"):
        name = _text(_mapping(template, "metadata"), "name")
        if not _NAME.fullmatch(name):
            continue
        claim = _claim("", name, _mapping(template, "spec"))
        yield ClaimTemplate(
            workload=workload,
            name=name,
            storage_class=claim.storage_class,
            size=claim.size,
            replicas=min(replicas, _MOST_REPLICAS),
            volume_mode=claim.volume_mode,
            access_modes=claim.access_modes,
        )


def _notes(reader: _Reader, bare: Sequence[str]) -> Iterator[str]:
    """What the manifests do not tell."""
    made_elsewhere = sorted(
        f"{name}/{claim} ({workload})"
        for name, space in reader.spaces.items()
        for claim, workload in space.mounts.items()
        if claim not in space.claims and not _from_template(claim, space)
    )
    if reader.placeless:
        yield (
            f"{_count(reader.placeless, 'object')} without a namespace: taken as in"
            " the one that --default-namespace names"
        )
    if bare:
        yield (
            f"labels are not known where there is no Namespace among the manifests: {_few(bare)}"
        )
    if made_elsewhere:
        yield f"claims that are mounted and not among the manifests: {_few(made_elsewhere)}"
    ephemeral = sorted(
        f"{n}/{one}" for n, space in reader.spaces.items() for one in space.ephemeral
    )
    if ephemeral:
        yield (
            "claims of ephemeral volumes end with their pods, and are not counted:"
            f" {_few(ephemeral)}"
        )
    if reader.nameless:
        yield (
            f"{_count(len(reader.nameless), 'object')} left out, because names are no names"
            f" before they are rendered: {_few(reader.nameless)}"
        )
    if reader.unknown:
        yield (
            "not looked into, and their controllers may make claims: "
            + _few([f"{kind} ({count})" for kind, count in sorted(reader.unknown.items())])
        )


def _from_template(claim: str, space: _Space) -> bool:
    return any(claim.startswith(f"{name}-{of}-") for of, name in space.templates)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _name(text: str) -> str:
    return text if _NAME.fullmatch(text) else ""


def _text(raw: Raw, key: str) -> str:
    found = raw.get(key)
    return found if isinstance(found, str) else ""


def _mapping(raw: Raw, key: str) -> Raw:
    found = raw.get(key)
    return found if isinstance(found, dict) else {}


def _mappings(raw: Raw, key: str) -> list[Raw]:
    found = raw.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _texts(raw: Raw) -> dict[str, str]:
    return {key: value for key, value in raw.items() if isinstance(value, str)}
