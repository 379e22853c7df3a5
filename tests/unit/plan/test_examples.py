"""Every example in ``policies/`` is valid, has a plan, and does what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from reconciler.model.cluster import Namespace
from reconciler.model.config import ClusterConfig
from reconciler.model.inventory import Inventory, NamespaceInventory
from reconciler.model.plan import Action, Desired
from reconciler.model.policy import Kind, ParsedFiles
from reconciler.model.protection import State
from reconciler.plan.protection import protect
from reconciler.policy import parse_files
from tests.unit.plan.change_world import claim
from tests.unit.plan.schedules_world import CONFIG, NOW, SmallCluster

ROOT = Path(__file__).parents[3]


def examples(cluster: str = "") -> ParsedFiles:
    """All of them, as one policy repository."""
    files = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in sorted((ROOT / "policies").rglob("*.yaml"))
    }
    config = replace(CONFIG, shared_key_in_tenants=True)
    if cluster:
        config = replace(config, cluster=ClusterConfig(cluster, {"env": "prod"}))
    return parse_files(files, config)


def test_examples_are_planned() -> None:
    parsed = examples()
    assert parsed.problems == ()
    plan = SmallCluster().plan(Desired(parsed))
    assert {change.action for change in plan.changes} == {Action.CREATED}
    assert len(plan.changes) == 2 * len(parsed.policies) > 0


def test_every_kind_that_lies_among_policies_has_an_example() -> None:
    assert {found.kind for found in examples().documents} == set(Kind)


def test_the_exemptions_excuse_what_they_say() -> None:
    parsed = examples("prod-eu")
    world = Inventory(
        cluster="prod-eu",
        uid="",
        labels={"env": "prod"},
        namespaces=tuple(
            NamespaceInventory(namespace=Namespace(name=name), claims=claims)
            for name, claims in (
                ("shop", (claim("shop", "data", 1), claim("shop", "web-cache", 1))),
                ("wiki-preview", (claim("wiki-preview", "pages", 1),)),
            )
        ),
    )
    made = protect(parsed.policies, parsed.exemptions, world, now=NOW)
    excused = {
        line.title: line.waiver.exemption
        for line in made.lines
        if line.state is State.EXEMPT and line.waiver is not None
    }
    assert excused == {
        "claim shop/web-cache": "caches",
        "namespace wiki-preview": "previews",
        "claim wiki-preview/pages": "previews",
    }
    assert [found for found in made.findings if found.id != "exemption-overruled"] == []


def test_the_restore_is_told_with_the_command_that_its_file_names() -> None:
    (command,) = re.findall(
        r"^# (backstay .*)$", (ROOT / "policies/restore.yaml").read_text(), re.MULTILINE
    )
    (restore,) = examples("prod-eu").restores
    assert restore.name == "shop-after-incident-42"
    plan = SmallCluster().plan(Desired(examples("prod-eu")))
    (note,) = [note for note in plan.notes if "Restore" in note]
    assert "is not executed by this version" in note
    assert note.endswith(f"by hand: {command}")
