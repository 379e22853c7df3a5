"""A leaked value is taken out of a file in every form that it has there, and nothing else is."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.capture import emitter, loading
from reconciler.capture.purging import WORD, Purge, parse_value
from reconciler.model.errors import Refused

VALUE = 'S3cr3t/"pass word"+<x>&é'
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"
PURGE = Purge([VALUE, KEY])


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def taken_out(text: str) -> Any:
    made = PURGE.take_out(emitter.emit({"kind": "ConfigMap", "data": {"a": text}}), "a file")
    assert made is not None, text
    assert not PURGE.holds(made)
    return loading.load_document(made)["data"]["a"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (VALUE, WORD),
        (f"user:{VALUE}@host {VALUE}", f"user:{WORD}@host {WORD}"),
        (json.dumps({"p": VALUE}), json.dumps({"p": WORD})),
        (json.dumps({"p": VALUE}, ensure_ascii=False), json.dumps({"p": WORD})),
        ('{"p":"' + json.dumps(VALUE)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e")
         .replace("&", "\\u0026") + '"}', '{"p":"' + WORD + '"}'),
        (f"https://u:{quote(VALUE, safe='')}@host/", f"https://u:{WORD}@host/"),
        (f"0x{VALUE.encode().hex()}.", f"0x{WORD}."),
        (VALUE.encode().hex().upper(), WORD),
        (b64(VALUE), b64(WORD)),
        (b64(f"user:{VALUE}"), b64(f"user:{WORD}")),
        (f"Basic {b64('u:' + VALUE + '!')}\n", f"Basic {b64('u:' + WORD + '!')}\n"),
        (f"line\n{KEY}\nline\n", f"line\n{WORD}\nline\n"),
        (base64.encodebytes(f"{KEY}\n".encode()).decode(), b64(f"{WORD}\n")),
        (f"https://host/{b64('x' + VALUE)}", f"https:{WORD}"),
    ],
)  # fmt: skip
def test_every_form(text: str, left: str) -> None:
    assert taken_out(text) == left


def test_the_rest_of_the_file_stays_byte_for_byte() -> None:
    before = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "namespace": "shop", "labels": {"on": "yes", "n": "08"}},
        "data": {"leak": VALUE, "other": "12:30", "block": "a\n  b\n", "odd": "\x00é\u2028"},
        "spec": {"replicas": 3, "part": 1.5, "none": None, "yes": True, "list": [[], {}]},
    }
    made = PURGE.take_out(emitter.emit(before), "a file")
    assert made == emitter.emit({**before, "data": {**before["data"], "leak": WORD}})  # type: ignore[dict-item]


def test_a_file_without_the_value_is_not_touched() -> None:
    assert PURGE.take_out(b"a: b\n", "a file") is None
    assert PURGE.take_out(b"\xff\0\n", "a file") is None


def test_what_is_no_manifest_is_purged_as_text() -> None:
    made = PURGE.take_out(b"\xff %s :\n- [" % VALUE.encode(), "NOTES.md")
    assert made == b"\xff %s :\n- [" % WORD.encode()


def test_a_number_and_a_key() -> None:
    purge = Purge(["4711471100"])
    text = emitter.emit({"data": {"pin": 4711471100, "4711471100": "x"}})
    made = purge.take_out(text, "a file")
    assert made is not None
    assert loading.load_document(made) == {"data": {"pin": WORD, WORD: "x"}}


def test_fields_that_would_have_one_name() -> None:
    text = emitter.emit({"data": {VALUE: "x", WORD: "y"}})
    with pytest.raises(Refused, match="two fields of shop/x would have one name"):
        PURGE.take_out(text, "shop/x")


def test_a_form_that_can_be_seen_and_not_taken_out_is_an_error() -> None:
    # A person's comment, folded: no string of the document has it.
    text = b"# %s\nkind: ConfigMap\n# -\n" % b64(VALUE).encode()
    made = PURGE.take_out(text, "a file")
    assert made == b"kind: ConfigMap\n", "comments go with what is emitted anew"
    folded = b"\xff- [\n" + KEY.replace("\n", "\n    ").encode()
    with pytest.raises(Refused, match=r"the value can't be taken out of NOTES\.md"):
        PURGE.take_out(folded, "NOTES.md")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6), st.binary(),
       st.binary())  # fmt: skip
def test_base64_around_it_is_always_seen(value: str, before: bytes, after: bytes) -> None:
    held = base64.b64encode(before + value.encode() + after)
    assert Purge([value]).holds(b"a: %s\n" % held)


@given(st.text(min_size=6).filter(lambda text: len(text.strip()) >= 6 and text not in WORD),
       st.text(), st.text())  # fmt: skip
def test_whatever_stands_around_it_nothing_is_left(value: str, before: str, after: str) -> None:
    try:
        text = emitter.emit({"data": {"a": before + value + after}})
    except ValueError:
        return  # half of a surrogate pair
    purge = Purge([value])
    made = purge.take_out(text, "a file")
    assert made is None or not purge.holds(made)
    if made is not None:
        assert value not in loading.load_document(made)["data"]["a"]


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"short\n", "fewer than 6 characters"), (b"      \n", "fewer than"), (b"\xff" * 9, "UTF-8")],
)
def test_a_value_that_is_none(data: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        parse_value(data, "leak.txt")
    assert parse_value(b"two\nlines\n\n", "leak.txt") == "two\nlines"
