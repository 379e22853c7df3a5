"""A Secret's file in the mode `Sops`: encrypted values, and fingerprints that tell a change.

`reconciler.capture.fingerprints` gives a Secret's *view*: the text with a fingerprint in place of
each value, as the mode `Restic` writes it. A sealed file is the same Secret with each of these
values encrypted for the recipients, and with the fingerprints in one annotation. So its view can be
had back without any private key, and everything that compares Secrets compares views: what was
encrypted anew and is the same is no change.

One more fingerprint in the annotation is over the ciphertexts and the recipients' keys. Only who
has the master can make it, so a run sees where somebody replaced what it can't read, and encrypts
again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.capture import canonical, emitter, fingerprints, sops
from reconciler.capture.kept import FINGERPRINTS
from reconciler.model.errors import Stalled

_ANNOTATION = "annotations/"
_CIPHERTEXTS = "sops/ciphertexts"
"""No key of a Secret has a slash, and no annotation's begins with this."""


OTHER_RECIPIENTS = "its recipients are not those of the record"


class Unsealable(ValueError):
    """A Secret that can't be encrypted so that SOPS would read it; says why, without a value."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a file says without a private key. ``view`` is the text with fingerprints."""

    view: bytes
    recipients: tuple[str, ...]


def seal(
    plain: Mapping[str, Any], view: Mapping[str, Any], sealing: sops.Sealing, key: bytes
) -> bytes:
    """The file of a Secret. ``plain`` is the cleaned object, ``view`` the same with fingerprints.

    ``key`` is the fingerprints'. Raises Unsealable.
    """
    known = dict(_masked(plain, view))
    regex = _regex(plain, known)
    try:
        encrypted = sops.encrypt_values(plain, regex, sealing)
        known[_CIPHERTEXTS] = _over_ciphertexts(encrypted, regex, sealing.wrapped, key)
        annotation = json.dumps(known, sort_keys=True, separators=(",", ":"))
        # Values count in the order in which the file has them, and the emitter decides that.
        in_order = canonical.read_manifest(emitter.emit(_annotated(plain, annotation)))
        whole = sops.sealed(in_order, _annotated(encrypted, annotation), regex, sealing)
    except TypeError as error:
        raise Unsealable(f"SOPS can't encrypt it: {error}") from None
    return emitter.emit(whole)


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether what was read from Git is a sealed file."""
    return manifest.get("kind") == "Secret" and sops.METADATA in manifest


def view_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A sealed file with the fingerprints in place of ciphertexts; anything else as it is.

    Raises Stalled where somebody else changed it.
    """
    if not is_sealed(manifest):
        return dict(manifest)
    known = _known(manifest)
    found = {name: value for name, value in manifest.items() if name != sops.METADATA}
    if found.get("data"):
        found["data"] = {name: known.get(name, value) for name, value in found["data"].items()}
    metadata = dict(found["metadata"])
    annotations = {
        name: known.get(_ANNOTATION + name, value)
        for name, value in metadata["annotations"].items()
        if name != FINGERPRINTS
    }
    if annotations:
        metadata["annotations"] = annotations
    else:
        del metadata["annotations"]
    found["metadata"] = metadata
    return found


def is_sealed_text(text: bytes) -> bool:
    """Whether a text may be a sealed file: quickly, for each of many."""
    return b"\nsops:\n" in text and b"\nkind: Secret\n" in text


def view_text(text: bytes) -> bytes:
    """The view of a sealed file; any other text as it is."""
    if not is_sealed_text(text):
        return text
    found = read_sealed(text, where="a Secret")
    return found.view if found else text


def read_sealed(text: bytes, *, where: str, key: bytes | None = None) -> Sealed | None:
    """What a file says; None for one that is not sealed, or not by us.

    With the fingerprints' ``key`` also None where its ciphertexts are not those that a run wrote.
    """
    try:
        manifest = canonical.read_manifest(text, where=where)
        if not is_sealed(manifest):
            return None
        wrapped = sops.wrapped_keys(manifest)
        known = _known(manifest)
        if key is not None:
            regex = sops.chosen_regex(manifest)
            expected = _over_ciphertexts(manifest, regex, wrapped, key)
            if not hmac.compare_digest(expected.encode(), known.get(_CIPHERTEXTS, "").encode()):
                return None
        view = emitter.emit(view_of(manifest))
    except (Stalled, sops.Unreadable, TypeError, ValueError):
        return None
    return Sealed(view, tuple(one.recipient for one in wrapped))


