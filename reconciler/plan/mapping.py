"""Copies beside the original: what was captured from one namespace, for another. Pure.

`map_stored` gives what a restore plans with in place of what was captured. Objects of mapped
namespaces become copies; everything else is what it was. A cluster-scoped object that speaks of a
mapped namespace is one of three:

* a binding of its accounts, or a webhook that is limited to it: copied under a derived name;
* the one of its name that can be there (a definition, an APIService): it points to the copy where
  it is made anew, and what exists is kept;
* a webhook for the whole cluster: no copy, because it would act upon everybody's requests twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model import naming
from reconciler.model.objects import ObjectRef
from reconciler.plan import mappingrefs as refs
from reconciler.plan import mappingtaken, mappingtracking, mappingwarnings
from reconciler.plan.mappingnames import captured_namespaces
from reconciler.plan.mappingtaken import Taken
from reconciler.plan.restore import CLAIM, CRD, Stored

Names = Mapping[str, str]
PathOf = Callable[[ObjectRef], str]

_BINDING = "clusterrolebinding.rbac.authorization.k8s.io"
_HOOKS = frozenset(
    f"{kind}webhookconfiguration.admissionregistration.k8s.io"
    for kind in ("mutating", "validating")
)
_ONLY_ONE = frozenset({CRD, "apiservice.apiregistration.k8s.io"})
_LONGEST = 253
# Kubernetes' own kinds without a namespace. Not Namespace: a selector selects it by its labels.
_CLUSTER_SCOPED = frozenset({
    "apiservices", "certificatesigningrequests", "clusterrolebindings", "clusterroles",
    "csidrivers", "csinodes", "customresourcedefinitions", "deviceclasses", "flowschemas",
    "ingressclasses", "ipaddresses", "mutatingadmissionpolicies",
    "mutatingwebhookconfigurations", "nodes", "persistentvolumes", "priorityclasses",
    "prioritylevelconfigurations", "resourceslices", "runtimeclasses", "servicecidrs",
    "storageclasses", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations", "volumeattachments", "volumeattributesclasses",
    "volumesnapshotclasses", "volumesnapshotcontents",
})  # fmt: skip
_RIGHTS = (
    "the copy's accounts get the original's rights in the whole cluster; an operator would act upon"
    " everything a second time"
)


def copied_places(stored: Iterable[Stored], names: Names) -> frozenset[tuple[str, str]]:
    """(namespace, name) of the copies: what they hold themselves is not taken by others."""
    return frozenset(
        (names[found.ref.namespace], found.ref.name)
        for found in stored
        if found.ref.namespace in names
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What a copy is made with, besides the original."""

    names: Names
    path_of: PathOf
    taken: Taken
    captured: Collection[str] = ()
    paths: Collection[str] = ()
    selected: Mapping[str, mappingtracking.Selected] = field(default_factory=dict)
    services: Mapping[str, Collection[str]] = field(default_factory=dict)
    cluster_scoped: Collection[str] = ()
    """Resources (plural) whose objects are in no namespace."""


def map_stored(
    stored: Sequence[Stored], names: Names, taken: Taken, *, path_of: PathOf
) -> tuple[Stored, ...]:
    """By path. ``path_of`` is where a manifest lies in a recovery point.

    Copies have ``source``, the original's path. With no names it is what it was.
    """
    if not names:
        return tuple(stored)
    of: dict[str, list[Stored]] = defaultdict(list)
    for found in stored:
        of[found.ref.namespace].append(found)
    context = _Context(
        names=names,
        path_of=path_of,
        taken=taken,
        captured=captured_namespaces(stored),
        paths={found.path for found in stored},
        selected={
            source: mappingtracking.selected_labels(
                (one.folder, one.manifest) for one in of[source]
            )
            for source in names
        },
        services={
            source: {one.ref.name for one in of[source] if one.folder == "service"}
            for source in names
        },
        cluster_scoped=_CLUSTER_SCOPED | _defined_cluster_scoped(stored),
    )
    made = [copy for found in stored for copy in _map_safely(found, context)]
    return tuple(sorted(made, key=lambda found: found.path))


