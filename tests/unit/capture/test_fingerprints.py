"""Passwords and fingerprints: the vectors that docs/format.md publishes, and what never leaks."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
from typing import Any

import pytest

from reconciler.capture import fingerprints
from reconciler.model.errors import Stalled

MASTER = b"0123456789abcdef0123456789abcdef"
VECTORS = {
    ("prod-eu", "shop"): "afffd68f8972a142b78ece956f85580620bf5c8849981670015b493fece46a85",
    ("prod-eu", "_cluster"): "252d9b314ba5a30a1bf0ded6d80781e56683f10b6d2decef348a120ce7e8aad0",
}
FINGERPRINT = "hmac-sha256:2e7582a503c0c57b5126fb0e0e343b31a8d210dac9af081926c0c5278acae6c7"
KEY = fingerprints.fingerprint_key(MASTER, "prod-eu")


def hkdf(master: bytes, info: bytes) -> bytes:
    """RFC 5869 by hand, with an empty salt and 32 bytes: what a reader without us would write."""
    key = hmac.new(b"\0" * 32, master, hashlib.sha256).digest()
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def secret(data: dict[str, str], **metadata: Any) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop", **metadata},
        "data": encoded,
    }


@pytest.mark.parametrize(("place", "password"), VECTORS.items())
def test_passwords_are_those_of_the_published_vectors(
    place: tuple[str, str], password: str
) -> None:
    assert fingerprints.repository_password(MASTER, *place) == password
    info = "backstay/v1|" + "|".join(place)
    assert hkdf(MASTER, info.encode()).hex() == password


def test_the_fingerprint_is_that_of_the_published_vector() -> None:
    assert hkdf(MASTER, b"fingerprint|prod-eu") == KEY
    assert KEY.hex() == "d3ec2cd9129041c313893dbc667514d4b617198c45a4b61ef1bd446d4c728dad"
    found = fingerprints.fingerprint_secret(secret({"password": "hunter2"}), KEY)["data"]
    message = b"shop\0Secret\0db\0password\0hunter2"
    assert found["password"] == "hmac-sha256:" + hmac.new(KEY, message, "sha256").hexdigest()
    assert found["password"] == FINGERPRINT


def test_a_short_master_is_refused() -> None:
    for call in (
        lambda: fingerprints.repository_password(b"x" * 31, "c", "n"),
        lambda: fingerprints.fingerprint_key(b"", "c"),
    ):
        with pytest.raises(Stalled, match="needs 32") as caught:
            call()
        assert "openssl rand" in caught.value.hint


def test_equal_values_do_not_show() -> None:
    found = fingerprints.fingerprint_secret(secret({"a": "same", "b": "same", "c": ""}), KEY)
    elsewhere = fingerprints.fingerprint_secret(secret({"a": "same"}, namespace="other"), KEY)
    values = [*found["data"].values(), elsewhere["data"]["a"]]
    assert len(set(values)) == 4
    assert all(map(fingerprints.is_fingerprint, values))


def test_no_value_is_left_anywhere() -> None:
    original = secret(
        {"token": "correct horse", "short": "x"},
        annotations={
            "plain": "it is correct horse",
            "encoded": base64.b64encode(b"correct horse").decode(),
            "innocent": "x marks the spot",
        },
    )
    original["stringData"] = {"more": "battery staple"}
    before = copy.deepcopy(original)
    found = fingerprints.fingerprint_secret(original, KEY)
    assert original == before
    text = json.dumps(found)
    for value in ("correct horse", "battery staple", base64.b64encode(b"correct horse").decode()):
        assert value not in text
    assert found["metadata"]["annotations"]["innocent"] == "x marks the spot"
    assert found["metadata"]["name"] == "db"


@pytest.mark.parametrize(
    ("value", "note", "hidden"),
    [
        ("1234", "the PIN is 1234.", True),
        ("1234", '{"pin":"1234"}', True),
        ("1234", "sha256:fa12345", False),
        ("s3cret!", "s3cret! it is", True),
        ("s3cret!", "it is czNjcmV0IQ==", True),
        ("shop", "shop", True),
        ("shop", "shops", False),
        ("a+b-", "x a+b- y", True),
        ("abc", "abc", False),
        ("", "anything", False),
        ("12345678", "x123456789", True),
    ],
)
def test_i3_short_values_are_found_where_they_are_a_word_of_their_own(
    value: str, note: str, hidden: bool
) -> None:
    found = fingerprints.fingerprint_secret(secret({"k": value}, annotations={"note": note}), KEY)
    assert fingerprints.is_fingerprint(found["metadata"]["annotations"]["note"]) is hidden


def test_a_secret_without_values_stays_as_it_is() -> None:
    empty = {"metadata": {"name": "x", "namespace": "y"}, "type": "Opaque"}
    assert fingerprints.fingerprint_secret(empty, KEY) == empty


def test_a_value_that_is_no_base64_is_fingerprinted_as_it_stands() -> None:
    odd = {"metadata": {"name": "db", "namespace": "shop"}, "data": {"password": "!hunter2"}}
    found = fingerprints.fingerprint_secret(odd, KEY)["data"]["password"]
    message = b"shop\0Secret\0db\0password\0!hunter2"
    assert found == "hmac-sha256:" + hmac.new(KEY, message, "sha256").hexdigest()