def split_sealed(
    texts: Mapping[str, bytes],
) -> tuple[Mapping[str, bytes], Mapping[str, bytes]]:
    """(all texts, those of sealed files as their views; the sealed files as they are).

    Raises Stalled where somebody else changed one.
    """
    seen = dict(texts)
    sealed = {}
    for path, text in texts.items():
        if not is_sealed_text(text):
            continue
        manifest = canonical.read_manifest(text, where=path)
        if is_sealed(manifest):
            sealed[path] = text
            seen[path] = emitter.emit(view_of(manifest))
    return seen, sealed


def open_sealed(
    manifest: Mapping[str, Any], unwrap: Callable[[Sequence[sops.Wrapped]], bytes]
) -> dict[str, Any]:
    """The whole Secret, as it was captured. Raises `sops.Unreadable`, and what ``unwrap`` does."""
    found = sops.decrypt(manifest, unwrap(sops.wrapped_keys(manifest)))
    metadata = dict(found["metadata"])
    annotations = {
        name: value for name, value in metadata["annotations"].items() if name != FINGERPRINTS
    }
    metadata.pop("annotations")
    return {
        **found,
        "metadata": {**metadata, **({"annotations": annotations} if annotations else {})},
    }


def faults_of(manifest: Mapping[str, Any], recipients: Sequence[str]) -> list[str]:
    """What is wrong with a sealed file, as far as that shows without any key; for `verify`."""
    try:
        wrapped = sops.wrapped_keys(manifest)
        regex = sops.chosen_regex(manifest)
        known = _known(manifest)
    except sops.Unreadable as error:
        return [str(error)]
    except Stalled as error:
        return [error.message]
    found = []
    if tuple(one.recipient for one in wrapped) != tuple(recipients):
        found.append(OTHER_RECIPIENTS)
    if not sops.has_mac(manifest):
        found.append("it has no encrypted mac")
    chosen = [
        (path, value) for path, value in sops.leaves(manifest)
        if path[0] != sops.METADATA and sops.is_chosen(path, regex)
    ]  # fmt: skip
    if any(not sops.is_encrypted(value) for _, value in chosen):
        found.append("a value is not encrypted")
    if any(path not in {path for path, _ in chosen} for path in _paths(manifest)):
        found.append("a value is not chosen for encryption")
    if any(name not in known for name in manifest.get("data") or {}):
        found.append("a value has no fingerprint")
    return found


def _paths(manifest: Mapping[str, Any]) -> list[sops.Path]:
    return [("data", name) for name in manifest.get("data") or {}]


def _masked(plain: Mapping[str, Any], view: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name in the annotation, fingerprint) of everything that the view does not show."""
    found = [(name, str(view["data"][name])) for name in plain.get("data") or {}]
    before = plain["metadata"].get("annotations") or {}
    after = view["metadata"].get("annotations") or {}
    found += [(_ANNOTATION + name, after[name]) for name in before if after[name] != before[name]]
    rest = {**plain, "data": None, "metadata": {**plain["metadata"], "annotations": None}}
    if rest != {**view, "data": None, "metadata": {**view["metadata"], "annotations": None}}:
        raise Unsealable("more than its data and annotations is to be hidden")
    if not all(fingerprints.is_fingerprint(value) for _, value in found):
        raise Unsealable("a value has no fingerprint")
    return found


def _regex(plain: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """Raises Unsealable where SOPS, which goes by names, would encrypt more than is hidden."""
    annotations = [name.removeprefix(_ANNOTATION) for name in known if name.startswith(_ANNOTATION)]
    regex = sops.names_regex(["data", "stringData", *sorted(annotations)])
    hidden = {("metadata", "annotations", name) for name in annotations}
    for path, _ in sops.leaves(plain):
        if sops.is_chosen(path, regex) and path[0] != "data" and path not in hidden:
            twin = ".".join(path)
            raise Unsealable(f"{twin} has the name of what is encrypted, and SOPS goes by names")
    return regex


def _over_ciphertexts(
    manifest: Mapping[str, Any], regex: str, wrapped: Sequence[sops.Wrapped], key: bytes
) -> str:
    parts = [[list(path), value] for path, value in sops.leaves(manifest)
             if path[0] != sops.METADATA and sops.is_chosen(path, regex)]  # fmt: skip
    message = json.dumps([sorted(parts), sorted([one.recipient, one.text] for one in wrapped)])
    return fingerprints.PREFIX + hmac.new(key, message.encode(), hashlib.sha256).hexdigest()


def _annotated(manifest: Mapping[str, Any], annotation: str) -> dict[str, Any]:
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), FINGERPRINTS: annotation}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _known(manifest: Mapping[str, Any]) -> dict[str, str]:
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    text = annotations.get(FINGERPRINTS) if isinstance(annotations, Mapping) else None
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(map(fingerprints.is_fingerprint, found.values())):
        raise Stalled(
            f"a file that is encrypted with SOPS has no annotation {FINGERPRINTS} that can be read",
            hint="such files are written by runs only; look for a commit by somebody else",
        )
    return found
