"""Where a copy goes on naming the original's namespace, and what it can't do beside it. Pure.

A text that holds a name (a DNS name in an environment variable, a query, a file in a ConfigMap)
is somebody's own: changing it could break it, and leaving it may lead the copy to the original's
database. So it stays, and a person is told the object and the field.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from reconciler.plan.mappingrefs import NAME_LABELS

Object = Mapping[str, Any]

IDENTITIES = (
    "eks.amazonaws.com/role-arn",
    "iam.gke.io/gcp-service-account",
    "azure.workload.identity/client-id",
)
"""Annotations of service accounts that a cloud trusts by namespace and name."""
EXTERNAL = "crossplane.io/external-name"
"""On an object that stands for something outside: copy and original would mean the same thing."""
_FLAG = re.compile(r"--?[a-z-]*namespaces?=(.+)")
_BARE_FLAG = re.compile(r"-n|--?[a-z-]*namespaces?")
"""Its value is the next item of the list."""
_OBJECT = r"[a-z0-9*][a-z0-9*-]*"
_FILES = frozenset({"image", "path", "subPath", "mountPath"})
"""Fields whose texts look like ``<namespace>/<name>`` and are none."""
_WORKLOADS = frozenset(
    {
        "pod",
        "deployment.apps",
        "statefulset.apps",
        "daemonset.apps",
        "replicaset.apps",
        "replicationcontroller",
        "job.batch",
        "cronjob.batch",
    }
)


def find_warnings(
    manifest: Object, folder: str, names: Mapping[str, str], services: Mapping[str, Collection[str]]
) -> list[str]:
    """What somebody should know of a copy: its mentions, and what it can't do beside the original.

    ``manifest`` is the copy's.
    """
    return [*find_mentions(manifest, names, services), *_obstacles(manifest, folder)]


def find_mentions(
    manifest: Object, names: Mapping[str, str], services: Mapping[str, Collection[str]]
) -> list[str]:
    """Fields and texts that name a captured namespace: ``<field>: still <text>``.

    ``services`` is captured namespace → names of its Services, for DNS names such as ``db.shop``.
    """
    patterns = [(source, _pattern(source), services.get(source, ())) for source in names]
    found = []
    for path, key, text in _texts(manifest, "", ""):
        for source, pattern, known in patterns:
            if source not in text:
                continue
            mention = _find(pattern, text, known) or _placed(key, text, source)
            if mention or _is_name(key, text, source):
                found.append(f"{path}: still {mention or source}")
    return list(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _pattern(source: str) -> re.Pattern[str]:
    """DNS names of the namespace, its accounts inside a longer text, settings, and flags.

    The group ``service`` is of the short form ``db.shop``, which is only a name if there is such a
    Service.
    """
    name = re.escape(source)
    forms = (
        rf"(?<![\w.-])(?:[\w-]+\.)+{name}\.svc(?:\.[\w-]+)*(?![\w-])",
        rf"system:serviceaccounts?:{name}(?![\w-])(?::[\w.-]+)?",
        rf"(?i:namespaces?)[\"']?(?:\s*(?:[=!]?=~?|:)\s*|\s+)[\"']?{name}(?![\w.-])[\"']?",
        rf"(?<![\w-])-n[ =]?{name}(?![\w.-])",
        rf"(?<![\w.-])(?:[\w-]+\.)?(?P<service>[\w-]+)\.{name}(?![\w.-])",
    )
    return re.compile("|".join(forms))


def _find(pattern: re.Pattern[str], text: str, services: Collection[str]) -> str:
    """The first mention in the text, or an empty string."""
    for match in pattern.finditer(text):
        if match["service"] is None or match["service"] in services:
            return match[0]
    return ""


def _placed(key: str, text: str, source: str) -> str:
    """``shop/web`` where that is all of the text, or an item of a list with commas."""
    if key in _FILES:
        return ""
    items = (item.strip() for item in text.split(","))
    return next((item for item in items if re.fullmatch(rf"{source}/{_OBJECT}", item)), "")


def _is_name(key: str, text: str, source: str) -> bool:
    """Whether a field that speaks of a namespace has just its name, also as a flag."""
    flag = _FLAG.fullmatch(text)
    if flag is not None:
        return source in flag[1].split(",")
    named = key in NAME_LABELS or key.lower().endswith(("namespace", "namespaces"))
    return text == source and named


def _texts(value: object, path: str, key: str) -> Iterator[tuple[str, str, str]]:
    """(path, last key, text) of every string; an environment variable's key is its name."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            at = f"{path}.{inner}" if path else str(inner)
            if at in ("metadata.namespace", "metadata.name"):
                continue
            called = str(inner)
            if called == "value" and isinstance(value.get("name"), str):
                called = value["name"]
            yield from _texts(item, at, called)
    elif isinstance(value, list):
        before: object = ""
        for index, item in enumerate(value):
            flag = isinstance(before, str) and _BARE_FLAG.fullmatch(before)
            yield from _texts(item, f"{path}[{index}]", "namespace" if flag else key)
            before = item
    elif isinstance(value, str):
        yield path, key, value


def _obstacles(manifest: Object, folder: str) -> Iterator[str]:
    spec = manifest.get("spec") or {}
    annotations = (manifest.get("metadata") or {}).get("annotations") or {}
    if EXTERNAL in annotations:
        yield (
            f"annotation {EXTERNAL}: it stands for the same thing outside as the original; if one"
            " is deleted, so is that"
        )
    if folder == "serviceaccount":
        for key in IDENTITIES:
            if key in annotations:
                yield f"annotation {key}: the cloud must be told to trust this account too"
    if folder == "cronjob.batch" and not spec.get("suspend"):
        yield "runs at the same times as the original"
    if folder in _WORKLOADS:
        pod = _pod_spec(spec)
        ports = sorted(
            {
                int(port["hostPort"])
                for container in pod.get("containers") or ()
                for port in container.get("ports") or ()
                if port.get("hostPort")
            }
        )
        if pod.get("hostNetwork"):
            yield "uses its node's network: it can't be on one node with the original"
        elif ports:
            said = ", ".join(map(str, ports))
            yield f"uses host port {said}: it can't be on one node with the original"


def _pod_spec(spec: Object) -> Object:
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    for holder in (spec, job):
        pod = (holder.get("template") or {}).get("spec")
        if pod:
            return pod  # type: ignore[no-any-return]
    return spec
