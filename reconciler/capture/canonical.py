"""One live object → path and bytes for Git, or the reason why it is left out.

The whole of capture for one object, pure: `quiet` says whether, `clean` what of it, `fingerprints`
take a Secret's values away and `redact` credentials elsewhere, `paths` says where, `emitter` how.
Also the way back, from text to object, and Git's own name for a text, so that an unchanged object
costs no more than a comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from reconciler.capture import (
    clean,
    emitter,
    fingerprints,
    loading,
    paths,
    quiet,
    redact,
    redactplaces,
    redactrules,
)
from reconciler.model.objects import Resource

TOO_DEEP = "nested too deeply to be written"
TOO_MANY = "too many values to redact, or too far down"
SECRETS_OMITTED = "the policy omits Secrets"
read_manifest = loading.read_manifest


@dataclass(frozen=True, slots=True)
class Captured:
    """An object for the tree: ``text`` goes to ``path``.

    ``secret`` is set for an object with values that the text does not have: one line of JSON
    (without line feed) with the whole cleaned object, for the restic snapshot of the run. It must
    never reach Git or a log. ``redacted`` says what it is beyond the values of a Secret.
    """

    path: str
    text: bytes
    secret: bytes | None = field(default=None, repr=False)
    redacted: tuple[redact.Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An object that is not captured. ``fault``: it should have been, and something is missing."""

    reason: str
    fault: bool = False


def capture_object(
    raw: Mapping[str, Any],
    resource: Resource,
    *,
    fingerprint_key: bytes | None = None,
    rules: redactrules.Rules = redactrules.DEFAULT,
) -> Captured | LeftOut:
    """Never changes ``raw``. Without a key Secrets are left out: no value gets past this.

    ``raw`` is what the API server sent, as orjson reads it.
    """
    reason = quiet.object_left_out(raw, resource)
    if reason is not None:
        return LeftOut(reason)
    found = clean.clean(raw, resource)
    key = fingerprint_key
    path = paths.object_path(resource, found["metadata"])
    try:
        hits = rules.find(found, resource)
        if resource.folder == "secret":
            return _capture_secret(path, found, key, hits) if key else LeftOut(SECRETS_OMITTED)
        text = b"" if hits else emitter.emit(found)
        if not hits and not redact.holds_fingerprints(text):
            return Captured(path, text)
        made = redact.redact(found, redact.with_formed(found, hits), key)
        whole = _dump(found) if made.findings and key is not None else None
        return Captured(path, emitter.emit(made.document), whole, made.findings)
    except (RecursionError, orjson.JSONEncodeError):
        return LeftOut(TOO_DEEP, fault=True)
    except redactplaces.TooMany:
        return LeftOut(TOO_MANY, fault=True)


def capture_like(
    raw: Mapping[str, Any],
    resource: Resource,
    stored: bytes,
    *,
    fingerprint_key: bytes | None = None,
    captured: tuple[str, str] | None = None,
    rules: redactrules.Rules | None = None,
) -> Captured | LeftOut:
    """The same for an object that is compared with its text in Git: redacted is what is there.

    Rules may have changed since. ``captured`` is its namespace and name in the text's own place, if
    the text is of a copy. ``rules`` hide besides what is new, so that a person may be shown both.
    """
    reason = quiet.object_left_out(raw, resource)
    if reason is not None:
        return LeftOut(reason)
    found = clean.clean(raw, resource)
    path = paths.object_path(resource, found["metadata"])
    try:
        hits = rules.find(found, resource) if rules is not None else {}
        if resource.folder == "secret":
            if fingerprint_key is None:
                return LeftOut(SECRETS_OMITTED)
            found = fingerprints.fingerprint_secret(found, fingerprint_key)
        if hits or redact.holds_fingerprints(stored):
            before = read_manifest(stored)
            found = redact.redact_like(found, before, fingerprint_key, captured, hits)
        return Captured(path, emitter.emit(found))
    except (RecursionError, orjson.JSONEncodeError):
        return LeftOut(TOO_DEEP, fault=True)
    except redactplaces.TooMany:
        return LeftOut(TOO_MANY, fault=True)


def _capture_secret(
    path: str, found: dict[str, Any], key: bytes, hits: redactrules.Hits
) -> Captured:
    """Data always, annotations by their rules; the latter where no value of the data stands."""
    formed = redact.with_formed({"metadata": found["metadata"]}, hits)
    made = redact.redact(found, formed, key)
    masked = fingerprints.fingerprint_secret(found, key)
    annotations = masked["metadata"].get("annotations")
    if made.findings and annotations:
        ours = made.document["metadata"]["annotations"]
        before = found["metadata"]["annotations"]
        both = {
            name: text if text != before[name] else ours[name] for name, text in annotations.items()
        }
        masked["metadata"] = {**masked["metadata"], "annotations": both}
    whole = _dump(found) if found.get("data") or made.findings else None
    return Captured(path, emitter.emit(masked), whole, made.findings)


def _dump(found: Mapping[str, Any]) -> bytes:
    return orjson.dumps(found, option=orjson.OPT_SORT_KEYS)


def blob_id(data: bytes) -> str:
    """Git's SHA-1 name of a file with these bytes."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()
