"""A policy's own rules: what they redact, what they keep, and what they can't reach or cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.capture import canonical, fingerprints, redact, redactpolicy
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from tests.unit.capture.objects import live, resource

KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "prod-eu")
DOOR = resource("door.example.org")
MAP = resource("configmap")
USERS = [{"name": "ann", "pin": 4711}, {"name": "bob", "pin": "0815"}, {"pin": True}]


def rule(*paths: str, name: str = "pins", kinds: tuple[str, ...] = ("*",)) -> RedactRule:
    return RedactRule(name=name, kinds=kinds, paths=paths)


def keeps(*paths: str, kinds: tuple[str, ...] = ("*",), names: tuple[str, ...] = ()) -> KeepRule:
    return KeepRule(name="known", kinds=kinds, paths=paths, names=names, reason="no credential")


def rules(
    *given: RedactRule | KeepRule, may_keep: bool = True, only_namespaced: bool = False
) -> redactpolicy.PolicyRules:
    own = tuple(one for one in given if isinstance(one, RedactRule))
    keep = tuple(one for one in given if isinstance(one, KeepRule))
    return redactpolicy.PolicyRules(
        Redact(rules=own, keep=keep), may_keep=may_keep, only_namespaced=only_namespaced
    )


def capture(
    raw: dict[str, Any], by: redactpolicy.PolicyRules, kind: Any = DOOR
) -> canonical.Captured:
    found = canonical.capture_object(raw, kind, fingerprint_key=KEY, rules=by)
    assert isinstance(found, canonical.Captured)
    return found


def fields(found: canonical.Captured) -> dict[str, str]:
    return {one.path: one.rule for one in found.redacted}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("spec.users[*].pin", ["spec.users[ann].pin", "spec.users[bob].pin", "spec.users[2].pin"]),
        ("spec.users[bob].pin", ["spec.users[bob].pin"]),
        ("spec.users[0].pin", ["spec.users[ann].pin"]),
        ("spec.users[2].pin", ["spec.users[2].pin"]),
        ("spec.users[bob]", ["spec.users[1].name", "spec.users[1].pin"]),
        ("spec.*.deep", ["spec.more.deep"]),
        ("spec.more", ["spec.more.deep", "spec.more.list[0]", "spec.more.list[1]"]),
        ("spec.more.list[*]", ["spec.more.list[0]", "spec.more.list[1]"]),
        ("spec['a.b']", ["spec['a.b']"]),
        ("*.colour", ["spec.colour"]),
        ("spec.users.pin", []),
        ("spec.users.*.pin", []),
        ("spec.more[*]", []),
        ("spec.nothing", []),
        ("spec.colour.deeper", []),
    ],
)
def test_what_a_path_takes(path: str, found: list[str]) -> None:
    more: dict[str, Any] = {"deep": "x", "list": ["a", "b"], "none": None, "empty": {}}
    spec = {"users": USERS, "more": more, "a.b": "c", "colour": "red"}
    by = rules(rule(path))
    made = capture(live("front", spec=spec), by)
    assert sorted(fields(made)) == sorted(found)
    assert set(fields(made).values()) <= {"policy/pins"}
    told = [] if found else [f"manifests.redact.rules: pins: {path} matches nothing"]
    assert list(by.unmatched()) == told


def test_every_value_comes_back_proven_without_any_rule() -> None:
    """Names of items among them: they are a part of the way to their neighbours."""
    raw = live("front", spec={"users": USERS, "open": False, "level": 3, "note": ""})
    made = capture(raw, rules(rule("spec")))
    assert len(made.redacted) == 8
    assert made.secret is not None
    whole = json.loads(made.secret)
    stored = canonical.read_manifest(made.text)
    filled = redact.prove(stored, whole, KEY).fill(stored)
    assert filled.document["spec"] == raw["spec"]
    assert (filled.lacking, filled.lost) == ((), ())
    swapped = {**whole, "spec": {**whole["spec"], "users": [USERS[1], USERS[0], USERS[2]]}}
    with pytest.raises(redact.Unproven):
        redact.prove(stored, swapped, KEY)


def test_a_name_that_is_redacted_stands_in_no_path() -> None:
    raw = live("front", spec={"users": [{"name": "eve-4711", "pin": "x"}, *USERS]})
    found = capture(raw, rules(rule("spec.users[eve-4711]", "spec.users[ann].pin")))
    assert set(fields(found)) == {
        "spec.users[0].name",
        "spec.users[0].pin",
        "spec.users[ann].pin",
    }
    assert b"eve-4711" not in found.text
    like = canonical.capture_like(raw, DOOR, found.text, fingerprint_key=KEY)
    assert isinstance(like, canonical.Captured)
    assert like.text == found.text


def test_items_with_names_prove_no_others_value() -> None:
    made = capture(live("front", spec={"users": USERS[:2]}), rules(rule("spec.users[*].pin")))
    assert made.secret is not None
    whole = json.loads(made.secret)
    stored = canonical.read_manifest(made.text)
    renamed = json.loads(json.dumps(whole).replace("ann", "x").replace("bob", "ann"))
    renamed["spec"]["users"].reverse()
    with pytest.raises(redact.Unproven):
        redact.prove(stored, renamed, KEY)


@pytest.mark.parametrize("kinds", [("door.example.org",), ("doors.example.org",), ("*.example.*",)])
def test_kinds_are_named_as_everywhere(kinds: tuple[str, ...]) -> None:
    raw = live("front", spec={"colour": "red"})
    assert fields(capture(raw, rules(rule("spec.colour", kinds=kinds))))
    assert not fields(capture(raw, rules(rule("spec.colour", kinds=("window.*",)))))


def test_a_default_rule_finds_what_it_found() -> None:
    raw = live("front", data={"password": "m4il", "colour": "red"})
    both = fields(capture(raw, rules(rule("data.colour")), MAP))
    assert both == {"data.password": "config-name", "data.colour": "policy/pins"}


ALL = rule("*", "*.*", "metadata.annotations")


@pytest.mark.parametrize(
    "folder",
    ["namespace", "persistentvolumeclaim", "customresourcedefinition.apiextensions.k8s.io"],
)
def test_what_a_restore_reads_stays_readable(folder: str) -> None:
    metadata = {"annotations": {"note": "x"}, "labels": {"app": "web"}}
    raw = live("front", metadata=metadata, spec={"size": "1Gi", "names": {"kind": "Door"}})
    found = fields(capture(raw, rules(ALL), resource(folder)))
    assert found == {"metadata.annotations.note": "policy/pins"}


def test_names_labels_and_our_own_annotations_are_nobodys_to_redact() -> None:
    notes = {"note": "x", "backstay.dev/captured-owners": "y"}
    raw = live("front", metadata={"annotations": notes, "labels": {"app": "web"}}, spec={"a": "b"})
    found = capture(raw, rules(ALL))
    assert set(fields(found)) == {"metadata.annotations.note", "spec.a"}


def test_a_secret_is_redacted_as_ever_and_gets_rules_for_its_annotations() -> None:
    raw = live("db", metadata={"annotations": {"note": "x"}}, data={"a": "Yg=="}, type="Opaque")
    plain = capture(raw, rules(), resource("secret"))
    found = capture(raw, rules(ALL), resource("secret"))
    assert fields(found) == {"metadata.annotations.note": "policy/pins"}
    masked = canonical.read_manifest(found.text)
    assert masked["data"] == canonical.read_manifest(plain.text)["data"]
    assert masked["type"] == "Opaque"


TWO = {"password": "m4il-1", "a.css": "password = in-the-f0rm"}


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        (keeps("data['a.css']"), {"data.password"}),
        (keeps("data.*"), set()),
        (keeps("data['a.css']", names=("fr*",)), {"data.password"}),
        (keeps("data['a.css']", names=("back",)), {"data.password", "data['a.css']"}),
        (keeps("data['a.css']", kinds=("secret",)), {"data.password", "data['a.css']"}),
        (keeps("data.passwords"), {"data.password", "data['a.css']"}),
    ],
)
def test_what_is_kept_is_exactly_that(keep: KeepRule, found: set[str]) -> None:
    raw = live("front", data=TWO)
    by = rules(keep)
    made = capture(raw, by, MAP)
    assert set(fields(made)) == found
    assert (b"m4il-1" in made.text) is ("data.password" not in found)
    assert bool(list(by.unmatched())) is (found == {"data.password", "data['a.css']"})
    refused = rules(keep, may_keep=False)
    assert set(fields(capture(raw, refused, MAP))) == {"data.password", "data['a.css']"}


def test_keep_takes_nothing_that_is_below_its_path() -> None:
    raw = live("front", spec={"auth": {"password": "s3cret-1"}})
    for path in ("spec", "spec.auth", "spec.auth.password.value"):
        assert fields(capture(raw, rules(keeps(path)))) == {"spec.auth.password": "custom-resource"}


NOT_OF_A_NAMESPACE: dict[str, dict[str, Any]] = {
    "storageclass.storage.k8s.io": {"parameters": {"secret": "s3cret-1"}},
    "persistentvolume": {
        "spec": {
            "csi": {"volumeAttributes": {"password": "s3cret-1"}},
            "flexVolume": {"options": {"password": "s3cret-1"}},
        }
    },
    "mutatingwebhookconfiguration.admissionregistration.k8s.io": {
        "webhooks": [{"name": "a", "clientConfig": {"url": "https://a:s3cret-1@example.org"}}]
    },
    "namespace": {"metadata": {"annotations": {"password": "s3cret-1"}}},
    "door.example.org": {"spec": {"password": "s3cret-1"}},
}
ALL_PLACES = (
    *("parameters.*", "spec.csi.volumeAttributes.*", "spec.flexVolume.options.*", "spec.password"),
    *("webhooks[*].clientConfig.url", "metadata.annotations.*"),
)


@pytest.mark.parametrize("kind", NOT_OF_A_NAMESPACE)
def test_what_has_no_namespace_is_kept_where_all_are_granted_only(kind: str) -> None:
    """A policy takes along what its namespaces refer to, and that is another's."""
    raw = live("front", namespace="", **NOT_OF_A_NAMESPACE[kind])
    what = resource(kind, namespaced=False)
    kept = keeps(*ALL_PLACES)
    by = rules(kept, only_namespaced=True)
    assert fields(capture(raw, by, what)) == fields(capture(raw, rules(), what)) != {}
    assert b"s3cret-1" not in capture(raw, by, what).text
    assert fields(capture(raw, rules(kept), what)) == {}
    assert fields(capture(raw, rules(kept, only_namespaced=True), resource(kind))) == {}


