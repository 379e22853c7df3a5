"""A policy in force as the ``spec`` of its object in the cluster. Pure.

The long form of the language, with what its profile and the defaults gave written out: what a
reader of the cluster sees is what a run does. Empty lists and mappings are left out, so that what
is written is what the API server stores.
"""

from __future__ import annotations

from typing import Any

from reconciler.model import jsonform
from reconciler.model.durations import render_duration
from reconciler.model.hooks import Hook, Phase
from reconciler.model.policy import BackupPolicy, VolumeRule

_REPLACED = ("name", "objectives", "volumes", "hooks", "hooksWithin")
_OF_GRANTS = ("within", "grant")
"""What Config's grants leave of a selector: no field of the language."""
_LABELS = "matchLabels"


def render_spec(policy: BackupPolicy) -> dict[str, Any]:
    """What `reconciler.policy` reads back as the same policy."""
    plain = {key: value for key, value in policy.to_json().items() if key not in _REPLACED}
    objectives, volumes = policy.objectives, policy.volumes
    plain["objectives"] = {
        key: render_duration(seconds)
        for key, seconds in (("rpo", objectives.rpo), ("rto", objectives.rto))
        if seconds is not None
    }
    namespaces = plain["selector"]["namespaces"]
    for key in _OF_GRANTS:
        namespaces.pop(key, None)
    plain["volumes"] = jsonform.to_json(volumes) | {
        "rules": [_render_rule(rule) for rule in volumes.rules]
    }
    manifests = policy.manifests
    plain["manifests"]["recipients"] = {"age": list(manifests.recipients)}
    if manifests.redact is not None:
        plain["manifests"]["redact"].pop("keepFile", None)
    plain["hooks"] = [_render_hook(hook) for hook in policy.hooks]
    return _full(plain)


def _render_hook(hook: Hook) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": hook.name,
        "pods": {"matchLabels": dict(sorted(hook.match_labels.items()))},
        "container": hook.container or "",
        "once": hook.once,
    }
    for phase in Phase:
        if (command := hook.command(phase)) is not None:
            timeout = render_duration(command.timeout)
            plain[str(phase)] = jsonform.to_json(command) | {"timeout": timeout}
    return plain


def _render_rule(rule: VolumeRule) -> dict[str, Any]:
    match = {"claims": list(rule.claims), "storageClass": list(rule.storage_class)}
    return {"match": match, "copyMethod": str(rule.copy_method), "reason": rule.reason}


def _full(value: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty, at any depth; a label's value may be empty, and is asked for then."""
    kept = {}
    for key, item in value.items():
        found = item
        if isinstance(item, dict) and key != _LABELS:
            found = _full(item)
        elif isinstance(item, list):
            found = [_full(one) if isinstance(one, dict) else one for one in item]
        if found not in ({}, [], ""):
            kept[key] = found
    return kept
