"""Drift shows no value that the run would have redacted, wherever it stands by now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture.redactrecorded import RecordedRules
from reconciler.model.policy import Manifests
from reconciler.model.redaction import Redact, RedactRule
from reconciler.plan.diff import HIDDEN, Kind
from tests.unit.engine.run_world import RunWorld, manifest
from tests.unit.engine.test_redact_rules import DOORS
from tests.unit.engine.test_redacted import drift

PATHS = ("spec.users[*].pin", "spec.code", "spec.numbers", "spec.guests[eve].pin", "spec.keys[1]")
RULE = RedactRule(name="pins", kinds=("door.example.org",), paths=PATHS)
ANN, NEW = {"name": "ann", "pin": "0815-0815"}, {"name": "new", "pin": "4711-4711"}
BOB, EVE = {"name": "bob", "pin": "is-shown"}, {"name": "eve", "pin": "2580-2580"}
CLEAR = {"level": 1, "guests": [BOB], "keys": ["north"]}
SPEC = {"users": [ANN], "code": {"front": "1234-1234"}, "numbers": "3141-3141", **CLEAR}
PINS = ("0815-0815", "4711-4711", "2580-2580", "1234-1234", "9876-9876", "3141-3141", "2718-2718")


def door_world(spec: dict[str, Any], *rules: RedactRule) -> RunWorld:
    world = RunWorld()
    world.cluster.serve(DOORS)
    world.cluster.put(manifest("example.org/v1/Door", "front", spec=spec))
    world.policy = replace(world.policy, manifests=Manifests(redact=Redact(rules=rules)))
    world.run()
    return world


def shown(world: RunWorld, spec: dict[str, Any], *, key: bool) -> str:
    """All that drift tells of the door once it is like this."""
    world.cluster.put(manifest("example.org/v1/Door", "front", spec=spec))
    return repr(drift(world, key=key).changes)


@pytest.mark.parametrize("key", [True, False], ids=["key", "no-key"])
@pytest.mark.parametrize(
    "changed",
    [
        {"users": [NEW, ANN]},
        {"users": [ANN, NEW]},
        {"users": [NEW]},
        {"users": [{**ANN, "pin": ["4711-4711"]}]},
        {"users": [{**ANN, "pin": {"old": "4711-4711"}}]},
        {"users": ["4711-4711"]},
        {"code": {"front": "1234-1234", "back": "9876-9876"}},
        {"code": {"front": {"day": "1234-1234"}}},
        {"code": "9876-9876"},
        {"numbers": {"one": "2718-2718"}},
        {"numbers": ["3141-3141", "2718-2718"]},
        {"guests": [BOB, EVE]},
        {"guests": [EVE]},
        {"keys": ["north", "9876-9876"]},
    ],
    ids=str,
)
def test_i3_what_the_rule_redacts_is_hidden_wherever_it_stands(
    changed: dict[str, Any], key: bool
) -> None:
    told = shown(door_world(SPEC, RULE), {**SPEC, **changed}, key=key)
    assert HIDDEN in told
    assert not [pin for pin in PINS if pin in told]


def test_i3_a_rule_that_found_nothing_yet_hides_what_is_new() -> None:
    told = shown(door_world(CLEAR, RULE), {**SPEC, "level": 2}, key=True)
    assert HIDDEN in told
    assert not [pin for pin in PINS if pin in told]


def test_what_stands_in_git_in_clear_is_shown() -> None:
    world = door_world(SPEC, RULE)
    changed = {"guests": [{**BOB, "pin": "changed"}], "level": 2}
    told = shown(world, {**SPEC, **changed}, key=True)
    assert "is-shown" in told
    assert "changed" in told
    assert HIDDEN not in told


def test_without_own_rules_what_is_new_is_shown() -> None:
    assert "is-shown" in shown(door_world({"level": 1}), CLEAR, key=True)


def test_who_was_there_is_unchanged_beside_a_new_neighbour() -> None:
    world = door_world(SPEC, RULE)
    front = manifest("example.org/v1/Door", "front", spec={**SPEC, "users": [NEW, ANN]})
    world.cluster.put(front)
    (change,) = drift(world).changes
    assert {one.kind for one in change.fields} == {Kind.ADDED}, change


TEXT = b"""\
apiVersion: example.org/v1
kind: Door
metadata: {name: a, labels: {app: web}, annotations: {note: old}}
spec: {colour: green, pin: hmac-sha256:omitted, gone: null}
"""


@pytest.mark.parametrize(
    ("doubtful", "hidden"),
    [
        (False, {("spec", "pin")}),
        (True, {("spec", "pin"), ("spec", "gone"), ("metadata", "annotations", "new")}),
    ],
)
def test_what_is_never_redacted_is_never_hidden(doubtful: bool, hidden: set[Any]) -> None:
    live = {
        "apiVersion": "example.org/v2",
        "kind": "Door",
        "metadata": {
            "name": "b",
            "labels": {"app": "x", "new": "y"},
            "annotations": {"note": "other", "new": "z"},
        },
        "spec": {"colour": "red", "pin": 1, "gone": "here"},
    }
    found = RecordedRules(TEXT, doubtful=doubtful).find(live, DOORS)
    assert set(found) == hidden


def test_a_text_of_somebody_elses_is_not_compared() -> None:
    live = {"kind": "Door", "metadata": {}, "spec": {"password": "of-the-d00r"}}
    found = RecordedRules(b"<<<<<<< ours", doubtful=True).find(live, DOORS)
    assert set(found) == {("spec", "password")}