def test_what_is_not_kept_for_want_of_a_namespace_is_told() -> None:
    by = rules(keeps("spec.password", "spec.pin", "spec.token"), only_namespaced=True)
    raw = live("front", namespace="", spec={"password": "s3cret-1"})
    capture(raw, by, resource("door.example.org", namespaced=False))
    capture(live("front", spec={"token": "t0ken-of-the-door"}), by)
    beyond = "manifests.redact.keep: known: spec.password keeps nothing of what has no namespace:"
    nothing = "keeps nothing: no default rule finds a credential there"
    assert list(by.unmatched()) == [
        f'{beyond} the grant of its file would have to give namespaces ["*"]',
        f"manifests.redact.keep: known: spec.pin {nothing}",
    ]


def test_a_rule_of_the_policys_own_wins_over_keep() -> None:
    raw = live("front", data={"password": "m4il"})
    found = capture(raw, rules(rule("data.password"), keeps("data.password")), MAP)
    assert fields(found) == {"data.password": "policy/pins"}


def test_keep_never_lets_a_text_pass_for_a_fingerprint() -> None:
    forged = f"{fingerprints.PREFIX}{'0' * 64}"
    found = capture(live("front", data={"password": forged}), rules(keeps("data.password")), MAP)
    assert fields(found) == {"data.password": redact.FORMED}


def test_values_of_secrets_are_kept_by_nobody() -> None:
    raw = live("db", data={"password": "cGFzcw=="}, type="Opaque")
    found = capture(raw, rules(keeps("data.password", "data.*")), resource("secret"))
    assert b"cGFzcw==" not in found.text


def test_of_many_that_match_nothing_the_first_are_told() -> None:
    by = rules(rule(*(f"spec.a{number}" for number in range(100))), keeps("data.x"))
    capture(live("front", spec={"a7": "x"}), by)
    told = list(by.unmatched())
    assert len(told) == 21
    assert not [line for line in told if "spec.a7 " in line]
    assert told[-1] == "manifests.redact: 80 more paths match or keep nothing"
