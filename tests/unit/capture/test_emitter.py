"""What the emitter writes reads back alike in YAML 1.1 and 1.2, whatever the value."""

from __future__ import annotations

import random
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML

from reconciler.capture import emitter
from tests.unit.capture import nasty


def read_1_1(text: bytes) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


def read_1_2(text: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(text.decode())


def same(left: Any, right: Any) -> bool:
    """Equal and of one type: YAML readers must not turn 1.0 into 1 or "1" into 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def assert_survives(document: dict[str, Any]) -> None:
    text = emitter.emit(document)
    for name, read in (("1.1", read_1_1), ("1.2", read_1_2)):
        assert same(read(text), document), (name, text)
    assert emitter.emit(read_1_1(text)) == text
    assert same(read_1_1(emitter.emit_in_order(document)), document)


def around(value: Any) -> dict[str, Any]:
    """The value in every place it can stand in."""
    return {"a": value, "l": [value, [value, value], {"k": value, "z": 1}], "m": {"x": value}}


def test_strings_that_others_misread_survive() -> None:
    assert len(nasty.STRINGS) >= 300
    for value in nasty.STRINGS:
        text = emitter.emit(around(value))
        assert same(read_1_1(text), around(value)), (value, text)


@pytest.mark.parametrize("part", range(8))
def test_the_same_strings_survive_yaml_1_2(part: int) -> None:
    values = nasty.SHORT[part::8]
    assert_survives({"items": [around(value) for value in values]})


@pytest.mark.parametrize("value", nasty.LONG)
def test_long_strings_survive(value: str) -> None:
    assert_survives({"a": value, "l": [value]})


@pytest.mark.parametrize("part", range(4))
def test_odd_keys_survive(part: int) -> None:
    keys = nasty.KEYS[part::4]
    assert_survives({"data": dict.fromkeys(keys, "x"), "deep": [{key: {key: 1}} for key in keys]})
    for key in keys:
        assert same(read_1_1(emitter.emit({key: "x"})), {key: "x"})


@pytest.mark.parametrize("value", nasty.VALUES)
def test_empty_nested_and_explicit_forms_survive(value: Any) -> None:
    assert_survives(around(value))


def test_numbers_survive() -> None:
    assert_survives(around(nasty.NUMBERS))


def test_a_mebibyte_of_text_survives() -> None:
    text = "".join(f"line {n}: {'x' * (n % 90)}\n" for n in range(18_000))
    assert len(text) > 1_000_000 - 100_000
    for value in (text, text + "\x85", "y" * 1_048_576):
        assert read_1_1(emitter.emit({"data": {"big": value}})) == {"data": {"big": value}}


def test_many_documents_survive() -> None:
    """A fixed lot, and the fast reader; tests/integration searches on with all three."""
    dice = random.Random(20261121)  # noqa: S311 - the same documents every time
    for _ in range(300):
        document = {random_text(dice): random_value(dice, 4) for _ in range(3)}
        text = emitter.emit(document)
        assert same(read_1_1(text), document), text
        assert emitter.emit(read_1_1(text)) == text
        assert same(read_1_1(emitter.emit_in_order(document)), document)


def random_text(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return dice.choice(nasty.SHORT)
    return "".join(dice.choices("ab:#-?|>'\"\\ \t\n\r\x85\u2028\ufeff{}[],&*!%@`~=<.0158_eEx", k=9))


def random_value(dice: random.Random, depth: int) -> Any:
    kind = dice.randrange(6 if depth else 4)
    if kind < 3:
        return random_text(dice)
    if kind == 3:
        return dice.choice([None, True, dice.choice(nasty.NUMBERS), dice.random() * 10**9])
    if kind == 4:
        return [random_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {random_text(dice): random_value(dice, depth - 1) for _ in range(dice.randrange(4))}


def test_the_order_of_keys_is_fixed() -> None:
    document = {
        "spec": {"b": 1, "a": 2},
        "metadata": {"labels": {}, "namespace": "shop", "annotations": {}, "name": "web"},
        "kind": "Deployment",
        "data": None,
        "apiVersion": "apps/v1",
    }
    assert emitter.emit(document).decode().splitlines() == [
        "apiVersion: apps/v1",
        "kind: Deployment",
        "metadata:",
        "  name: web",
        "  namespace: shop",
        "  annotations: {}",
        "  labels: {}",
        "data: null",
        "spec:",
        "  a: 2",
        "  b: 1",
    ]
    shuffled = dict(sorted(document.items()))
    assert emitter.emit(shuffled) == emitter.emit(document)


def test_readable_where_it_is_safe() -> None:
    document = {
        "image": "registry.example.org/shop:1.8.2",
        "cpu": "100m",
        "script": "#!/bin/sh\n\tset -e\n\necho done \n",
        "indented": "  two\nnone",
        "port": "8080",
        "answer": "no",
        "text": "two words",
    }
    assert emitter.emit(document).decode() == (
        'answer: "no"\n'
        "cpu: 100m\n"
        "image: registry.example.org/shop:1.8.2\n"
        "indented: |2-\n    two\n  none\n"
        'port: "8080"\n'
        "script: |\n  #!/bin/sh\n  \tset -e\n\n  echo done \n"
        "text: two words\n"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"not a JSON number|surrogate"):
        emitter.emit({"a": value})


def test_a_foreign_type_is_refused() -> None:
    with pytest.raises(TypeError, match="JSON has no set"):
        emitter.emit({"a": {1, 2}})
