"""``manifests.redact``: a policy's own rules for credentials outside Secrets, and its exceptions.

A rule that can't ever apply is refused here, where its author sees it: a path into a list by key, a
place that no such object has, one that Backstay must be able to read. What only a cluster can tell
(custom resources) a run tells in its record.
"""

from __future__ import annotations

import itertools
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema

from reconciler.model import fieldpaths
from reconciler.model.fieldpaths import Into, Step
from reconciler.model.redaction import ANNOTATIONS_ONLY, MOST_PATHS, MOST_WILDCARDS
from reconciler.policy import fields
from reconciler.policy.fields import Wrong
from reconciler.policy.parts import Part, ShortForm

_ANNOTATIONS = (Step(Into.MAP, "metadata"), Step(Into.MAP, "annotations"))
_QUOTE = "a key with dots or slashes is written in quotes, such as data['app.ini']"
_FEWER = "call keys and items by their names; a rule redacts all below a shorter path"
_OURS = "backstay.dev/"
_LISTS = frozenset(
    {
        *("containers", "initContainers", "ephemeralContainers", "env", "envFrom", "command"),
        *("args", "volumes", "volumeMounts", "ports", "httpHeaders", "webhooks", "subjects"),
        *("mountOptions", "volumeClaimTemplates", "tolerations", "hostAliases", "rules"),
        *("imagePullSecrets", "secrets", "ingress", "egress", "topologySpreadConstraints"),
    }
)
"""Fields of built-in kinds that are lists wherever they stand."""
_MAPS = frozenset(
    {
        *("spec", "template", "jobTemplate", "metadata", "annotations", "labels", "data"),
        *("binaryData", "parameters", "volumeAttributes", "selector", "matchLabels"),
    }
)
_CORE = frozenset(
    {
        *("configmap", "pod", "podtemplate", "replicationcontroller", "service", "endpoints"),
        *("serviceaccount", "persistentvolume", "limitrange", "resourcequota", "node", "event"),
    }
)
_BUILT_IN = frozenset(
    {
        *("apps", "batch", "autoscaling", "policy", "networking.k8s.io", "storage.k8s.io"),
        *("rbac.authorization.k8s.io", "admissionregistration.k8s.io", "scheduling.k8s.io"),
        *("node.k8s.io", "coordination.k8s.io", "discovery.k8s.io"),
    }
)
CLUSTER_SCOPED = frozenset(
    {
        *("namespace", "persistentvolume", "apiservice.apiregistration.k8s.io"),
        *("customresourcedefinition.apiextensions.k8s.io", "storageclass.storage.k8s.io"),
        "volumeattributesclass.storage.k8s.io",
        "volumesnapshotclass.snapshot.storage.k8s.io",
        "volumesnapshotcontent.snapshot.storage.k8s.io",
        "clusterrole.rbac.authorization.k8s.io",
        "clusterrolebinding.rbac.authorization.k8s.io",
        "priorityclass.scheduling.k8s.io",
        "ingressclass.networking.k8s.io",
        "gatewayclass.gateway.networking.k8s.io",
        "runtimeclass.node.k8s.io",
        "deviceclass.resource.k8s.io",
        "mutatingwebhookconfiguration.admissionregistration.k8s.io",
        "validatingwebhookconfiguration.admissionregistration.k8s.io",
    }
)
"""Kinds without a namespace that a policy takes along though its grant limits its namespaces."""


def check_path(value: str) -> str:
    """A place in an object: see `fieldpaths`."""
    try:
        path = fieldpaths.parse(value)
    except fieldpaths.Malformed as error:
        raise Wrong(str(error), error.hint) from None
    if sum(step.name is None for step in path) > MOST_WILDCARDS:
        raise Wrong(f"has more than {MOST_WILDCARDS} wildcards", _FEWER)
    first = path[0].name
    if first in ("apiVersion", "kind"):
        raise Wrong("is needed to say what an object is")
    if first == "status":
        raise Wrong("can match nothing", "the status of an object is not captured")
    if first == "metadata":
        _check_metadata(path)
    return value


def _check_metadata(path: fieldpaths.Path) -> None:
    if path[:2] != _ANNOTATIONS:
        raise Wrong(
            "is what an object is found and restored by",
            "of metadata only annotations are redacted: metadata.annotations['example.org/note']",
        )
    if len(path) > 3:
        raise Wrong("goes into an annotation, which is a text", _QUOTE)
    if len(path) == 3:
        if path[2].into is Into.LIST:
            raise Wrong("asks for an item, and annotations are a map", _QUOTE)
        if (path[2].name or "").startswith(_OURS):
            raise Wrong("is an annotation of Backstay's own")


def _check_paths(paths: list[str], info: ValidationInfo) -> list[str]:
    """Against the kinds that stand there in so many words."""
    for kind in info.data.get("kinds", ()):
        for text in paths:
            if why := _why_never(kind, fieldpaths.parse(text)):
                raise Wrong(f"has {text}, {why[0]}", why[1])
    return paths


