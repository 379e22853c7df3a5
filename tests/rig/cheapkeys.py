"""A restic repository whose password costs nothing to check.

restic stretches a password with scrypt until that takes half a second, at each of its commands,
and has no setting for less. What its work factors are stands in the key file, so tests give their
repositories a key file with the smallest: same password, same master key, same repository, and a
restic that does nothing else otherwise.

The format is in restic's "Design" page, sections "Keys, Encryption and MAC" and "Key Derivation":
a key file is JSON; `data` is IV, AES-256-CTR text and Poly1305-AES MAC of the master keys, under
the 64 bytes (32 to encrypt, 16 and 16 for the MAC) that scrypt makes of the password.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from tests.rig.servers import s3objects
from tests.rig.servers.seaweedfs import SeaweedFS

CHEAPEST = {"N": 2, "r": 1, "p": 1}
_IV = 16
_MAC = 16
_MEMORY = 1 << 28


def cheapen(repository: Path, password: str) -> None:
    """Replaces the one key file of the repository in this folder; its password stays the same."""
    (old,) = (repository / "keys").iterdir()
    text = cheap_key(old.read_bytes(), password)
    new = old.with_name(hashlib.sha256(text).hexdigest())
    new.write_bytes(text)
    old.unlink()


def cheapen_object(server: SeaweedFS, bucket: str, key: str, password: str) -> None:
    """The same for a key file on the S3 server."""
    text = cheap_key(s3objects.read(server, bucket, key), password)
    folder = key.rpartition("/")[0]
    s3objects.write(server, bucket, f"{folder}/{hashlib.sha256(text).hexdigest()}", text)
    s3objects.delete(server, bucket, key)


def cheap_key(text: bytes, password: str) -> bytes:
    """The key file ``text`` again, with the least work; its name is the SHA-256 of it, as hex.

    Raises cryptography's InvalidSignature when it is not this password's.
    """
    key: dict[str, Any] = json.loads(text)
    master = _decrypt(_stretch(key, password), base64.b64decode(key["data"]))
    key |= CHEAPEST
    key["data"] = base64.b64encode(_encrypt(_stretch(key, password), master)).decode()
    return json.dumps(key).encode()


def open_master(text: bytes, password: str) -> bytes:
    """The repository's master key out of a key file: 32 bytes to encrypt, 16 and 16 for the MAC."""
    key: dict[str, Any] = json.loads(text)
    master = json.loads(_decrypt(_stretch(key, password), base64.b64decode(key["data"])))
    parts = (master["encrypt"], master["mac"]["k"], master["mac"]["r"])
    return b"".join(base64.b64decode(part) for part in parts)


def seal(secret: bytes, plain: bytes) -> bytes:
    """A file of the repository, such as a snapshot: IV, text and MAC under its master key."""
    return _encrypt(secret, plain)


def _stretch(key: dict[str, Any], password: str) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=base64.b64decode(key["salt"]),
        n=key["N"], r=key["r"], p=key["p"], dklen=64, maxmem=_MEMORY,
    )  # fmt: skip


def _decrypt(secret: bytes, data: bytes) -> bytes:
    iv, text, mac = data[:_IV], data[_IV:-_MAC], data[-_MAC:]
    Poly1305.verify_tag(_one_time_key(secret, iv), text, mac)
    return _aes_ctr(secret, iv, text)


def _encrypt(secret: bytes, plain: bytes) -> bytes:
    iv = os.urandom(_IV)
    text = _aes_ctr(secret, iv, plain)
    return iv + text + Poly1305.generate_tag(_one_time_key(secret, iv), text)


def _aes_ctr(secret: bytes, iv: bytes, text: bytes) -> bytes:
    return Cipher(algorithms.AES(secret[:32]), modes.CTR(iv)).encryptor().update(text)


def _one_time_key(secret: bytes, iv: bytes) -> bytes:
    """Poly1305-AES: r as it is (Poly1305 clamps it), then the IV under AES-128 with k."""
    k, r = secret[32:48], secret[48:64]
    return r + Cipher(algorithms.AES(k), modes.ECB()).encryptor().update(iv)  # noqa: S305
