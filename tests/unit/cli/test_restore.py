"""``backstay restore -o json``: one document, whatever happened."""

from __future__ import annotations

import json

from reconciler.cli.restore import restore_document
from tests.unit.engine.run_world import RUN_IDS, RunWorld


def test_plan_and_result_are_one_document() -> None:
    world = RunWorld()
    world.run()
    world.lose_shop()
    restore = world.restore()
    plan = restore.plan()
    found = json.loads(json.dumps(restore_document(plan, restore.execute(plan))))
    assert (found["formatVersion"], found["type"]) == (1, "restore")
    assert (found["plan"]["type"], found["plan"]["run"]) == ("restorePlan", RUN_IDS[0])
    assert (found["result"]["created"], found["result"]["filled"]) == (6, 1)
    assert restore_document(plan, None)["result"] is None
