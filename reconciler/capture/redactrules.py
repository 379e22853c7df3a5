"""Which places of which kinds are looked at for credentials, and by which rule. Pure.

`TABLE` is the defaults as docs/redaction.md shows them. They are written for speed: a run looks at
every object, so nothing is walked that is not named here, and what only may hold a credential is
asked for with the cheapest question first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.capture import redactplaces, redactwords
from reconciler.model.objects import Resource

Keys = redactplaces.Keys
Hits = dict[Keys, str]
Find = Callable[[Mapping[str, Any], Hits], None]

ENV, ARGUMENTS, HEADERS = "env", "arguments", "headers"
CONFIG_NAME, CONFIG_TEXT, HELM = "config-name", "config-text", "helm-release"
ANNOTATION, CUSTOM, PARAMETERS, URL = "annotation", "custom-resource", "parameters", "url"

_POD = ("spec",)
_TEMPLATE = ("spec", "template", "spec")
POD_SPECS: Mapping[tuple[str, str], Keys] = {
    ("", "Pod"): _POD,
    ("", "PodTemplate"): ("template", "spec"),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("batch", "Job"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template", "spec"),
}
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_HANDLERS: tuple[Keys, ...] = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One default: what it is called, where it looks, and what it takes for a credential."""

    rule: str
    kinds: str
    places: str
    takes: str


_NAMED = "what its name calls a credential"
_HOLDS = "a text that holds one"
TABLE = (
    Line(
        ENV, "pods and what makes them", "`env[*].value` of each container", f"{_NAMED}, {_HOLDS}"
    ),
    Line(
        ARGUMENTS,
        "pods and what makes them",
        "`command[*]`, `args[*]` of each container, of its probes and of its lifecycle",
        f"{_HOLDS}; what follows `--password`, `--token`, `-u`, or a MySQL client's `-p`",
    ),
    Line(
        HEADERS,
        "pods and what makes them",
        "`httpGet.httpHeaders[*].value` of probes and of the lifecycle",
        f"{_NAMED}, {_HOLDS}",
    ),
    Line(CONFIG_NAME, "`configmap`", "`data.*`, `binaryData.*`", _NAMED),
    Line(CONFIG_TEXT, "`configmap`", "`data.*`", _HOLDS),
    Line(
        HELM,
        "`configmap`",
        "`data.release` where the label `owner` is `helm`, or the name begins as Helm's do",
        "everything: a release holds all values that it was installed with",
    ),
    Line(
        PARAMETERS,
        "StorageClass, PersistentVolume, VolumeSnapshotClass, pods and what makes them",
        "`parameters.*`, `csi.volumeAttributes.*`, `flexVolume.options.*`, `mountOptions[*]`",
        f"{_NAMED}, {_HOLDS}",
    ),
    Line(URL, "webhook configurations", "`webhooks[*].clientConfig.url`", _HOLDS),
    Line(
        CUSTOM,
        "every kind whose group is not built into Kubernetes",
        "every field but `metadata`; pairs of `name` or `key` and `value`; `command`, `args`",
        f"{_NAMED}, unless it could be the name of an object; {_HOLDS}",
    ),
    Line(
        ANNOTATION,
        "every kind",
        "`metadata.annotations.*`",
        f"{_NAMED}, unless it could be the name of an object; {_HOLDS}",
    ),
    Line(
        "formed-like-one",
        "every kind",
        "everywhere",
        "a text that is formed like a fingerprint: one in Git always stands for a value",
    ),
)
NAMES = tuple(line.rule for line in TABLE)


class Rules:
    """The defaults, and what a policy adds to them."""

    def find(self, found: Mapping[str, Any], resource: Resource) -> Hits:
        """Where a cleaned object holds credentials → the rule. Empty for nearly every object.

        Raises TooMany.
        """
        hits: Hits = redactplaces.Places()
        annotations = found["metadata"].get("annotations")
        if annotations:
            _annotations(annotations, hits)
        group = resource.group
        finder = _FINDERS.get((group, resource.kind))
        if finder is not None:
            finder(found, hits)
        elif is_custom(group):
            names = _KEY_NAMES.get(group, "")
            for key, part in found.items():
                if key not in ("apiVersion", "kind", "metadata"):
                    _walk(part, (key,), key, _Custom(hits, names))
        return hits


_RELEASE = "sh.helm.release.v1."


