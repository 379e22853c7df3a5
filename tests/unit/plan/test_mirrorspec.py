"""What a mirror shows is the policy: the language reads it back as the same one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from reconciler import policy
from reconciler.model.hooks import Hook, HookCommand, OnError
from reconciler.model.policy import (
    BackupPolicy,
    ClusterScoped,
    CopyMethod,
    Kind,
    Manifests,
    NamespaceSelector,
    Objectives,
    ObjectSelector,
    Retention,
    Schedule,
    SecretsMode,
    Selector,
    VolumeRule,
    Volumes,
)
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from reconciler.plan.mirrorspec import render_spec
from reconciler.policy.crds import object_schema
from reconciler.policy.language import BackupPolicyDocument
from reconciler.policy.values import make_policy
from tests.unit.engine.controller_world import CONFIG, files

EXAMPLES = {
    path.name: path.read_bytes() for path in (Path(__file__).parents[3] / "policies").glob("*.yaml")
}
EVERYTHING = BackupPolicy(
    name="all",
    suspend=True,
    schedule=Schedule("H H * * 1-5", "Europe/Berlin"),
    objectives=Objectives(rpo=5400, rto=4 * 3600),
    selector=Selector(
        namespaces=NamespaceSelector(
            names=("shop-*", "db"), match_labels={"team": "a", "own": ""}, exclude=("*-test",)
        ),
        objects=ObjectSelector(
            match_labels={"backup": ""},
            include=("*",),
            exclude=("configmap",),
            cluster_scoped=ClusterScoped.NONE,
        ),
    ),
    manifests=Manifests(
        SecretsMode.OMIT,
        redact=Redact(
            rules=(RedactRule(name="pins", kinds=("door.example.org",), paths=("spec.pin",)),),
            keep=(
                KeepRule(name="css", kinds=("configmap",), paths=("data.css",), reason="colours"),
            ),
        ),
    ),
    volumes=Volumes(
        repository="main",
        rules=(
            VolumeRule(claims=("tmp-*",), copy_method=CopyMethod.SKIP, reason="it is a cache"),
            VolumeRule(storage_class=("fast", "slow*"), copy_method=CopyMethod.DIRECT),
        ),
        copy_method=CopyMethod.SNAPSHOT,
        concurrency=2,
        exclude=("*.tmp",),
    ),
    retention=Retention(keep_last=3, keep_daily=7, keep_within="1y7d"),
    hooks=(
        Hook(
            name="quiesce",
            match_labels={"app": "db", "main": ""},
            container="db",
            once=True,
            pre=HookCommand(("sh", "-c", "", "a b"), 90, OnError.CONTINUE),
        ),
        Hook(name="sync", match_labels={"app": "web"}, post=HookCommand(("sync",))),
    ),
)


def again(found: BackupPolicy) -> BackupPolicy:
    """Through the mirror's spec and the language."""
    document = {
        "apiVersion": "backstay.dev/v1alpha1",
        "kind": "BackupPolicy",
        "metadata": {"name": found.name},
        "spec": render_spec(found),
    }
    read = BackupPolicyDocument.model_validate(document)
    return make_policy(read, found.volumes.repository)


def test_a_policy_with_every_field_comes_back() -> None:
    assert again(EVERYTHING) == EVERYTHING


def test_a_label_that_must_be_empty_is_shown() -> None:
    """Without it the object would show more than a run protects."""
    namespaces = render_spec(EVERYTHING)["selector"]["namespaces"]
    assert namespaces["matchLabels"] == {"team": "a", "own": ""}
    only = NamespaceSelector(match_labels={"backup": ""})
    selector = replace(EVERYTHING.selector, namespaces=only)
    shown = render_spec(replace(EVERYTHING, selector=selector))["selector"]["namespaces"]
    assert shown == {"matchLabels": {"backup": ""}}


def test_the_api_server_knows_every_field_that_is_written() -> None:
    """What it does not know it drops, and every cycle would write it again."""
    namespaces = replace(EVERYTHING.selector.namespaces, within=("shop-*",), grant="teams/a")
    selector = replace(EVERYTHING.selector, namespaces=namespaces)
    schema = object_schema(Kind.BACKUP_POLICY)["properties"]["spec"]
    limited = replace(EVERYTHING, selector=selector, hooks_within=("shop-*",))
    redact = replace(EVERYTHING.manifests.redact or Redact(), keep_file="teams/a/shop.yaml")
    limited = replace(limited, manifests=replace(EVERYTHING.manifests, redact=redact))
    assert list(unknown(render_spec(limited), schema)) == []


def unknown(value: object, schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Paths of what a structural schema does not have."""
    if isinstance(value, dict) and "properties" in schema:
        for key, item in value.items():
            if key not in schema["properties"]:
                yield f"{at}.{key}"
            else:
                yield from unknown(item, schema["properties"][key], f"{at}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from unknown(item, schema["items"], f"{at}[]")


def test_the_worked_examples_come_back() -> None:
    for found in policy.parse_files(EXAMPLES, CONFIG).policies:
        assert again(found) == found


def test_what_the_language_gives_is_written_out_and_what_is_empty_is_not() -> None:
    (found,) = policy.parse_files(files("shop"), CONFIG).policies
    spec = render_spec(found)
    assert spec["selector"]["objects"] == {"clusterScoped": "Referenced", "include": ["*"]}
    assert spec["volumes"]["concurrency"] == 4
    assert spec["suspend"] is False
    assert "objectives" not in spec
    assert "rules" not in spec["volumes"]
    assert again(found) == found
