"""The search for secrets finds them in every form, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from tests.rig.stage import searching

SECRET = b"marker-0123456789?>abcdef~\xff"


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_wherever_it_begins(offset: int, encode: Callable[[bytes], bytes]) -> None:
    inside = encode(b"x" * offset + SECRET + b"and more")
    assert searching.find({"it": SECRET}, {"here": b"around" + inside}) == ["it in here"]


@pytest.mark.parametrize("offset", range(3))
def test_a_secrets_json_is_found_when_it_was_encoded_as_a_whole(offset: int) -> None:
    body = json.dumps({"a" * offset: base64.b64encode(SECRET).decode()}).encode()
    assert searching.find({"it": SECRET}, {"here": base64.b64encode(body)}) == ["it in here"]


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.hex().encode(),
        SECRET.hex().upper().encode(),
        b"marker-0123456789%3F%3Eabcdef~%FF",
    ],
)
def test_other_forms_are_found(form: bytes) -> None:
    assert searching.find({"it": SECRET}, {"here": b"(" + form + b")"}) == ["it in here"]


def test_less_than_the_whole_secret_is_not_found() -> None:
    corpus = {"plain": SECRET[:-1], "base64": base64.b64encode(SECRET[1:]), "empty": b""}
    assert searching.find({"it": SECRET}, corpus) == []


def test_what_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        searching.forms_of(b"short")


def test_a_keys_frame_and_head_are_not_secret() -> None:
    key = b"-----BEGIN X-----\nb3BlbnNzaC1rZXktdjEAAAAA\nAAAAsecretsecretsecret\n-----END X-----\n"
    assert list(searching.key_lines(key)) == [b"AAAAsecretsecretsecret"]
