"""What GitOps tools and Helm write on objects to know their own again; copies lose it. Pure.

A copy that keeps it is taken for theirs, is not in their Git, and is pruned at once (Velero#7848).

Labels in pod templates are never touched, and a label that a selector of the same namespace uses
stays where that selector looks: nothing that found its pods or Services before loses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from reconciler.model import naming

Object = Mapping[str, Any]

INSTANCE = "app.kubernetes.io/instance"
_HELM_RELEASE = "meta.helm.sh/release-name"
_ARGO_ID = "argocd.argoproj.io/tracking-id"
_FLUX = ("kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/")
TRACKING: tuple[tuple[str, str], ...] = (
    (_ARGO_ID, "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("argocd.argoproj.io/installation-id", "Argo CD"),
    ("argocd.argoproj.io/managed-by", "Argo CD"),
    *((prefix, "Flux") for prefix in _FLUX),
    ("meta.helm.sh/", "Helm"),
    ("kapp.k14s.io/", "kapp"),
    ("objectset.rio.cattle.io/", "Fleet"),
    ("applyset.kubernetes.io/", "kubectl"),
    ("config.k8s.io/owning-inventory", "kpt"),
)
"""Labels and annotations (all of a prefix where it ends in a slash), and whose they are."""
# What acts upon Git by itself: a second one would apply the original's objects a second time.
ACTORS: Mapping[str, str] = {
    "application.argoproj.io": "Argo CD",
    "applicationset.argoproj.io": "Argo CD",
    "kustomization.kustomize.toolkit.fluxcd.io": "Flux",
    "helmrelease.helm.toolkit.fluxcd.io": "Flux",
    "imageupdateautomation.image.toolkit.fluxcd.io": "Flux",
    "app.kappctrl.k14s.io": "kapp",
    "packageinstall.packaging.carvel.dev": "kapp",
    "gitrepo.fleet.cattle.io": "Fleet",
    "helmchart.helm.cattle.io": "K3s",
}
_MONITORS = frozenset(
    {"servicemonitor.monitoring.coreos.com", "vmservicescrape.operator.victoriametrics.com"}
)


@dataclass(frozen=True, slots=True)
class Selected:
    """Keys of labels that selectors of one namespace use, by what they select."""

    pods: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()


def selected_labels(found: Iterable[tuple[str, Object]]) -> Selected:
    """From (folder, manifest) of a whole namespace."""
    pods: set[str] = set()
    services: set[str] = set()
    for folder, manifest in found:
        chosen = services if folder in _MONITORS else pods
        with suppress(RecursionError):  # such an object is not copied
            chosen.update(_keys(manifest.get("spec")))
    return Selected(frozenset(pods), frozenset(services))


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _keys(item)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        if key == "matchLabels" and isinstance(inner, Mapping):
            yield from inner
        elif key == "matchExpressions" and isinstance(inner, list):
            yield from (str(item.get("key")) for item in inner if isinstance(item, Mapping))
        elif key == "selector" and isinstance(inner, Mapping) and _is_flat(inner):
            yield from inner
        else:
            yield from _keys(inner)


def _is_flat(selector: Object) -> bool:
    return all(isinstance(value, str) for value in selector.values())


def drop_tracking(
    manifest: Object, folder: str, selected: Selected
) -> tuple[dict[str, Any], list[str]]:
    """The manifest without it, and in words what went. Never changes ``manifest``."""
    metadata = dict(manifest.get("metadata") or {})
    labels = dict(metadata.get("labels") or {})
    annotations = dict(metadata.get("annotations") or {})
    kept = {"pod": selected.pods, "service": selected.services}.get(folder, frozenset())
    gone: dict[str, list[str]] = {}
    for key in sorted(annotations):
        if owner := _owner(key):
            gone.setdefault(owner, []).append(key)
            del annotations[key]
    before = manifest.get("metadata") or {}
    for key in sorted(labels):
        owner = _owner_of_label(key, labels[key], before)
        if owner and key not in kept:
            gone.setdefault(owner, []).append(key)
            del labels[key]
    for field, value in (("labels", labels), ("annotations", annotations)):
        if value:
            metadata[field] = value
        elif metadata.get(field):
            del metadata[field]
    words = [f"not {owner}'s any more: without {', '.join(keys)}" for owner, keys in gone.items()]
    return {**manifest, "metadata": metadata}, words


def _owner(key: str) -> str:
    for mark, owner in TRACKING:
        if key == mark or (mark.endswith("/") and key.startswith(mark)):
            return owner
    return ""


def _owner_of_label(key: str, value: object, metadata: Object) -> str:
    if key == naming.MANAGED_BY:
        return "Helm" if value == "Helm" else ""
    if key == INSTANCE:
        return "Argo CD" if _may_be_tracked(metadata) else ""
    return _owner(key)


def _may_be_tracked(metadata: Object) -> bool:
    """Whether Argo CD may know the object by its label ``app.kubernetes.io/instance``.

    Nothing on the object says so. What says the contrary: Argo CD's own annotation (it tracks by
    that), and the marks of Flux or of a Helm release, which are not Argo CD's at all.
    """
    present = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    others = (_ARGO_ID, _HELM_RELEASE)
    return not any(key in others or key.startswith(_FLUX) for key in present)


def not_restored(manifest: Object, folder: str, target: str) -> str:
    """Why a copy of a tool's own object is not made, or an empty string."""
    if folder in ACTORS:
        return (
            "it would apply its source a second time, over the original's objects; make one for"
            f" {target} in Git"
        )
    metadata = manifest.get("metadata") or {}
    name = str(metadata.get("name") or "")
    if folder in ("secret", "configmap") and (
        name.startswith("sh.helm.release.v1.") or manifest.get("type") == "helm.sh/release.v1"
    ):
        return "it is Helm's record of the original's release, not of the copy"
    return ""
