"""SOPS' own file format for one YAML document: values encrypted, names in the clear.

Read from the sources of getsops/sops at 15e36f9 (3.13.2): ``aes/cipher.go``, ``sops.go``
(``Tree.Encrypt``, ``Tree.Decrypt``, ``shouldBeEncrypted``, ``ToBytes``), ``stores/stores.go``.

* A data key of 32 random bytes per document, encrypted for each recipient (age) in ``sops.age``.
* A value whose path has a name that ``encrypted_regex`` matches becomes
  ``ENC[AES256_GCM,data:…,iv:…,tag:…,type:str]``: AES-256-GCM, 32 bytes of nonce, and as additional
  data the path, each name followed by a colon. Positions in lists are no part of it. An empty
  string stays empty, null stays null.
* ``mac`` is the SHA-512 of all values in the document's order, as upper-case hex, encrypted in the
  same way with ``lastmodified`` as additional data. All values, not only the encrypted ones
  (``mac_only_encrypted`` is not set): who can push but not read shall not give a Secret another
  name, and ``sops -d`` still be content.

Pure: keys, time and randomness are arguments. What this reads is what it writes, and nothing of
what else SOPS can do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

METADATA = "sops"
"""The key at the top of a document that says how it is encrypted."""
KEY_SIZE = 32
_NONCE_SIZE = 32
_TAG_SIZE = 16
_VERSION = "3.11.0"
"""Of SOPS, whose format this is."""
_VALUE = re.compile(r"ENC\[AES256_GCM,data:([^,]+),iv:([^,]+),tag:([^,]+),type:([a-z]+)\]")
_REGEX = re.compile(r"\^\([A-Za-z0-9_./|\\-]+\)\$")
"""What `names_regex` gives: whoever wrote a file must not choose how long a match takes."""

Path = tuple[str, ...]


class Unreadable(ValueError):
    """A document that is not encrypted as this module does it, or was changed since."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The data key for one recipient, as age's armoured text."""

    recipient: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """All that encrypting a document needs. ``when`` is ``2026-11-21T04:17:03Z``."""

    key: bytes = field(repr=False)
    wrapped: Sequence[Wrapped]
    when: str
    draw: Callable[[int], bytes]
    """So many random bytes."""


def names_regex(names: Sequence[str]) -> str:
    """``encrypted_regex`` for exactly these names, read alike by Go and Python.

    Names are those of Kubernetes' keys: letters, digits and ``-_./``.
    """
    return f"^({'|'.join(name.replace('.', chr(92) + '.') for name in names)})$"


def leaves(document: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, in the document's order; positions in lists are no part of it."""
    for name, value in document.items():
        yield from _leaves(value, (*path, name))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        yield from leaves(value, path)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, path)
    else:
        yield path, value


def is_chosen(path: Path, regex: str) -> bool:
    """Whether a value is encrypted: any name of its path decides."""
    return any(re.search(regex, name) for name in path)


def encrypt_values(document: Mapping[str, Any], regex: str, sealing: Sealing) -> dict[str, Any]:
    """The document with the chosen values encrypted; ``sealed`` adds the rest.

    Raises TypeError for a chosen value that is no string.
    """

    def encrypt(path: Path, value: Any) -> Any:
        if value is None or value == "" or not is_chosen(path, regex):
            return value
        if not isinstance(value, str):
            raise TypeError(f"{'.'.join(path)} is no string")
        return _encrypt(value, sealing, _additional(path))

    return _mapped(document, encrypt)


def sealed(
    plain: Mapping[str, Any], encrypted: Mapping[str, Any], regex: str, sealing: Sealing
) -> dict[str, Any]:
    """The whole file. ``plain`` has the values in the order in which the file will have them."""
    mac = _encrypt(_digest(plain), sealing, sealing.when)
    return {
        **encrypted,
        METADATA: {
            "age": [{"enc": one.text, "recipient": one.recipient} for one in sealing.wrapped],
            "encrypted_regex": regex,
            "lastmodified": sealing.when,
            "mac": mac,
            "version": _VERSION,
        },
    }