def _defined_cluster_scoped(stored: Iterable[Stored]) -> frozenset[str]:
    """Of kinds that captured definitions define."""
    specs = (found.manifest.get("spec") or {} for found in stored if found.folder == CRD)
    return frozenset(
        str((spec.get("names") or {}).get("plural", ""))
        for spec in specs
        if spec.get("scope") == "Cluster"
    )


def map_secret(secret: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """A whole Secret, with its values, for the target: as `map_stored` maps its manifest."""
    source = str(secret["metadata"].get("namespace") or "")
    return _map_object(secret, "secret", names, mappingtracking.Selected(), names[source])[0]


def _map_safely(found: Stored, context: _Context) -> list[Stored]:
    try:
        return list(_map(found, context))
    except RecursionError:
        # A custom resource may be nested as deeply as its author likes.
        target = context.names.get(found.ref.namespace, found.ref.namespace)
        ref = replace(found.ref, namespace=target)
        why = "nested too deeply to be copied"
        path = context.path_of(ref)
        return [replace(found, ref=ref, path=path, source=found.path, obstacle=why)]


def _map(found: Stored, context: _Context) -> Iterator[Stored]:
    if found.ref.namespace in context.names:
        yield _copy(found, context)
    elif found.folder == "namespace" and found.ref.name in context.names:
        yield _copy_namespace(found, context)
    elif found.folder == _BINDING:
        yield from _map_binding(found, context)
    elif found.folder in _HOOKS:
        yield from _map_hooks(found, context)
    elif found.folder in _ONLY_ONE:
        manifest, changes = refs.follow(found.manifest, found.folder, context.names)
        yield replace(found, manifest=manifest, changes=tuple(changes)) if changes else found
    elif not found.ref.namespace:
        yield _shared(found, context)
    else:
        yield found


def _shared(found: Stored, context: _Context) -> Stored:
    """As captured; where it is made anew, it is told what it names."""
    try:
        told = mappingwarnings.find_mentions(found.manifest, context.names, context.services)
    except RecursionError:
        return found
    return replace(found, warnings=tuple(told))


def _map_object(
    manifest: Mapping[str, Any],
    folder: str,
    names: Names,
    selected: mappingtracking.Selected,
    target: str,
) -> tuple[dict[str, Any], list[str]]:
    followed, changes = refs.follow(manifest, folder, names)
    made, dropped = mappingtracking.drop_tracking(followed, folder, selected)
    made["metadata"] = {**made["metadata"], "namespace": target}
    return made, [*changes, *dropped]


def _copy(found: Stored, context: _Context) -> Stored:
    source = found.ref.namespace
    target = context.names[source]
    selected = context.selected[source]
    manifest, changes = _map_object(found.manifest, found.folder, context.names, selected, target)
    obstacle = mappingtracking.not_restored(manifest, found.folder, target)
    if found.folder == "service":
        manifest, freed = mappingtaken.free_service(manifest, context.taken)
        changes += freed
    elif found.folder in mappingtaken.ROUTES:
        obstacle = mappingtaken.find_taken_host(manifest, found.folder, context.taken)
    elif found.folder == CLAIM and (manifest.get("spec") or {}).get("volumeName"):
        spec = dict(manifest["spec"])
        changes.append(f"was pinned to volume {spec.pop('volumeName')}; it gets a new one")
        manifest["spec"] = spec
    return _stored(found, context, target, found.ref.name, manifest, changes, obstacle=obstacle)


def _copy_namespace(found: Stored, context: _Context) -> Stored:
    target = context.names[found.ref.name]
    manifest, changes = mappingtracking.drop_tracking(
        found.manifest, found.folder, mappingtracking.Selected()
    )
    return _stored(found, context, "", target, _named(manifest, target), changes)


def _map_binding(found: Stored, context: _Context) -> Iterator[Stored]:
    """The copy binds the copies' accounts only; the original goes on for everybody else."""
    subjects = found.manifest.get("subjects") or []
    ours = [subject for subject in subjects if refs.refers(subject, context.names)]
    others = set(context.captured) - set(context.names)
    if not ours or any(refs.refers(subject, others) for subject in subjects):
        yield found
    if ours:
        made = _derive(found, {**found.manifest, "subjects": ours}, context, "subjects")
        yield replace(made, warnings=(_RIGHTS, *made.warnings))


def _map_hooks(found: Stored, context: _Context) -> Iterator[Stored]:
    hooks = found.manifest.get("webhooks") or []
    ours = [hook for hook in hooks if refs.refers(hook.get("clientConfig"), context.names)]
    if not ours:
        yield found
    elif not all(_is_limited(hook, context) for hook in ours):
        service = ours[0]["clientConfig"]["service"]
        yield replace(
            found,
            obstacle=f"it calls service {service['namespace']}/{service['name']} for more than that"
            " namespace; a copy would act upon everybody's requests",
        )
    else:
        if len(ours) < len(hooks):
            yield found
        yield _derive(found, {**found.manifest, "webhooks": ours}, context, "webhooks")


def _is_limited(hook: Mapping[str, Any], context: _Context) -> bool:
    """Whether a webhook sees requests of mapped namespaces only.

    A selector of namespaces does not keep it from cluster-scoped objects.
    """
    names = context.names
    for rule in hook.get("rules") or ():
        resources = {str(name).partition("/")[0] for name in rule.get("resources") or ()}
        wide = "*" in resources or not resources.isdisjoint(context.cluster_scoped)
        if rule.get("scope") == "Cluster" or (wide and rule.get("scope") != "Namespaced"):
            return False
    selector = hook.get("namespaceSelector") or {}
    label = "kubernetes.io/metadata.name"
    if (selector.get("matchLabels") or {}).get(label) in names:
        return True
    return any(
        item.get("key") == label
        and item.get("operator") == "In"
        and set(item.get("values") or ()) <= set(names)
        for item in selector.get("matchExpressions") or ()
    )


def _derive(found: Stored, manifest: Mapping[str, Any], context: _Context, part: str) -> Stored:
    """A cluster-scoped object's copy: its name says whose it is."""
    made, changes = refs.follow(manifest, found.folder, context.names)
    made, dropped = mappingtracking.drop_tracking(made, found.folder, mappingtracking.Selected())
    used = [
        target
        for source, target in sorted(context.names.items())
        if refs.refers(manifest.get(part), [source])
    ]
    name = naming.cut("-".join((found.ref.name, *used)), _LONGEST)
    while context.path_of(replace(found.ref, name=name)) in context.paths:
        name = naming.cut(f"{name}-copy", _LONGEST)
    warnings = []
    if any(
        (hook.get("clientConfig") or {}).get("caBundle") for hook in manifest.get("webhooks") or ()
    ):
        warnings.append("caBundle: the copy's certificate must be of the new service's DNS name")
    changes = [f"copy of {found.ref}", *changes, *dropped]
    return _stored(found, context, "", name, _named(made, name), changes, warnings=warnings)


def _named(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def _stored(
    found: Stored,
    context: _Context,
    namespace: str,
    name: str,
    manifest: Mapping[str, Any],
    changes: Sequence[str],
    *,
    obstacle: str = "",
    warnings: Sequence[str] = (),
) -> Stored:
    ref = replace(found.ref, namespace=namespace, name=name)
    told = mappingwarnings.find_warnings(manifest, found.folder, context.names, context.services)
    return Stored(
        path=context.path_of(ref),
        folder=found.folder,
        ref=ref,
        manifest=manifest,
        source=found.path,
        obstacle=obstacle,
        changes=tuple(changes),
        warnings=(*warnings, *told),
    )