def _check_single(paths: list[str], info: ValidationInfo) -> list[str]:
    """Of ``keep``: what takes everything below it is no single field."""
    for text in _check_paths(paths, info):
        last = fieldpaths.parse(text)[-1]
        if len(fieldpaths.parse(text)) == 1 or last == _ANNOTATIONS[1]:
            raise Wrong(f"has {text}, and keep takes single fields", "write the field: data.name")
    return paths


def _why_never(kind: str, path: fieldpaths.Path) -> tuple[str, str] | None:
    """Why no object of a kind has the place: what is wrong, and a hint; None where it may."""
    single = single_of(kind)
    if single in ANNOTATIONS_ONLY and path[:2] != _ANNOTATIONS:
        if single == "secret":
            return f"and values of a {single} are never in Git", "manifests.secrets is for these"
        return f"and a restore reads a {single} from Git", "of it, only annotations are redacted"
    if single == "configmap" and path[0] != _ANNOTATIONS[0]:
        if path[0].name not in ("data", "binaryData", None):
            return "and a ConfigMap has data and binaryData only", "such as data.password"
        if len(path) > 2 or (len(path) == 2 and path[1].into is Into.LIST):
            return "and what a ConfigMap holds are texts below data", _QUOTE
    _, _, group = single.partition(".")
    if group in _BUILT_IN or single in _CORE:
        return _why_not_so(path)
    return None


def _why_not_so(path: fieldpaths.Path) -> tuple[str, str] | None:
    """Lists and maps of built-in kinds."""
    for before, step in itertools.pairwise(path):
        name = before.name if before.into is Into.MAP else None
        if name in _LISTS and step.into is Into.MAP:
            return f"and {name} is a list", f"{name}[*] is each item, {name}[web] one by its name"
        if name in _MAPS and step.into is Into.LIST:
            return f"and {name} is a map", f"{name}.* is each of its values"
    return None


def single_of(kind: str) -> str:
    """``deployment.apps`` of ``deployments.apps``; globs stay as they are."""
    name, dot, group = kind.partition(".")
    for ending, single in (("ies", "y"), ("classes", "class"), ("s", "")):
        if name.endswith(ending) and not name.endswith(("ss", "endpoints")):
            return f"{name.removesuffix(ending)}{single}{dot}{group}"
    return kind


_SCHEMA = {"type": "string", "minLength": 1, "maxLength": fieldpaths.LONGEST}
Path = Annotated[str, AfterValidator(check_path), WithJsonSchema(_SCHEMA)]
Kinds = Annotated[list[fields.KindGlob], Field(min_length=1, max_length=100)]


class RedactRulePart(Part):
    """What is redacted besides what the default rules find."""

    name: fields.LabelName
    """Unique among the rules; the record has it as `policy/NAME`."""
    kinds: Kinds
    """Kinds, as `deployment.apps` or `deployments.apps`, and globs such as `*.example.org`."""
    paths: Annotated[list[Path], Field(min_length=1, max_length=100), AfterValidator(_check_paths)]
    """Places, such as `spec.users[*].pin` or `data['app.ini']`: `*` is any key, `[*]` any item.
    What is below them is redacted, too."""
    reason: fields.Line | None = None
    """Why."""


class KeepRulePart(Part):
    """What stays in clear though a default rule takes it for a credential. It lowers protection."""

    name: fields.LabelName
    """Unique among these."""
    kinds: Kinds
    """Kinds, as above."""
    names: Annotated[list[fields.Glob], Field(max_length=20)] = Field(default_factory=list)
    """Names or globs of the objects; by default all of the kinds."""
    paths: Annotated[list[Path], Field(min_length=1, max_length=100), AfterValidator(_check_single)]
    """Places as the record of a run shows them: exactly these fields, not what is below."""
    reason: fields.Line
    """Why it is no credential; reviewers read it."""


R = TypeVar("R", RedactRulePart, KeepRulePart)


def _check_rules(rules: list[R]) -> list[R]:
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Wrong(f"has two named {twice[0]}", "give each its own name")
    if sum(len(rule.paths) for rule in rules) > MOST_PATHS:
        raise Wrong(f"has more than {MOST_PATHS} paths in all", "a wildcard is one path")
    return rules


class RedactPart(Part):
    """Rules of a policy's own for credentials outside Secrets. A list stands for `rules`."""

    short_form = ShortForm("rules", list)

    rules: Annotated[list[RedactRulePart], Field(max_length=100), AfterValidator(_check_rules)] = (
        Field(default_factory=list)
    )
    """What is redacted besides what the default rules find."""
    keep: Annotated[list[KeepRulePart], Field(max_length=100), AfterValidator(_check_rules)] = (
        Field(default_factory=list)
    )
    """What stays in clear; the folder's grant must have `keepInClear: true`, and give namespaces
    `*` for what has no namespace."""