def wrapped_keys(document: Mapping[str, Any]) -> tuple[Wrapped, ...]:
    """The data key as each recipient can read it. Raises Unreadable."""
    found = _metadata(document).get("age")
    if not isinstance(found, list) or not found:
        raise Unreadable("it has no age recipient")
    try:
        return tuple(Wrapped(str(one["recipient"]), str(one["enc"])) for one in found)
    except (KeyError, TypeError):
        raise Unreadable("its age recipients can't be read") from None


def chosen_regex(document: Mapping[str, Any]) -> str:
    """Its ``encrypted_regex``. Raises Unreadable where values were chosen in another way."""
    about = _metadata(document)
    regex = about.get("encrypted_regex")
    others = ("encrypted_suffix", "unencrypted_suffix", "unencrypted_regex", "mac_only_encrypted")
    if not isinstance(regex, str) or any(about.get(other) for other in others):
        raise Unreadable("its values were not chosen by encrypted_regex")
    if not _REGEX.fullmatch(regex):
        raise Unreadable("its encrypted_regex is no list of names")
    return regex


def decrypt(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The document without its metadata, every value proven by ``mac``.

    ``document`` is in the file's order. Raises Unreadable; the message holds no value.
    """
    regex = chosen_regex(document)
    about = _metadata(document)
    body = {name: value for name, value in document.items() if name != METADATA}

    def read(path: Path, value: Any) -> Any:
        if value is None or not is_chosen(path, regex):
            return value
        return _decrypt(value, key, _additional(path), ".".join(path))

    found = _mapped(body, read)
    mac = _decrypt(about.get("mac"), key, str(about.get("lastmodified")), "mac")
    if not hmac.compare_digest(mac, _digest(found)):
        raise Unreadable("its mac is not that of its values: it was changed since it was encrypted")
    return found


def is_encrypted(value: object) -> bool:
    """Whether a value of a file holds nothing but what a key opens."""
    if isinstance(value, str):
        return not value or _VALUE.fullmatch(value) is not None
    return value is None


def has_mac(document: Mapping[str, Any]) -> bool:
    """Whether there is an encrypted ``mac``: without one SOPS proves nothing of the values."""
    mac = _metadata(document).get("mac")
    return isinstance(mac, str) and _VALUE.fullmatch(mac) is not None


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    about = document.get(METADATA)
    if not isinstance(about, Mapping):
        raise Unreadable("it is not encrypted with SOPS")
    return about


def _additional(path: Path) -> str:
    return "".join(f"{name}:" for name in path)


def _encrypt(text: str, sealing: Sealing, additional: str) -> str:
    nonce = sealing.draw(_NONCE_SIZE)
    out = AESGCM(sealing.key).encrypt(nonce, text.encode(), additional.encode())
    parts = (out[:-_TAG_SIZE], nonce, out[-_TAG_SIZE:])
    data, iv, tag = (base64.b64encode(part).decode() for part in parts)
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"


def _decrypt(value: object, key: bytes, additional: str, where: str) -> str:
    if value == "":
        return ""
    found = _VALUE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[4] != "str":
        raise Unreadable(f"{where} is no encrypted text")
    try:
        data, nonce, tag = (base64.b64decode(part, validate=True) for part in found.groups()[:3])
        return AESGCM(key).decrypt(nonce, data + tag, additional.encode()).decode()
    except (binascii.Error, ValueError, InvalidTag):
        raise Unreadable(f"{where} does not open with its key") from None


def _digest(document: Mapping[str, Any]) -> str:
    total = hashlib.sha512()
    for _, value in leaves(document):
        total.update(_as_bytes(value))
    return total.hexdigest().upper()


def _as_bytes(value: object) -> bytes:
    """``ToBytes``; null is no value, and floats are not written by anything that we encrypt."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, (str, int)):
        return str(value).encode()
    raise TypeError("a value that is no text, integer, boolean or null")


def _mapped(
    document: Mapping[str, Any], change: Callable[[Path, Any], Any], path: Path = ()
) -> dict[str, Any]:
    def walk(value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return _mapped(value, change, path)
        if isinstance(value, list):
            return [walk(item, path) for item in value]
        return change(path, value)

    return {name: walk(value, (*path, name)) for name, value in document.items()}
