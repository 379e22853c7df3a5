"""The plan of maintenance as people and programs read it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from reconciler.cli.maintain import command
from reconciler.model.errors import NotSupported, Refused
from reconciler.model.policy import Retention
from reconciler.plan.keptpoints import Memory
from reconciler.report.maintain import text_lines, to_json
from tests.conftest import Golden
from tests.unit.plan.maintenance_world import P, World, days


def _world() -> World:
    world = World()
    for age in (4, 3, 2, 1):
        world.run(days(age))
    world.run(days(0.5), P)
    world.volume("shop", days(9))
    world.bundle("shop", days(20))
    world.store("shop", "/srv/mine", ("mine\x1b[2J",), days(30))
    ten = Retention(keep_daily=10)
    for age in (5, 4, 3):
        world.run(days(age), policy="web", namespace="web", words=ten)
    world.retentions["web"] = Retention(keep_last=1)
    world.run(days(3), policy="old", namespace="web")
    return world


def test_the_text_says_of_each_snapshot_what_and_why(golden: Golden) -> None:
    golden("report/maintain.txt", "".join(text_lines(_world().plan(), {})))


def test_the_document_says_the_same(golden: Golden) -> None:
    document = to_json(_world().plan(), {})
    golden("report/maintain.json", json.dumps(document, indent=1) + "\n")


def test_what_holds_everything_stands_on_top() -> None:
    world = _world()
    world.memories["shop"] = Memory(tips=("lost",))
    error = Refused("it does not open", hint="look at it")
    text = "".join(text_lines(world.plan(), {"s3:s3/main/x": error}))
    head = text.splitlines()[:8]
    assert head[1].startswith("nothing is removed: the branch of policy shop does not have")
    assert "not listed: s3:s3/main/x: it does not open" in head
    assert text.endswith(" snapshots would be removed\n")


def test_without_dry_run_it_is_refused() -> None:
    result = CliRunner().invoke(command, ["main"])
    assert isinstance(result.exception, NotSupported)
    assert "not supported yet" in result.exception.message
    assert result.exception.hint.endswith("backstay maintain main --dry-run")


def test_nothing_is_asked_without_a_repository() -> None:
    assert CliRunner().invoke(command, ["--dry-run"]).exit_code == 2


@pytest.mark.parametrize("age", [4, 2])
def test_a_plan_without_removals_says_so(age: int) -> None:
    world = World()
    world.run(days(age))
    text = "".join(text_lines(world.plan(), {}))
    assert text.endswith("0 of 2 snapshots would be removed\n")
