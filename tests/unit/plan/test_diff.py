"""What differs between two manifests, as a person would say it; and nothing of a Secret."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plan.diff import HIDDEN, Kind, compare_objects, flatten, render_path
from reconciler.plan.difflists import token


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": list(containers), **spec}}},
    }


WEB = {
    "name": "web",
    "image": "web:1",
    "args": ["--a", "--b=1"],
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
    "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}],
}
UDP = '{"containerPort": 80, "protocol": "UDP"}'
SIDE = {"name": "side", "image": "side:1"}
HERE = "spec.template.spec.containers"


def told(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line per change."""
    return [
        f"{change.kind} {change.field}: {json.dumps(change.old)} {json.dumps(change.new)}"
        for change in compare_objects(old, new)
    ]


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("an image", {"image": "web:2"}, [f'changed {HERE}[name=web].image: "web:1" "web:2"']),
    (
        "a variable",
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]},
        [f'changed {HERE}[name=web].env[name=B].value: "2" "3"'],
    ),
    (
        "a variable in front",
        {"env": [{"name": "0", "value": ""}, *WEB["env"]]},
        [f'added {HERE}[name=web].env[name=0]: null {{"name": "0", "value": ""}}'],
    ),
    (
        "variables in another order",
        {"env": WEB["env"][::-1]},
        [f'reordered {HERE}[name=web].env: ["name=A", "name=B"] ["name=B", "name=A"]'],
    ),
    (
        "a port of two that are told apart by protocol",
        {"ports": [{"containerPort": 80}]},
        [
            f"removed {HERE}[name=web].ports[containerPort=80,protocol=UDP]: {UDP} null",
        ],
    ),
    (
        "a mount of a volume that is mounted twice",
        {"volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/b"}]},
        [f'changed {HERE}[name=web].volumeMounts[mountPath=/b].name: "v" "w"'],
    ),
    (
        "an argument",
        {"args": ["--a", "--b=2"]},
        [f'changed {HERE}[name=web].args[1]: "--b=1" "--b=2"'],
    ),
    (
        "an argument in front",
        {"args": ["--0", "--a", "--b=1"]},
        [f'added {HERE}[name=web].args[0]: null "--0"'],
    ),
    (
        "a field that is gone",
        {"args": None},
        [f'removed {HERE}[name=web].args: ["--a", "--b=1"] null'],
    ),
]


@pytest.mark.parametrize(("what", "changed", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_change_of_a_container(what: str, changed: dict[str, Any], expected: list[str]) -> None:
    new = {key: value for key, value in {**WEB, **changed}.items() if value is not None}
    assert told(pod(WEB), pod(new)) == expected, what


def test_a_container_that_was_put_in_front_is_one_change() -> None:
    assert told(pod(WEB), pod(SIDE, WEB)) == [
        f'added {HERE}[name=side]: null {{"name": "side", "image": "side:1"}}'
    ]


def test_names_that_stand_twice_are_no_names() -> None:
    twice = {**WEB, "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
    found = told(pod(WEB), pod(twice))
    assert found == [
        f'changed {HERE}[name=web].env[1].name: "B" "A"',
    ]


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (1, True), (0, False), ("1", 1), ([], {}), ([], None), (None, "")]
)
def test_values_of_another_type_differ(old: object, new: object) -> None:
    assert len(compare_objects({"x": old}, {"x": new})) == 1
    assert len(compare_objects({"x": {"y": [old]}}, {"x": {"y": [new]}})) == 1


def test_what_is_not_there_is_not_null() -> None:
    assert told({}, {"x": None}) == ["added x: null null"]


def test_long_lists_without_names_are_one_value() -> None:
    old = {"x": [f"a{number}" for number in range(600)]}
    new = {"x": [f"b{number}" for number in range(600)]}
    (change,) = compare_objects(old, new)
    assert (change.field, change.kind) == ("x", Kind.CHANGED)


SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "type": "Opaque"}
VALUES = ("hmac-sha256:" + "a" * 64, "hmac-sha256:" + "b" * 64, "Z2VoZWlt", "plain!")


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_a_secrets_values_are_never_told(field: str) -> None:
    old = {**SECRET, field: {"a": VALUES[0], "b": VALUES[2], "gone": VALUES[3]}}
    new = {**SECRET, field: {"a": VALUES[1], "b": VALUES[3], "made": VALUES[0]}}
    both = [*compare_objects(old, new), *compare_objects(SECRET, new), *compare_objects(old, {})]
    fields = list(flatten(new))
    text = repr([(c.path, c.kind, c.old, c.new) for c in both]) + repr([f.value for f in fields])
    assert not [value for value in VALUES if value in text or value[:20] in text]
    assert all(change.hidden for change in compare_objects(old, new))
    assert [str(change.kind) for change in compare_objects(old, new)] == [
        *("changed", "changed", "removed", "added")
    ]


def test_fingerprints_anywhere_are_hidden() -> None:
    old = {"kind": "ConfigMap", "data": {"x": VALUES[0], "y": ["ENC[AES256_GCM,data:x]"]}}
    new = {"kind": "ConfigMap", "data": {"x": VALUES[1], "y": []}}
    assert told(old, new) == [
        f'changed data.x: "{HIDDEN}" "{HIDDEN}"',
        f'removed data.y[0]: "{HIDDEN}" null',
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b"), "a.b"),
        (("metadata", "labels", "app.io/name"), "metadata.labels[app.io/name]"),
        (("a", "", "[x]"), 'a[""][[x]]'),
    ],
)
def test_a_path_as_text(path: tuple[str, ...], text: str) -> None:
    assert render_path(path) == text


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b"]), st.floats(0, 1)
)
NAMED = st.fixed_dictionaries({"name": st.sampled_from("abc")}, optional={"value": SCALARS})
VALUE = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(NAMED, max_size=4),
        st.dictionaries(st.sampled_from(["name", "env", "ports", "x"]), inner, max_size=3),
    ),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from(["data", "spec", "containers"]), VALUE, max_size=3)


@settings(max_examples=150)
@given(OBJECT, OBJECT)
def test_nothing_is_told_exactly_if_the_two_are_equal(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert (compare_objects(old, new) == ()) == (token(old) == token(new))
    assert compare_objects(old, copy.deepcopy(old)) == ()
