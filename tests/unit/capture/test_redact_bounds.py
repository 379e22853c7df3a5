"""What redaction may cost for one object: whoever may write objects chooses how many places."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.capture import canonical, fingerprints, redact, redactplaces, redactpolicy
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from tests.unit.capture.objects import live, resource

KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "prod-eu")
DOOR = resource("door.example.org")
TOO_MANY = canonical.LeftOut(canonical.TOO_MANY, fault=True)
ALL = redactpolicy.PolicyRules(
    Redact(rules=(RedactRule(name="all", kinds=("*",), paths=("*", "metadata.annotations")),))
)
KEPT = redactpolicy.PolicyRules(
    Redact(keep=(KeepRule(name="k", kinds=("*",), paths=("spec.x",), reason="words"),))
)
FORMED = f"{fingerprints.PREFIX}omitted"


def nested(depth: int, values: list[Any]) -> Any:
    for _ in range(depth):
        values = [values]
    return values


def capture(raw: dict[str, Any], rules: Any = None) -> canonical.Captured | canonical.LeftOut:
    chosen = {} if rules is None else {"rules": rules}
    return canonical.capture_object(raw, DOOR, fingerprint_key=KEY, **chosen)


@pytest.mark.parametrize(
    ("raw", "rules"),
    [
        (live("x", spec={"password": nested(400, ["hunter2"] * 2500)}), None),
        (live("x", spec={"password": nested(400, ["hunter2"] * 2500)}), KEPT),
        (live("x", spec={"codes": nested(400, [1] * 2500)}), ALL),
        (live("x", spec={"codes": nested(400, [FORMED] * 2500)}), None),
        (live("x", spec={"k" * 70_000: {"password": ["hunter2"] * 100}}), None),
        (live("x", spec=[{"name": "n" * 70_000, "password": ["hunter2"] * 100}]), None),
    ],
    ids=["deep", "keep", "own-rule", "formed-like-one", "long-key", "long-name"],
)
def test_what_is_too_much_is_left_out_and_told(raw: dict[str, Any], rules: Any) -> None:
    assert capture(raw, rules) == TOO_MANY


def test_a_comparison_has_the_same_bound() -> None:
    raw = live("x", spec={"password": nested(400, ["hunter2"] * 2500)})
    found = canonical.capture_like(raw, DOOR, b"kind: Door\n", fingerprint_key=KEY, rules=ALL)
    assert found == TOO_MANY
    long = live("x", spec={"k" * 70_000: {"password": ["hunter2"] * 100}})
    found = canonical.capture_like(long, DOOR, b"kind: Door\n", fingerprint_key=KEY, rules=ALL)
    assert found == TOO_MANY


def test_a_large_object_that_is_flat_is_captured_whole() -> None:
    raw = live("x", data={f"key.{number}": "ab" for number in range(3_000)})
    found = canonical.capture_object(raw, resource("configmap"), fingerprint_key=KEY, rules=ALL)
    assert isinstance(found, canonical.Captured)
    assert len(found.redacted) == 3_000


def test_places_are_counted_once() -> None:
    places: redactplaces.Places[str] = redactplaces.Places()
    far = ("a",) * 9_999
    many = redactplaces.MOST_STEPS // 10_000
    for _ in range(2):
        for number in range(many):
            places[*far, number] = "first"
    assert places.setdefault((*far, 0), "second") == "first"
    with pytest.raises(redactplaces.TooMany):
        places.setdefault(("d",), "x")
    with pytest.raises(redactplaces.TooMany):
        places["d",] = "x"
    assert len(places) == many


class Asked(str):
    """A key that counts how often it is asked for."""

    __slots__ = ()
    hashed = 0

    def __hash__(self) -> int:
        Asked.hashed += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


@pytest.mark.parametrize("named", [False, True])
def test_a_step_asks_once_whether_its_name_is_hidden(named: bool) -> None:
    """Twice as deep is twice the work, also where each item has a name that is redacted."""

    def hashes(depth: int) -> int:
        value: Any = {"pin": 1, "name": "n"} if named else {"pin": 1}
        keys: list[str | int] = ["pin"]
        places: list[redact.Keys] = [("name",)]
        for _ in range(depth):
            value = {Asked("list"): [value], "name": "n"} if named else {Asked("list"): [value]}
            keys = [Asked("list"), 0, *keys]
            places = [(Asked("list"), 0, *place) for place in places]
            places += [("name",)] if named else []
        raw = {"kind": "Door", "metadata": {"name": "x"}, **value}
        hits = {tuple(keys): "pin"} | (dict.fromkeys(places[:1], "all") if named else {})
        Asked.hashed = 0
        made = redact.redact(raw, hits, KEY)
        assert [one.path for one in made.findings if one.rule == "pin"] == [path(depth, named)]
        return Asked.hashed

    assert hashes(200) < 2.5 * hashes(100)


def path(depth: int, named: bool) -> str:
    items = [".list[n]" if named else ".list[0]"] * depth
    items[-1] = ".list[0]"
    return "".join((*items, ".pin")).removeprefix(".")
