"""The CRDs are structural, whole, and ask for nothing that a policy may leave to its profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model.policy import Kind
from reconciler.policy import schema
from reconciler.policy.crds import crd_name, make_crd, object_schema
from reconciler.policy.language import KINDS
from reconciler.policy.statuslanguage import BackupPolicyStatus

ROOT = Path(__file__).parents[3]
# https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
KNOWN = frozenset(
    {
        "additionalProperties", "description", "enum", "format", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minimum", "pattern", "properties",
        "required", "type", "x-kubernetes-list-map-keys", "x-kubernetes-list-type",
        "x-kubernetes-validations",
    }
)  # fmt: skip


def nodes(found: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below one, with its path as the table of capabilities has it."""
    yield at, found
    for name, below in found.get("properties", {}).items():
        yield from nodes(below, f"{at}.{name}" if at else name)
    if "items" in found:
        yield from nodes(found["items"], f"{at}[]")
    if "additionalProperties" in found:
        yield from nodes(found["additionalProperties"], f"{at}{{}}")


@pytest.mark.parametrize("kind", Kind)
def test_it_is_structural(kind: Kind) -> None:
    for at, found in nodes(object_schema(kind)):
        assert set(found) <= KNOWN, at
        assert found["type"] in {"object", "array", "string", "integer", "boolean"}, at
        assert not ("properties" in found and "additionalProperties" in found), at
        for rule in found.get("x-kubernetes-validations", ()):
            assert re.fullmatch(r"\S.*\S", rule["message"]), at
            assert rule["rule"].startswith(("self", "has(", "(", "!has(", "size(")), at


@pytest.mark.parametrize("kind", Kind)
def test_it_has_every_field(kind: Kind) -> None:
    found = {at for at, _ in nodes(object_schema(kind))}
    fields = {step.path for step in schema.walk(KINDS[kind])} - {"metadata.name"}
    assert fields <= found
    if kind is Kind.BACKUP_POLICY:
        assert {f"status.{step.path}" for step in schema.walk(BackupPolicyStatus)} <= found


@pytest.mark.parametrize("kind", Kind)
def test_every_bounded_thing_has_a_bound(kind: Kind) -> None:
    # The API server guesses what a rule costs, and refuses rules over what has no end.
    for at, found in nodes(object_schema(kind)):
        if found["type"] == "array":
            assert "maxItems" in found, at


@pytest.mark.parametrize("kind", [Kind.BACKUP_POLICY, Kind.PROFILE])
def test_nothing_is_required_that_may_come_from_elsewhere(kind: Kind) -> None:
    spec = object_schema(kind)["properties"]["spec"]
    assert "required" not in spec
    for name in ("schedule", "selector"):
        assert "required" not in spec["properties"][name]
    assert not any("default" in found for _, found in nodes(spec))


def test_the_files_are_those_that_the_language_makes() -> None:
    folder = ROOT / "schemas/crds"
    found = {}
    for path in folder.glob("backstay.dev_*.yaml"):
        body = yaml.safe_load(path.read_text())
        found[body["metadata"]["name"]] = body
    assert found == {crd_name(kind): make_crd(kind) for kind in Kind}
    resources = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted(resources) == sorted(path.name for path in folder.glob("backstay.dev_*.yaml"))


def test_only_a_policy_has_a_status() -> None:
    with_status = [kind for kind in Kind if "subresources" in make_crd(kind)["spec"]["versions"][0]]
    assert with_status == [Kind.BACKUP_POLICY]
    columns = make_crd(Kind.BACKUP_POLICY)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert {column["name"] for column in columns} >= {"Schedule", "Next run", "RPO", "Ready", "Age"}
    paths = {at for at, _ in nodes(object_schema(Kind.BACKUP_POLICY))}
    for column in columns:
        path = column["jsonPath"].removeprefix(".").partition("[")[0]
        assert path in paths or path == "metadata.creationTimestamp"
