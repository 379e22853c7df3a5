"""Files in SOPS' format: read back by a reader of its own, and what a changed one comes to."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from reconciler.capture import canonical, emitter, fingerprints, sealedsecrets, sops
from reconciler.capture.kept import FINGERPRINTS
from reconciler.model import kinds
from reconciler.model.errors import Stalled

KEY = b"fingerprint key of 32 bytes ....."[:32]
DATA_KEY = bytes(range(32))
WHEN = "2026-11-21T04:17:03Z"
ALICE, BOB = "age1alice", "age1bob"
PASSWORD = base64.b64encode(b"S3cret-Marker-4711").decode()
PLAIN: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "immutable": True,
    "metadata": {
        "name": "db",
        "namespace": "shop",
        "annotations": {"example.org/note": "it is S3cret-Marker-4711", "on": "1e3"},
        "finalizers": ["example.org/a", "example.org/b"],
        "labels": {"v": "12:30"},
    },
    "data": {"password": PASSWORD, "empty": "", "none": None, "data": "eA==", "on": "eQ=="},
    "type": "Opaque",
}


def sealing(*recipients: str, key: bytes = DATA_KEY) -> sops.Sealing:
    """With nonces that are counted."""
    numbers = itertools.count()
    return sops.Sealing(
        key=key,
        wrapped=[sops.Wrapped(one, f"{one}\n{key.hex()}\n") for one in recipients or (ALICE,)],
        when=WHEN,
        draw=lambda size: next(numbers).to_bytes(size, "big"),
    )


def view(plain: Mapping[str, Any] = PLAIN) -> dict[str, Any]:
    return fingerprints.fingerprint_secret(plain, KEY)


def seal(plain: Mapping[str, Any] = PLAIN, *recipients: str, key: bytes = DATA_KEY) -> bytes:
    return sealedsecrets.seal(plain, view(plain), sealing(*recipients, key=key), KEY)


def unwrap(wrapped: Any) -> bytes:
    return bytes.fromhex(wrapped[0].text.split()[1])


def read(text: bytes) -> dict[str, Any]:
    return canonical.read_manifest(text)


def open_by_hand(text: bytes, key: bytes) -> dict[str, Any]:
    """Written from SOPS' description, not from what writes: values and MAC, in order."""
    document = read(text)
    about = document.pop("sops")
    total = hashlib.sha512()

    def cipher(value: str, additional: str) -> str:
        if not value:
            return value
        found = re.match(r"^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:str\]", value)
        assert found
        data, nonce, tag = map(base64.b64decode, found.groups())
        assert len(nonce) == 32
        return AESGCM(key).decrypt(nonce, data + tag, additional.encode()).decode()

    def walk(value: Any, path: list[str]) -> Any:
        if isinstance(value, dict):
            return {name: walk(inner, [*path, name]) for name, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, path) for inner in value]
        if value is None:
            return None
        if any(re.match(about["encrypted_regex"], name) for name in path):
            value = cipher(value, ":".join(path) + ":")
        total.update(str(value).encode())
        return value

    opened: dict[str, Any] = walk(document, [])
    assert cipher(about["mac"], about["lastmodified"]) == total.hexdigest().upper()
    return opened


def test_another_reader_gets_all_values_and_the_mac() -> None:
    opened = open_by_hand(seal(), DATA_KEY)
    del opened["metadata"]["annotations"][FINGERPRINTS]
    assert opened == PLAIN


def test_no_value_is_in_the_file_and_everything_else_is() -> None:
    text = seal().decode()
    for hidden in (PASSWORD, "S3cret-Marker-4711"):
        assert hidden not in text
    found = read(text.encode())
    assert found["metadata"]["name"] == "db"
    assert found["type"] == "Opaque"
    assert found["sops"]["encrypted_regex"] == r"^(data|stringData|example\.org/note)$"
    assert found["sops"]["lastmodified"] == WHEN
    assert [one["recipient"] for one in found["sops"]["age"]] == [ALICE]


def test_the_view_is_what_the_mode_restic_writes() -> None:
    found = sealedsecrets.read_sealed(seal(PLAIN, ALICE, BOB), where="x", key=KEY)
    assert found == sealedsecrets.Sealed(emitter.emit(view()), (ALICE, BOB))


def test_a_secret_without_annotations_has_none_in_its_view() -> None:
    bare = {**PLAIN, "metadata": {"name": "db", "namespace": "shop"}}
    assert "annotations" not in sealedsecrets.view_of(read(seal(bare)))["metadata"]
    assert sealedsecrets.open_sealed(read(seal(bare)), unwrap) == bare


def test_it_opens_as_it_was() -> None:
    assert sealedsecrets.open_sealed(read(seal()), unwrap) == PLAIN


