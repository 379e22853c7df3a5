"""Keys derived from the master password, and fingerprints in place of a Secret's values.

One master (a Secret's RESTIC_PASSWORD, at least 32 random bytes) gives everything by
HKDF-SHA256 (RFC 5869) with an empty salt and 32 bytes of output; only ``info`` differs::

    password of a restic repository   info = backstay/v1|<cluster>|<namespace>   as 64 hex digits
    key of the fingerprints           info = fingerprint|<cluster>               as bytes

A fingerprint is ``hmac-sha256:`` and the HMAC-SHA256 (hex) under that key of::

    <namespace> NUL Secret NUL <name> NUL <key> NUL <value>

with the decoded bytes of the value. It changes when the value does, says nothing about it to
anybody without the master, and differs for equal values in different places. Whoever has the
master can test guesses; so nobody but Backstay and its administrator may have it.

docs/format.md has test vectors: a person with the master and a shell must get in without us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from reconciler.model.errors import Stalled

SHORTEST_MASTER = 32
PREFIX = "hmac-sha256:"
_LENGTH = 32
_SHORTEST_COPY = 4
"""What is shorter stands by chance in texts that have nothing to do with it, and is guessed in no
time, fingerprint or not."""
_SHORTEST_PART = 8
"""A shorter value is one where it is a word of its own: part of another word, it is chance."""


def repository_password(master: bytes, cluster: str, namespace: str) -> str:
    """The restic password of a namespace's repository (``_cluster`` for the one with Secrets).

    Raises Stalled when the master is too short to be a key.
    """
    return _derive(master, f"backstay/v1|{cluster}|{namespace}").hex()


def fingerprint_key(master: bytes, cluster: str) -> bytes:
    """The key for `fingerprint_secret`; raises Stalled when the master is too short."""
    return _derive(master, f"fingerprint|{cluster}")


def _derive(master: bytes, info: str) -> bytes:
    if len(master) < SHORTEST_MASTER:
        raise too_short(master)
    derive = HKDF(algorithm=hashes.SHA256(), length=_LENGTH, salt=None, info=info.encode())
    return derive.derive(master)


def too_short(master: bytes, source: str = "") -> Stalled:
    """The error for a master that is no key; ``source`` is where it was read."""
    where = f" of {source}" if source else ""
    return Stalled(
        f"RESTIC_PASSWORD{where} has {len(master)} bytes; a master password needs"
        f" {SHORTEST_MASTER}",
        hint="repositories open with the one that they began with: put that back; only where there"
        " is none yet, make one with `openssl rand -hex 32`",
    )


def fingerprint_secret(secret: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The Secret with fingerprints in place of its values, wherever they stand in it.

    Annotations that hold one of the values (in plain or as base64) are fingerprinted too: from 8
    characters on wherever it stands, from 4 on as a word of its own. What is a fingerprint already
    stays one: no API server accepts it as data. ``secret`` stays as it is.
    """
    metadata = secret.get("metadata") or {}
    place = (str(metadata.get("namespace") or ""), "Secret", str(metadata.get("name") or ""))
    values: list[str] = []
    found = dict(secret)
    for field in ("data", "stringData"):
        data = secret.get(field)
        if not data:
            continue
        decode = _decoded if field == "data" else str.encode
        found[field] = {
            name: value
            if field == "data" and is_fingerprint(value)
            else fingerprint(key, (*place, name), decode(str(value or "")))
            for name, value in data.items()
        }
        values.extend(_copies(data, decode is _decoded))
    annotations = metadata.get("annotations")
    if values and annotations:
        masked = {
            name: fingerprint(key, (*place, f"annotations/{name}"), text.encode())
            if any(_holds(text, value) for value in values)
            else text
            for name, text in annotations.items()
        }
        found["metadata"] = {**metadata, "annotations": masked}
    return found


def is_fingerprint(value: object) -> bool:
    """Whether a value read from Git stands for one that Git does not hold."""
    return isinstance(value, str) and value.startswith(PREFIX)


def fingerprint(key: bytes, place: tuple[str, ...], value: bytes) -> str:
    """The fingerprint of a value at its place, whose parts are joined by NUL."""
    message = b"\0".join((*(part.encode() for part in place), value))
    return PREFIX + hmac.new(key, message, hashlib.sha256).hexdigest()


def _holds(text: str, value: str) -> bool:
    if len(value) >= _SHORTEST_PART or value not in text:
        return value in text
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode()


def _copies(data: Mapping[str, Any], encoded: bool) -> Iterator[str]:
    for value in data.values():
        text = str(value or "")
        plain = _decoded(text).decode(errors="replace") if encoded else text
        yield from (copy for copy in (text, plain) if len(copy) >= _SHORTEST_COPY)
