"""Every example in ``policies/`` has a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconciler.model.plan import Action, Desired
from reconciler.policy import parse_files
from tests.unit.plan.schedules_world import CONFIG, SmallCluster

ROOT = Path(__file__).parents[3]


def test_examples_are_planned() -> None:
    files = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in sorted((ROOT / "policies").rglob("*.yaml"))
    }
    parsed = parse_files(files, replace(CONFIG, shared_key_in_tenants=True))
    assert parsed.problems == ()
    plan = SmallCluster().plan(Desired(parsed))
    assert {change.action for change in plan.changes} == {Action.CREATED}
    assert len(plan.changes) == 2 * len(parsed.policies) > 0
