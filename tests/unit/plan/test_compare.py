"""Only what we want is compared, by meaning; and whose a field is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan.compare import differences, foreign_owner, parse_quantity

CONTAINER = {"name": "run", "image": "a:1", "args": ["run", "shop"]}
WANTED: dict[str, Any] = {"spec": {"suspend": False, "containers": [CONTAINER], "tmp": {}}}


def found(**more: Any) -> dict[str, Any]:
    return {"spec": {"suspend": False, "containers": [CONTAINER | {"default": 1}], **more}}


def fields(wanted: dict[str, Any], have: dict[str, Any]) -> list[str]:
    return [one.field for one in differences(wanted, have)]


def test_defaults_and_others_containers_are_no_difference() -> None:
    extra = {"name": "sidecar", "image": "x"}
    assert fields(WANTED, found(dnsPolicy="ClusterFirst")) == []
    assert fields(WANTED, found(containers=[extra, CONTAINER])) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"suspend": True}, "spec.suspend"),
        ({"suspend": 0}, "spec.suspend"),
        ({"containers": []}, "spec.containers[name=run]"),
        ({"containers": [CONTAINER | {"image": "b"}]}, "spec.containers[name=run].image"),
        ({"containers": [CONTAINER | {"args": ["run"]}]}, "spec.containers[name=run].args"),
        ({"containers": "none"}, "spec.containers"),
    ],
)
def test_what_differs_is_named(change: dict[str, Any], field: str) -> None:
    assert fields(WANTED, found(**change)) == [field]


def test_rules_without_names_are_one_value() -> None:
    wanted = {"rules": [{"action": "FailJob"}, {"action": "Ignore"}]}
    defaulted = {"rules": [{"action": "FailJob", "x": 1}, {"action": "Ignore"}]}
    assert fields(wanted, defaulted) == []
    assert fields(wanted, {"rules": list(reversed(defaulted["rules"]))}) == ["rules"]


def test_mounts_are_told_by_their_path() -> None:
    wanted = {"mounts": [{"name": "a", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}]}
    have = {"mounts": [{"name": "a", "mountPath": "/y"}, {"name": "b", "mountPath": "/x"}]}
    assert fields(wanted, have) == ["mounts[mountPath=/x].name"]


def test_quantities_are_compared_by_value() -> None:
    wanted = {"resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}}}
    same = {"resources": {"limits": {"memory": "1Gi", "cpu": "500m"}}}
    other = {"resources": {"limits": {"memory": "1G", "cpu": "500m"}}}
    assert fields(wanted, same) == []
    assert fields(wanted, other) == ["resources.limits.memory"]
    assert fields({"schedule": "1000m"}, {"schedule": "1"}) == ["schedule"]


def test_text_of_a_difference() -> None:
    one = differences({"metadata": {"annotations": {"backstay.dev/digest": "a"}}}, {})[0]
    assert str(one) == 'metadata: (nothing) → {"annotations": {"backstay.dev/digest": "a"}}'
    two = differences({"a": {"b.c/d": "x"}}, {"a": {}})[0]
    assert str(two) == "a[b.c/d]: (nothing) → x"


@pytest.mark.parametrize(
    ("text", "value"), [("100m", "0.1"), ("1Ki", "1024"), ("1e3", "1000"), ("2k", "2000")]
)
def test_parse_quantity(text: str, value: str) -> None:
    assert parse_quantity(text) == parse_quantity(value) is not None


@pytest.mark.parametrize("text", ["", "1.2.3", "Gi", "1 Gi", "x"])
def test_what_is_no_quantity(text: str) -> None:
    assert parse_quantity(text) is None


def test_who_owns_a_field() -> None:
    managed = [
        {
            "manager": "backstay",
            "operation": "Apply",
            "fieldsV1": {"f:spec": {"f:suspend": {}, "f:schedule": {}}},
        },
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "fieldsV1": {
                "f:spec": {"f:suspend": {}, "f:containers": {'k:{"name":"run"}': {"f:image": {}}}}
            },
        },
    ]
    raw = {"metadata": {"managedFields": managed}}
    assert foreign_owner(raw, ("spec", "suspend")) == "kubectl-edit"
    assert foreign_owner(raw, ("spec", "containers", "[name=run]", "image")) == "kubectl-edit"
    assert foreign_owner(raw, ("spec", "schedule")) == ""
    assert foreign_owner(raw, ("spec", "containers", "[name=run]", "args")) == ""
    assert foreign_owner({"metadata": {}}, ("spec",)) == ""
