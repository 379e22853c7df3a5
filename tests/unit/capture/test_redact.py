"""Credentials outside Secrets: found where they are, nowhere else, and never in a text for Git."""

from __future__ import annotations

import copy
import hmac
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from reconciler.capture import (
    canonical,
    clean,
    emitter,
    fingerprints,
    redact,
    redactrules,
    redactwords,
)
from reconciler.model.objects import Resource
from tests.unit.capture.objects import live, resource
from tests.unit.capture.redactable import CASES, INNOCENT, TOKENS, VALUE, config, env, workload

KEY = fingerprints.fingerprint_key(b"0123456789abcdef0123456789abcdef", "prod-eu")
IDS = [f"{number}-{field}" for number, (_, _, field, _) in enumerate(CASES)]


def served(folder: str) -> Resource:
    kind, _, group = folder.partition(".")
    exact = {
        "storageclass": "StorageClass",
        "validatingwebhookconfiguration": "ValidatingWebhookConfiguration",
        "job": "Job",
    }
    namespaced = kind not in ("storageclass", "persistentvolume", "customresourcedefinition")
    found = resource(folder, namespaced=namespaced, kind=exact.get(kind, ""))
    assert found.group == group
    return found


def captured(folder: str, raw: dict[str, Any], key: bytes | None = KEY) -> canonical.Captured:
    found = canonical.capture_object(raw, served(folder), fingerprint_key=key)
    assert isinstance(found, canonical.Captured)
    return found


@pytest.mark.parametrize(("folder", "raw", "field", "rule"), CASES, ids=IDS)
def test_each_place_is_found_and_its_value_is_not_in_the_text(
    folder: str, raw: dict[str, Any], field: str, rule: str
) -> None:
    before = copy.deepcopy(raw)
    found = captured(folder, raw)
    assert [(one.path, one.rule) for one in found.redacted] == [(field, rule)]
    assert b"hUnter" not in found.text
    assert b"4711" not in found.text
    assert found.secret is not None
    whole = json.loads(found.secret)
    assert whole == json.loads(orjson.dumps(clean.clean(raw, served(folder))))
    assert raw == before
    assert VALUE not in repr(found)


@pytest.mark.parametrize(("folder", "raw", "field", "rule"), CASES, ids=IDS)
def test_values_come_back_and_are_proven(
    folder: str, raw: dict[str, Any], field: str, rule: str
) -> None:
    found = captured(folder, raw)
    stored = canonical.read_manifest(found.text)
    assert found.secret is not None
    whole = json.loads(found.secret)
    filled = redact.prove(stored, whole, KEY).fill(stored)
    assert (filled.document, filled.lacking, filled.lost) == (whole, (), ())
    again = canonical.capture_like(raw, served(folder), found.text, fingerprint_key=KEY)
    assert isinstance(again, canonical.Captured)
    assert again.text == found.text


@pytest.mark.parametrize(("folder", "raw"), INNOCENT)
def test_what_only_looks_like_one_is_left_as_it_is(folder: str, raw: dict[str, Any]) -> None:
    found = captured(folder, raw)
    assert (found.redacted, found.secret) == ((), None)
    assert b"hmac-sha256:" not in found.text


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_known_tokens_are_recognised_under_any_name(token: str) -> None:
    for raw, folder in (
        (config(note=f"see {token}"), "configmap"),
        (live("x", spec={"a": token}), "x.example.org"),
    ):
        assert token.encode() not in captured(folder, raw).text


def test_the_fingerprint_is_that_of_the_documented_message() -> None:
    found = canonical.read_manifest(
        captured("deployment.apps", workload(**env("TOKEN", VALUE))).text
    )
    (_, variable) = found["spec"]["template"]["spec"]["containers"][0]["env"]
    place = "shop\0Deployment.apps\0web\0spec.template.spec.containers[web].env[TOKEN].value"
    digest = hmac.new(KEY, f"{place}\0{VALUE}".encode(), "sha256").hexdigest()
    assert variable == {"name": "TOKEN", "value": f"hmac-sha256:{digest}"}


