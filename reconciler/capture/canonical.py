"""One live object → path and bytes for Git, or the reason why it is left out.

The whole of capture for one object, pure: `quiet` says whether, `clean` what of it, `fingerprints`
take a Secret's values away, `paths` says where, `emitter` how. Also the way back, from text to
object, and Git's own name for a text, so that an unchanged object costs no more than a comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import yaml

from reconciler.capture import clean, emitter, fingerprints, loading, paths, quiet
from reconciler.model.errors import Stalled
from reconciler.model.objects import Resource

TOO_DEEP = "nested too deeply to be written"
SECRETS_OMITTED = "the policy omits Secrets"


@dataclass(frozen=True, slots=True)
class Captured:
    """An object for the tree: ``text`` goes to ``path``.

    ``secret`` is set for a Secret with values: one line of JSON (without line feed) with the whole
    cleaned object, for the restic snapshot of the run. It must never reach Git or a log.
    """

    path: str
    text: bytes
    secret: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An object that is not captured. ``fault``: it should have been, and something is missing."""

    reason: str
    fault: bool = False


def capture_object(
    raw: Mapping[str, Any], resource: Resource, *, fingerprint_key: bytes | None = None
) -> Captured | LeftOut:
    """Never changes ``raw``. Without a key Secrets are left out: no value gets past this.

    ``raw`` is what the API server sent, as orjson reads it.
    """
    reason = quiet.object_left_out(raw, resource)
    if reason is not None:
        return LeftOut(reason)
    found = clean.clean(raw, resource)
    try:
        if resource.folder == "secret":
            return _capture_secret(found, resource, fingerprint_key)
        return Captured(paths.object_path(resource, found["metadata"]), emitter.emit(found))
    except (RecursionError, orjson.JSONEncodeError):
        return LeftOut(TOO_DEEP, fault=True)


def _capture_secret(
    found: dict[str, Any], resource: Resource, key: bytes | None
) -> Captured | LeftOut:
    if key is None:
        return LeftOut(SECRETS_OMITTED)
    text = emitter.emit(fingerprints.fingerprint_secret(found, key))
    full = orjson.dumps(found, option=orjson.OPT_SORT_KEYS) if found.get("data") else None
    return Captured(paths.object_path(resource, found["metadata"]), text, full)


def blob_id(data: bytes) -> str:
    """Git's SHA-1 name of a file with these bytes."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return digest.hexdigest()


def read_manifest(text: bytes, *, where: str = "manifest") -> dict[str, Any]:
    """The object in a text of ours; ``where`` (a path) is for the error's message.

    Only what `emitter` writes plain becomes a number, a boolean or null; every other plain scalar
    is a string, so a text that a person touched has no surprises either. Raises Stalled when the
    text is not one YAML mapping, or has aliases or tags.
    """
    try:
        found = loading.load_document(text)
    except loading.Unreadable as error:
        raise _unreadable(where, str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # Only the place is told: the text may be of somebody else's making, with values in it.
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise _unreadable(f"{where}{line}", "no YAML that can be read") from None
    if not isinstance(found, dict):
        raise _unreadable(where, "not a mapping")
    return found


def _unreadable(where: str, what: str) -> Stalled:
    return Stalled(
        f"{where}: {what}",
        hint="captured manifests are written by runs only; look for a commit by somebody else",
    )