def test_what_is_applied_from_a_decrypted_file_is_captured_as_ever() -> None:
    applied = open_by_hand(seal(), DATA_KEY)
    found = canonical.capture_object(applied, kinds.SECRETS, fingerprint_key=KEY)
    assert isinstance(found, canonical.Captured)
    assert FINGERPRINTS.encode() not in found.text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("name: db", "name: dc", "its mac is not that of its values"),
        ("type: Opaque", "type: Other", "its mac is not that of its values"),
        ("immutable: true", "immutable: false", "its mac is not that of its values"),
        (f'lastmodified: "{WHEN}"', 'lastmodified: "2027-11-21T04:17:03Z"', "mac does not open"),
        ("type:str]", "type:int]", "is no encrypted text"),
        (r"^(data|stringData|example\\.org/note)$", "^(password|on)$", "is no encrypted text|open"),
        (r"^(data|stringData|example\\.org/note)$", "(x+)+$", "no list of names"),
        ("encrypted_regex", "encrypted_suffix", "not chosen by encrypted_regex"),
    ],
)
def test_what_was_changed_since_does_not_open(old: str, new: str, why: str) -> None:
    text = seal().decode()
    assert old in text
    with pytest.raises(sops.Unreadable, match=why) as found:
        sealedsecrets.open_sealed(read(text.replace(old, new).encode()), unwrap)
    assert PASSWORD not in str(found.value)


def test_values_do_not_open_at_another_key_or_with_another_key() -> None:
    swapped = read(seal())
    data = swapped["data"]
    data["on"], data["data"] = data["data"], data["on"]
    with pytest.raises(sops.Unreadable, match="does not open"):
        sealedsecrets.open_sealed(swapped, unwrap)
    with pytest.raises(sops.Unreadable, match="does not open"):
        sops.decrypt(read(seal()), b"x" * 32)


def test_ciphertexts_of_somebody_else_are_seen_without_a_private_key() -> None:
    ours, theirs = read(seal()), read(seal({**PLAIN, "data": {"password": "Zm9v"}}, key=b"z" * 32))
    ours["data"]["password"] = theirs["data"]["password"]
    text = emitter.emit(ours)
    assert sealedsecrets.read_sealed(text, where="x") is not None
    assert sealedsecrets.read_sealed(text, where="x", key=KEY) is None
    other = read(seal())
    other["sops"]["age"][0]["enc"] = "another data key"
    assert sealedsecrets.read_sealed(emitter.emit(other), where="x", key=KEY) is None


@pytest.mark.parametrize(
    "text",
    [
        b"kind: Secret\n",
        b"kind: Secret\nsops: {}\n",
        b"kind: Secret\nmetadata: {}\nsops:\n  age: []\n",
        b"kind: Secret\nmetadata:\n  annotations: [x]\nsops:\n  age:\n  - x\n",
        b"\x00",
        b"[",
        b"",
    ],
)
def test_garbage_is_no_sealed_file(text: bytes) -> None:
    assert sealedsecrets.read_sealed(text, where="x", key=KEY) is None


def test_a_file_without_its_fingerprints_is_told() -> None:
    found = read(seal())
    found["metadata"]["annotations"][FINGERPRINTS] = json.dumps({"password": "plain"})
    with pytest.raises(Stalled, match="that can be read"):
        sealedsecrets.view_of(found)


@pytest.mark.parametrize("name", ["data", "stringData"])
@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_what_has_the_name_of_an_encrypted_field_is_refused(where: str, name: str) -> None:
    twin = {**PLAIN, "metadata": {**PLAIN["metadata"], where: {name: "x"}}}
    with pytest.raises(sealedsecrets.Unsealable, match=f"metadata.{where}.{name} has the name"):
        seal(twin)


def test_a_hidden_annotation_that_has_the_name_of_a_field_is_refused() -> None:
    annotations = {"type": "it is S3cret-Marker-4711"}
    twin = {**PLAIN, "metadata": {**PLAIN["metadata"], "annotations": annotations}}
    with pytest.raises(sealedsecrets.Unsealable, match=r"^type has the name"):
        seal(twin)


def test_a_value_that_sops_does_not_write_alike_is_refused() -> None:
    with pytest.raises(sealedsecrets.Unsealable, match="SOPS can't encrypt it"):
        seal({**PLAIN, "metadata": {**PLAIN["metadata"], "odd": 1.5}})


def test_what_the_view_does_not_hide_is_never_written() -> None:
    with pytest.raises(sealedsecrets.Unsealable, match="no fingerprint"):
        sealedsecrets.seal(PLAIN, PLAIN, sealing(), KEY)


def test_faults_show_without_any_key() -> None:
    good = read(seal(PLAIN, ALICE, BOB))
    assert sealedsecrets.faults_of(good, [ALICE, BOB]) == []
    assert sealedsecrets.faults_of(good, [ALICE]) == ["its recipients are not those of the record"]
    leaked = read(seal())
    leaked["data"]["password"] = PASSWORD
    leaked["data"]["new"] = "eA=="
    assert sealedsecrets.faults_of(leaked, [ALICE]) == [
        "a value is not encrypted",
        "a value has no fingerprint",
    ]
    other = read(seal())
    other["sops"]["encrypted_regex"] = "^(on)$"
    assert "a value is not chosen for encryption" in sealedsecrets.faults_of(other, [ALICE])
    del other["sops"]["age"]
    assert sealedsecrets.faults_of(other, [ALICE]) == ["it has no age recipient"]


def test_equal_secrets_differ_in_every_ciphertext_and_not_in_their_view() -> None:
    first, second = seal(), seal(key=b"y" * 32)
    assert first != second
    assert sealedsecrets.view_of(read(first)) == sealedsecrets.view_of(read(second))


def test_a_data_key_is_shown_nowhere() -> None:
    shown = repr(sealing())
    assert repr(DATA_KEY) not in shown
    assert "key=" not in shown
