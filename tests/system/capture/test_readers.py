"""All readers together, for longer: kubectl is the one that people restore with."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.capture import emitter
from tests.unit.capture import nasty, test_emitter

KUBECTL = Path(sys.executable).with_name("kubectl")
SIGNS = "ab:#-?|>'\"\\ \t\n\r\x85\u2028\ufeff{}[],&*!%@`~=<.01_exo"


def kubectl_reads(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What kubectl would send to the server, by name; `label --local` asks no server."""
    text = b"---\n".join(emitter.emit(document) for document in documents)
    command = [str(KUBECTL), "label", "--local", "-f", "-", "-o", "json", "read=it"]
    shown = subprocess.run(command, input=text, capture_output=True, check=True, timeout=60)
    decoder, rest, found = json.JSONDecoder(), shown.stdout.decode().strip(), {}
    while rest:
        value, end = decoder.raw_decode(rest)
        rest = rest[end:].lstrip()
        for item in value["items"] if value["kind"] == "List" else [value]:
            found[item["metadata"]["name"]] = item
    return found


def config_map(name: str, data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def around(value: Any) -> dict[str, Any]:
    return {"a": value, "l": [value, [value, value], {"k": value, "z": 1}], "m": {"x": value}}


def assert_read_back(data: list[Any]) -> None:
    documents = [config_map(f"n{index}", value) for index, value in enumerate(data)]
    found = kubectl_reads(documents)
    wrong = [
        (value, found.get(f"n{index}", {}).get("data"))
        for index, value in enumerate(data)
        if found.get(f"n{index}", {}).get("data") != value
    ]
    assert wrong == []


def test_kubectl_reads_every_nasty_value() -> None:
    # Kubernetes itself turns integers beyond int64 into floats, so no server ever sends one.
    numbers = [number for number in nasty.NUMBERS if number < 2**63]
    values = [*nasty.STRINGS, *nasty.VALUES, numbers]
    assert len(values) > 300
    assert_read_back([around(value) for value in values])


def test_kubectl_reads_every_nasty_key() -> None:
    assert_read_back([{key: "x", "l": [{key: {key: 1}}]} for key in nasty.KEYS])


def test_kubectl_reads_random_texts() -> None:
    dice = random.Random(20261121)  # noqa: S311 - a fixed seed, so that a failure comes again
    pieces = [*SIGNS, "  ", "\n\n"]
    texts = ["".join(dice.choices(pieces, k=dice.randint(1, 12))) for _ in range(3000)]
    assert_read_back([{"v": text, text: [text]} for text in texts])


any_text = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text("ab:#-?|>'\"\\ \t\n\r\x85\u2028\ufeff{}[],&*!%@`~=<.0123456789_+eExXoO", max_size=12),
    st.lists(st.sampled_from(["a", " ", "\t", "\n", "  b", "-", "#", "---"]), max_size=9).map(
        "".join
    ),
)
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        any_text,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=600, database=None)
@given(st.dictionaries(any_text, json_values, max_size=4))
def test_any_json_document_survives_both_yaml_versions(document: dict[str, Any]) -> None:
    test_emitter.assert_survives(document)