_BUILT_IN = frozenset(
    {
        *("", "apps", "autoscaling", "batch", "extensions", "policy"),
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def is_custom(group: str) -> bool:
    """Whether an API group is not built into Kubernetes: ``gateway.networking.k8s.io`` is not."""
    return group not in _BUILT_IN


def _may_be(named: Mapping[str, str]) -> bool:
    """One cheap look at many small texts."""
    if redactwords.may_hold("\0".join(named.values())):
        return True
    for name in named:  # noqa: SIM110 - this is the short way for every object there is
        if redactwords.strength_of(name):
            return True
    return False


def _annotations(annotations: Mapping[str, Any], hits: Hits) -> None:
    if not _may_be(annotations):
        return
    for name, text in annotations.items():
        if redactwords.is_credential(name, text, may_refer=True) or (
            redactwords.holds_credential(text)
        ):
            hits["metadata", "annotations", name] = ANNOTATION


def _config_map(found: Mapping[str, Any], hits: Hits) -> None:
    data = found.get("data")
    if data and _may_be(data):
        for name, text in data.items():
            if redactwords.is_credential(name, text):
                hits["data", name] = CONFIG_NAME
            elif redactwords.holds_credential(text):
                hits["data", name] = CONFIG_TEXT
    if data and "release" in data:
        metadata = found["metadata"]
        owner = str((metadata.get("labels") or {}).get("owner", "")).lower()
        if owner in ("helm", "tiller") or str(metadata["name"]).startswith(_RELEASE):
            hits["data", "release"] = HELM
    for name, text in (found.get("binaryData") or {}).items():
        if redactwords.is_credential(name, text):
            hits["binaryData", name] = CONFIG_NAME


def _pods(where: Keys) -> Find:
    def find(found: Mapping[str, Any], hits: Hits) -> None:
        spec: Any = found
        for key in where:
            spec = spec.get(key) if isinstance(spec, dict) else None
        if not isinstance(spec, dict):
            return
        for field in _CONTAINERS:
            for index, container in enumerate(spec.get(field) or ()):
                _container(container, (*where, field, index), hits)
        for index, volume in enumerate(spec.get("volumes") or ()):
            for keys in (("csi", "volumeAttributes"), ("flexVolume", "options")):
                if keys[0] in volume:
                    _strings(volume, keys, (*where, "volumes", index), PARAMETERS, hits)
        if where != _POD:
            _template_annotations(found, where, hits)

    return find


def _template_annotations(found: Mapping[str, Any], where: Keys, hits: Hits) -> None:
    metadata = (*where[:-1], "metadata", "annotations")
    annotations: Any = found
    for key in metadata:
        annotations = annotations.get(key) if isinstance(annotations, dict) else None
    if annotations:
        own: Hits = {}
        _annotations(annotations, own)
        for keys, rule in own.items():
            hits[(*metadata, *keys[2:])] = rule


def _container(container: Mapping[str, Any], where: Keys, hits: Hits) -> None:
    variables = container.get("env")
    for index, variable in enumerate(variables or ()):
        value = variable.get("value")
        if not value:
            continue
        # Nearly every value ends here: one look at its name, and one at itself.
        if not redactwords.strength_of(variable["name"]) and not redactwords.may_hold(value):
            continue
        if _is_pair(variable["name"], value):
            hits[(*where, "env", index, "value")] = ENV
    for field in ("command", "args"):
        words = container.get(field)
        if words:
            _arguments(words, (*where, field), ARGUMENTS, hits)
    for keys in _HANDLERS:
        if keys[0] not in container:
            continue
        handler: Any = container
        for key in keys:
            handler = handler.get(key) or {}
        _handler(handler, (*where, *keys), hits)


def _handler(handler: Mapping[str, Any], where: Keys, hits: Hits) -> None:
    command = (handler.get("exec") or {}).get("command")
    if command:
        _arguments(command, (*where, "exec", "command"), ARGUMENTS, hits)
    headers = (handler.get("httpGet") or {}).get("httpHeaders") or ()
    for index, header in enumerate(headers):
        if _is_pair(header.get("name"), header.get("value")):
            hits[(*where, "httpGet", "httpHeaders", index, "value")] = HEADERS


def _is_pair(name: object, value: object, *, may_refer: bool = False) -> bool:
    return (
        isinstance(name, str) and redactwords.is_credential(name, value, may_refer=may_refer)
    ) or (isinstance(value, str) and redactwords.holds_credential(value))


def _arguments(words: Sequence[object], where: Keys, rule: str, hits: Hits) -> None:
    before, program = "", ""
    for index, word in enumerate(words):
        if not isinstance(word, str):
            continue
        strength = redactwords.is_option(before)
        program = program or next((name for name in _CLIENTS if name in word), "")
        if (
            (strength and not word.startswith("-") and redactwords.is_literal(word, strength))
            or (before in ("-u", "--user") and ":" in word.strip(":"))
            or (program and _SHORT_PASSWORD.search(word))
            or redactwords.holds_credential(word)
        ):
            hits[(*where, index)] = rule
        before = word


_CLIENTS = ("mysql", "mariadb", "curl", "wget")
_SHORT_PASSWORD = re.compile(r"(?<!\S)(?:-p[^\s=:$][^\s:]*|(?:-u|--user)[ =]?[^\s:]{1,200}:\S)")


def _strings(
    found: Mapping[str, Any], keys: Sequence[str], where: Keys, rule: str, hits: Hits
) -> None:
    part: Any = found
    for key in keys:
        part = part.get(key) if isinstance(part, dict) else None
    for name, value in part.items() if isinstance(part, dict) else ():
        if _is_pair(name, value, may_refer=True):
            hits[(*where, *keys, name)] = rule


def _class(found: Mapping[str, Any], hits: Hits) -> None:
    _strings(found, ("parameters",), (), PARAMETERS, hits)
    _options(found, (), hits)


def _volume(found: Mapping[str, Any], hits: Hits) -> None:
    _strings(found, ("spec", "csi", "volumeAttributes"), (), PARAMETERS, hits)
    _strings(found, ("spec", "flexVolume", "options"), (), PARAMETERS, hits)
    _options(found.get("spec") or {}, ("spec",), hits)


def _options(found: Mapping[str, Any], where: Keys, hits: Hits) -> None:
    """What a volume is mounted with: ``user=me,password=…``."""
    for index, option in enumerate(found.get("mountOptions") or ()):
        if redactwords.holds_credential(option):
            hits[(*where, "mountOptions", index)] = PARAMETERS


def _webhooks(found: Mapping[str, Any], hits: Hits) -> None:
    for index, hook in enumerate(found.get("webhooks") or ()):
        url = (hook.get("clientConfig") or {}).get("url")
        if url and redactwords.holds_credential(url):
            hits["webhooks", index, "clientConfig", "url"] = URL


_INLINE = frozenset({"value", "plain", "plainText", "literal", "inline", "raw", "stringValue"})
"""Fields that hold what the field around them is called: ``password: {value: …}``."""


_KEY_NAMES = {"external-secrets.io": "secretKey"}
"""Group → its field that has the name of a key, never a value."""
_CIPHERTEXT = "encryptedData"
_LABELS = frozenset({"labels", "matchLabels", "selector", "nodeSelector", "tolerations"})
"""Fields whose names and values are labels': no name below makes a value a credential."""
_MAPS = frozenset({"passwords", "credentials", "stringData"})
"""Fields whose own fields hold what they are called: ``passwords: {root: …}``."""
_BESIDE = re.compile(
    r"(?i)(?:api_?version|kind|type|source|provider|name(?:space)?|user(?:name)?|key|region|mode"
    r"|host|url|endpoint|bucket|path|email|.*(?:id|name|ref))"
)
"""Fields beside a credential, and what refers to one."""


@dataclass(frozen=True, slots=True)
class _Custom:
    hits: Hits
    key_names: str = ""


def _walk(value: Any, where: Keys, name: str, found: _Custom) -> None:
    """Everything below one place of a custom resource; ``name`` is the field it stands in."""
    if isinstance(value, dict):
        _pair(value, where, found.hits)
        for key, part in value.items():
            if key in _LABELS:
                _texts(part, (*where, key), found.hits)
            elif key != _CIPHERTEXT and key != found.key_names:
                _walk(part, (*where, key), _called(name, key, part), found)
    elif isinstance(value, list):
        if name in ("args", "command"):
            _arguments(value, where, CUSTOM, found.hits)
        for index, part in enumerate(value):
            _walk(part, (*where, index), name, found)
    elif _is_pair("password" if name == "stringData" else name, value, may_refer=True):
        found.hits.setdefault(where, CUSTOM)


def _called(name: str, key: str, part: Any) -> str:
    """What a field is called: itself, or as the one around it."""
    if not name:
        return key
    if key in _INLINE:
        return name
    if name not in _MAPS or isinstance(part, dict | list) or redactwords.strength_of(key):
        return key
    return key if name != "stringData" and _BESIDE.fullmatch(key) else name


def _texts(value: Any, where: Keys, hits: Hits) -> None:
    """What holds a credential, whatever it is called."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            _texts(part, (*where, key), hits)
    elif isinstance(value, str) and redactwords.holds_credential(value):
        hits[where] = CUSTOM


def _pair(value: Mapping[str, Any], where: Keys, hits: Hits) -> None:
    name = value.get("name") or value.get("key")
    if (
        isinstance(name, str)
        and "value" in value
        and not isinstance(value["value"], dict | list)
        and _is_pair(name, value["value"])
    ):
        hits[(*where, "value")] = CUSTOM


_FINDERS: Mapping[tuple[str, str], Find] = {
    **{kind: _pods(where) for kind, where in POD_SPECS.items()},
    ("", "ConfigMap"): _config_map,
    ("", "PersistentVolume"): _volume,
    ("storage.k8s.io", "StorageClass"): _class,
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass"): _class,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
}
"""(group, kind) → what looks at it."""
DEFAULT = Rules()