def test_a_new_neighbour_changes_no_fingerprint() -> None:
    before = captured("deployment.apps", workload(**env("TOKEN", VALUE))).text.splitlines()
    variables = [{"name": "FIRST", "value": "1"}, *env("TOKEN", VALUE)["env"]]
    after = captured("deployment.apps", workload(env=variables)).text.splitlines()
    assert set(before) < set(after)


def test_without_a_key_a_value_is_marked_and_kept_nowhere() -> None:
    found = captured("configmap", config(password=VALUE, colour="green"), key=None)
    assert canonical.read_manifest(found.text)["data"] == {
        "password": redact.OMITTED,
        "colour": "green",
    }
    assert found.secret is None
    filled = redact.Values({}).fill(canonical.read_manifest(found.text))
    assert filled.lacking == ("data.password",)


def test_an_annotation_without_its_value_is_left_away() -> None:
    annotations = {"example.org/token": VALUE, "colour": "green"}
    found = captured("service", live("x", metadata={"annotations": annotations}), key=None)
    filled = redact.Values({}).fill(canonical.read_manifest(found.text))
    assert filled.document["metadata"]["annotations"] == {"colour": "green"}
    assert (filled.lacking, len(filled.lost)) == ((), 1)


@pytest.mark.parametrize("formed", ["hmac-sha256:" + "a" * 64, redact.OMITTED])
@pytest.mark.parametrize("folder", ["configmap", "widget.example.org"])
def test_a_live_text_that_is_formed_like_a_fingerprint_is_redacted_too(
    folder: str, formed: str
) -> None:
    raw = live("x", data={"note": formed, "password": VALUE})
    found = captured(folder, raw)
    assert {one.path: one.rule for one in found.redacted}["data.note"] == redact.FORMED
    assert found.secret is not None
    stored = canonical.read_manifest(found.text)
    assert stored["data"]["note"] != formed
    filled = redact.prove(stored, json.loads(found.secret), KEY).fill(stored)
    assert filled.document["data"] == raw["data"]


def test_a_secrets_annotation_is_hidden_beside_its_data() -> None:
    annotations = {"example.org/token": VALUE, "note": "it is geheim-1", "colour": "green"}
    raw = live("db", metadata={"annotations": annotations}, data={"p": "Z2VoZWltLTE="})
    found = captured("secret", raw)
    shown = canonical.read_manifest(found.text)["metadata"]["annotations"]
    assert shown["colour"] == "green"
    assert all(map(fingerprints.is_fingerprint, (shown["example.org/token"], shown["note"])))
    again = canonical.capture_like(raw, served("secret"), found.text, fingerprint_key=KEY)
    assert isinstance(again, canonical.Captured)
    assert again.text == found.text


def change_value(whole: dict[str, Any]) -> None:
    whole["data"]["password"] = "another"


def remove_value(whole: dict[str, Any]) -> None:
    del whole["data"]["password"]


@pytest.mark.parametrize("spoil", [change_value, remove_value])
def test_another_value_than_gits_is_not_proven(spoil: Callable[[dict[str, Any]], None]) -> None:
    found = captured("configmap", config(password=VALUE))
    assert found.secret is not None
    whole = json.loads(found.secret)
    spoil(whole)
    with pytest.raises(redact.Unproven, match=r"data\.password"):
        redact.prove(canonical.read_manifest(found.text), whole, KEY)


def test_a_comparison_shows_a_change_and_hides_what_is_new() -> None:
    stored = captured("configmap", config(password=VALUE, colour="green")).text
    live_now = config(password="changed", token="brand-New-1", colour="red")
    found = canonical.capture_like(
        live_now, served("configmap"), stored, fingerprint_key=KEY, rules=redactrules.DEFAULT
    )
    assert isinstance(found, canonical.Captured)
    data = canonical.read_manifest(found.text)["data"]
    assert data["colour"] == "red"
    assert fingerprints.is_fingerprint(data["password"])
    assert fingerprints.is_fingerprint(data["token"])
    assert data["password"] != canonical.read_manifest(stored)["data"]["password"]


