"""A policy's own rules, from the cluster through Git and restic and back, whatever they become."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.capture import record
from reconciler.model.errors import Refused
from reconciler.model.grants import EVERYTHING, Grant
from reconciler.model.objects import Resource
from reconciler.model.policy import Manifests, SecretsMode
from reconciler.model.redaction import KeepRule, Redact, RedactRule
from reconciler.model.run import Outcome, RunRecord
from tests.unit.engine.run_world import CONFIG, RunWorld, manifest
from tests.unit.engine.test_redacted import drift, leaking_world

DOORS = Resource(group="example.org", version="v1", kind="Door", plural="doors", namespaced=True)
USERS = [{"name": "ann", "pin": 4711}, {"name": "b0b-the-builder", "pin": "0815-0815"}]
SPEC = {"users": USERS, "alarm": False, "colour": "r3d-as-a-rose", "level": 0}
PINS = RedactRule(
    name="pins", kinds=("door.example.org",), paths=("spec.users[*].pin", "spec.alarm")
)
ALL = RedactRule(name="all", kinds=("*",), paths=("*", "metadata.annotations"))
CSS = KeepRule(name="css", kinds=("configmap",), paths=("data['a.css']",), reason="colours")
MAY_KEEP = replace(CONFIG, grants=(Grant(admin=True, keep_in_clear=True),))
CLEAR = "password = of-the-th3me"
REDACTED = "what the default rules find is redacted"


def door_world(redact: Redact | None, mode: SecretsMode = SecretsMode.RESTIC) -> RunWorld:
    world = RunWorld()
    world.cluster.serve(DOORS)
    world.cluster.put(manifest("example.org/v1/Door", "front", spec=SPEC))
    says(world, redact, mode)
    return world


def says(world: RunWorld, redact: Redact | None, mode: SecretsMode = SecretsMode.RESTIC) -> None:
    world.policy = replace(world.policy, manifests=Manifests(mode, redact=redact))


def door(world: RunWorld) -> Any:
    (found,) = world.cluster.all("Door")
    return found["spec"]


def found_in(made: RunRecord) -> dict[str, str]:
    return {one.field: one.rule for one in made.redacted if "door" in one.object}


def test_the_record_says_which_rule_and_git_has_no_value() -> None:
    world = door_world(Redact(rules=(PINS,)))
    world.run()
    made = world.record()
    assert made.outcome is Outcome.COMPLETED
    assert made.warnings == ()
    assert found_in(made) == {
        "spec.alarm": "policy/pins",
        "spec.users[ann].pin": "policy/pins",
        "spec.users[b0b-the-builder].pin": "policy/pins",
    }
    assert record.parse_record(record.render_record(made)) == made
    text = world.tree()["shop/door.example.org/front.yaml"]
    assert b"0815-0815" not in text
    assert b"r3d-as-a-rose" in text
    world.run(2)
    assert world.changed_paths() == {"_run.yaml"}
    assert drift(world).changes == []


@pytest.mark.parametrize("mode", [SecretsMode.RESTIC, SecretsMode.OMIT])
@pytest.mark.parametrize(
    "later",
    [None, Redact(rules=(replace(PINS, paths=("spec.colour",)),)), Redact(rules=(ALL,))],
    ids=["vanished", "others", "everything"],
)
def test_values_come_back_whatever_the_rules_say_now(
    later: Redact | None, mode: SecretsMode
) -> None:
    world = door_world(Redact(rules=(PINS,)), mode)
    world.run(1)
    first = world.record().name
    says(world, later, mode)
    world.run(2)
    for point in (first, world.record().name):
        world.lose_shop()
        world.restored(point)
        assert door(world) == SPEC


def test_everything_that_may_be_redacted_comes_back() -> None:
    """Of every object of the shop; what a restore reads from Git is left to it."""
    world = leaking_world()
    world.cluster.serve(DOORS)
    world.cluster.put(manifest("example.org/v1/Door", "front", spec=SPEC))
    says(world, Redact(rules=(ALL,)))
    kinds = ("Door", "ConfigMap", "Deployment", "Service")
    before = {kind: [bare(one) for one in world.cluster.all(kind)] for kind in kinds}
    world.run()
    made = world.record()
    assert made.outcome is Outcome.COMPLETED
    texts = b"".join(text for path, text in world.tree().items() if path != "_run.yaml")
    assert b"r3d-as-a-rose" not in texts
    assert not [one for one in made.redacted if one.field.startswith("metadata.labels")]
    world.lose_shop()
    world.restored()
    after = {kind: [bare(one) for one in world.cluster.all(kind)] for kind in kinds}
    assert after == before


def bare(found: dict[str, Any]) -> dict[str, Any]:
    """Without what a server adds, and a restore leaves as its mark."""
    kept = {key: value for key, value in found.items() if key not in ("metadata", "status")}
    return kept | {"name": found["metadata"]["name"]}


def test_a_value_that_was_exchanged_in_restic_is_no_value() -> None:
    world = door_world(Redact(rules=(PINS,)))
    world.run()
    (files,) = world.repository("_cluster").trees.values()
    (name,) = files
    spoilt = files[name].data.replace(b"0815-0815", b"0815-0816")
    files[name] = replace(files[name], data=spoilt)
    world.lose_shop()
    restore = world.restore()
    plan = restore.plan()
    with pytest.raises(Refused, match=r"users\[b0b-the-builder\]\.pin in restic is not the one"):
        restore.execute(plan)


def test_what_matches_nothing_is_a_warning() -> None:
    typo = RedactRule(name="typo", kinds=("door.example.org",), paths=("spec.pins", "spec.level"))
    world = door_world(Redact(rules=(PINS, typo), keep=(CSS,)))
    world.config = MAY_KEEP
    says(world, Redact(rules=(PINS, typo), keep=(CSS,), keep_file="policies/shop.yaml"))
    world.run()
    assert world.record().outcome is Outcome.COMPLETED
    typed, kept = world.record().warnings
    assert typed == "manifests.redact.rules: typo: spec.pins matches nothing"
    assert kept.startswith("manifests.redact.keep: css: data['a.css'] keeps nothing: no default")


def test_what_is_kept_stands_in_clear_and_no_longer_than_it_is_granted() -> None:
    world = door_world(Redact(keep=(CSS,), keep_file="policies/shop.yaml"))
    world.cluster.put(manifest("ConfigMap", "theme", data={"a.css": CLEAR, "password": "m4il"}))
    world.config = MAY_KEEP
    world.run(1)
    assert world.record().warnings == ()
    text = world.tree()["shop/configmap/theme.yaml"]
    assert CLEAR.encode() in text
    assert b"m4il" not in text
    assert drift(world).changes == []
    world.config = replace(CONFIG, grants=(Grant(path="teams/a", keep_in_clear=True), Grant()))
    world.run(2)
    assert CLEAR.encode() not in world.tree()["shop/configmap/theme.yaml"]
    assert world.record().warnings == (
        "manifests.redact.keep is not granted to folder .: what the default rules find is redacted",
    )
    assert world.record().outcome is Outcome.COMPLETED
    world.lose_shop()
    world.restored()
    (theme,) = (one for one in world.cluster.all("ConfigMap") if one["metadata"]["name"] == "theme")
    assert theme["data"] == {"a.css": CLEAR, "password": "m4il"}


ROOT = Grant(admin=True, keep_in_clear=True)
PARAMETER = KeepRule(name="par", kinds=("*",), paths=("parameters.*", "data.*"), reason="known")


@pytest.mark.parametrize(
    ("file", "kept"), [("policies/shop.yaml", False), ("admin/kept.yaml", True)]
)
def test_what_is_kept_of_what_has_no_namespace_is_for_grants_of_all_namespaces(
    file: str, kept: bool
) -> None:
    """The claim of the shop refers to the platform's class; the platform's Profile may keep."""
    world = door_world(Redact(keep=(PARAMETER,), keep_file=file))
    world.cluster.put(
        manifest("storage.k8s.io/v1/StorageClass", "local", "", parameters={"secret": "cla5s-1"})
    )
    world.cluster.put(manifest("ConfigMap", "theme", data={"a.css": CLEAR}))
    team = Grant(path="policies", namespaces=("shop", "shop-*"), keep_in_clear=True)
    world.config = replace(CONFIG, grants=(team, replace(ROOT, path="admin")))
    world.run()
    tree = world.tree()
    assert CLEAR.encode() in tree["shop/configmap/theme.yaml"]
    shown = tree["_cluster/storageclass.storage.k8s.io/local.yaml"]
    assert (b"cla5s-1" in shown) is kept
    told = [one for one in world.record().warnings if "what has no namespace" in one]
    assert len(told) == (not kept)
    assert world.record().outcome is Outcome.COMPLETED


TEAM = "teams/a/shop.yaml"
PROFILE = "admin/kept.yaml"


@pytest.mark.parametrize(
    ("file", "grants", "told"),
    [
        (TEAM, (ROOT,), ""),
        (TEAM, (ROOT, Grant(path="teams/b")), ""),
        (TEAM, (ROOT, Grant(path="teams/a")), "folder teams/a"),
        (TEAM, (ROOT, Grant(path="teams"), Grant(path="teams/a/more")), "folder teams"),
        (TEAM, (Grant(), Grant(path="teams/a", keep_in_clear=True)), ""),
        (TEAM, (Grant(path="policies", keep_in_clear=True),), "teams/a/shop.yaml"),
        (TEAM, EVERYTHING, "folder ."),
        (PROFILE, (ROOT, Grant(path="policies")), ""),
        (PROFILE, (ROOT, Grant(path="admin")), "folder admin"),
        ("Teams/a/shop.yaml", (ROOT, Grant(path="teams/a")), "Teams/a/shop.yaml"),
        ("", (ROOT,), "its file"),
    ],
)
def test_todays_grant_of_the_file_that_says_it_decides(
    file: str, grants: tuple[Grant, ...], told: str
) -> None:
    """The policy was compiled when folder . might keep, and it is in force as it was."""
    world = door_world(Redact(keep=(CSS,), keep_file=file))
    world.cluster.put(manifest("ConfigMap", "theme", data={"a.css": CLEAR}))
    world.config = replace(CONFIG, grants=grants)
    world.run()
    assert (CLEAR.encode() in world.tree()["shop/configmap/theme.yaml"]) is not bool(told)
    warnings = [one for one in world.record().warnings if "manifests.redact" in one]
    assert warnings == [f"manifests.redact.keep is not granted to {told}: {REDACTED}"] * bool(told)