def test_what_git_has_in_clear_is_compared_in_clear() -> None:
    """A recovery point of a version that did not redact, or of a policy that does not."""
    raw = config(password=VALUE)
    stored = emitter.emit(clean.clean(raw, served("configmap")))
    for rules in (None, redactrules.DEFAULT):
        found = canonical.capture_like(
            raw, served("configmap"), stored, fingerprint_key=KEY, rules=rules
        )
        assert isinstance(found, canonical.Captured)
        assert found.text == stored


def test_every_rule_of_the_table_has_a_case() -> None:
    used = {rule for _, _, _, rule in CASES} | {redact.FORMED}
    assert used == set(redactrules.NAMES)


def test_a_text_that_holds_one_gets_a_second_look() -> None:
    """`may_hold` is the first question of each object: what it denies is never looked at."""
    for text in (*TOKENS, f"password={VALUE}", f"Basic {'a1B2' * 5}", "x://a:b@c"):
        assert redactwords.holds_credential(text) <= redactwords.may_hold(text)


@pytest.mark.parametrize(
    "piece",
    [
        *("password", "--password ", "://a:", "token=", "<password>", "machine x ", "eyJ", "a.b-"),
        *("eyJ-", ".-", "-", "--a.", "password:\n ", "name: token ", "requirepass ", "key='", "`"),
    ],
)
def test_a_hostile_text_costs_time_by_its_length_only(piece: str) -> None:
    redactwords.holds_credential("key" + piece * (700_000 // len(piece)))


@pytest.mark.parametrize(
    "group", ["gateway.networking.k8s.io", "metrics.k8s.io", "x.example.org", "cluster.x-k8s.io"]
)
def test_groups_that_are_not_built_in_are_custom(group: str) -> None:
    assert redactrules.is_custom(group)


@pytest.mark.parametrize("group", ["", "apps", "policy", "rbac.authorization.k8s.io"])
def test_kubernetes_own_groups_are_not_custom(group: str) -> None:
    assert not redactrules.is_custom(group)


class Counted(list[Any]):
    """A list that knows how often it, or a copy of it, was copied."""

    def __init__(self, items: list[Any], copies: list[int]) -> None:
        super().__init__(items)
        self.copies = copies

    def __copy__(self) -> Counted:
        self.copies.append(len(self))
        return Counted(list(self), self.copies)


def test_many_hits_in_one_list_copy_it_once() -> None:
    """A tenant chooses how many there are, and every run works on them."""
    copies: list[int] = []
    names = [f"N{number}" for number in range(300)]
    items = Counted([{"name": name, "value": f"{VALUE}{name}"} for name in names], copies)
    raw = {"apiVersion": "example.org/v1", "kind": "Many", "spec": {"items": items, "b": [1]}}
    hits: dict[redact.Keys, str] = {
        ("spec", "items", index, "value"): "env" for index in range(300)
    }
    stored = redact.redact(raw, hits, KEY).document
    assert copies == [300]
    assert [one["value"] for one in items] == [f"{VALUE}{name}" for name in names]
    assert all(fingerprints.is_fingerprint(one["value"]) for one in stored["spec"]["items"])
    assert stored["spec"]["b"] is raw["spec"]["b"]  # type: ignore[index]
    copies.clear()
    assert redact.redact_like(raw, stored, KEY) == stored
    assert redact.redact_like(raw, {}, KEY, hits=hits) == stored
    assert copies == [300, 300]
    copies.clear()
    assert redact.prove(stored, raw, KEY).fill(stored).document == raw
    assert copies == [300]


def test_one_part_that_stands_in_two_places_is_two_in_the_copy() -> None:
    shared = {"password": VALUE}
    raw = {"apiVersion": "v1", "kind": "Twice", "a": shared, "b": shared}
    found = redact.redact(raw, {("a", "password"): "x"}, KEY).document
    assert found["b"] == shared == {"password": VALUE}
    assert found["a"] != shared
