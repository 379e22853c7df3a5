"""``backstay restore -o json``: one document, whatever happened."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.cli import wiring
from reconciler.cli.restore import ask, execute, restore_document, show_plan, tell
from reconciler.engine.restore import RestoreResult
from reconciler.model.errors import Interrupted, UsageError
from reconciler.model.restore import RestoreAction
from tests.unit.engine.run_world import RUN_IDS, RunWorld, move_controllers


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


def test_an_interrupt_tells_of_movers_and_of_the_way_on() -> None:
    world = RunWorld()
    world.run()
    world.lose_shop()
    world.mover.cleaned.clear()
    world.mover._looks = 100
    restore = world.restore()
    plan = restore.plan()

    def interrupt() -> None:
        move_controllers(world.cluster)
        if world.cluster.all("PersistentVolumeClaim"):
            raise KeyboardInterrupt

    world.clock.on_sleep = interrupt
    with pytest.raises(Interrupted, match="movers may still be at work in shop") as caught:
        execute(restore, plan)
    assert caught.value.hint.endswith(f"backstay restore shop --at {RUN_IDS[0]}")
    # And that is what happens then.
    world.clock.on_sleep = lambda: move_controllers(world.cluster)
    world.mover._looks = 0
    assert world.restored(RUN_IDS[0]).filled == 1
    assert world.mover.cleaned[-1:] == [("shop", "files")]


def test_an_interrupt_tells_the_mapping_too() -> None:
    world = RunWorld()
    world.run()
    world.mover._looks = 100
    restore = world.restore(map_namespaces={"shop": "shop2"})
    plan = restore.plan()

    def interrupt() -> None:
        move_controllers(world.cluster)
        if len(world.cluster.all("PersistentVolumeClaim")) > 1:
            raise KeyboardInterrupt

    world.clock.on_sleep = interrupt
    with pytest.raises(Interrupted, match="movers may still be at work in shop2") as caught:
        execute(restore, plan)
    assert caught.value.hint.endswith(f"--at {RUN_IDS[0]} --map-namespace shop=shop2")


def test_what_did_not_come_back_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    world = RunWorld()
    world.run()
    plan = world.restore().plan()
    (fill,) = plan.fills
    lost = replace(fill, action=RestoreAction.SKIP, why="its claim is not in this recovery point")
    tell(replace(plan, fills=(lost,)), None, "text")
    assert capsys.readouterr().out == (
        "Nothing to do.\n  shop/files did not come back: its claim is not in this recovery point\n"
    )


@pytest.mark.parametrize("plan_only", [True, False])
def test_as_json_stdout_is_one_document_and_stderr_a_stream_of_objects(
    capsys: pytest.CaptureFixture[str], plan_only: bool
) -> None:
    world = RunWorld()
    world.run()
    world.lose_shop()
    reporter = wiring.reporter("json")
    restore = world.restore(reporter=reporter)
    plan = restore.plan()
    show_plan(plan, "json", reporter, plan_only=plan_only)
    if not plan_only:
        tell(plan, restore.execute(plan), "json")
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["formatVersion"], document["type"]) == (
        (1, "restorePlan") if plan_only else (1, "restore")
    )
    events = [json.loads(line)["event"] for line in said.err.splitlines()]
    assert events[:1] == ([] if plan_only else ["restore planned"])


def test_as_json_nobody_is_asked() -> None:
    with pytest.raises(UsageError) as caught:
        ask(yes=False, output="json")
    assert "--yes" in caught.value.hint
    ask(yes=True, output="json")


def test_without_a_terminal_text_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    wiring.reporter("text").event("restored", phase="claims", objects=3)
    assert capsys.readouterr().err.endswith("  restored  phase=claims  objects=3\n")
    wiring.reporter().event("restored", phase="claims", objects=3)
    assert json.loads(capsys.readouterr().err)["event"] == "restored"


@pytest.mark.parametrize(
    ("created", "filled", "told"),
    [
        (1, 1, "1 object created, 1 volume filled, 0 kept"),
        (22, 3, "22 objects created, 3 volumes filled, 0 kept"),
    ],
)
def test_what_was_done_is_counted_in_words(
    capsys: pytest.CaptureFixture[str], created: int, filled: int, told: str
) -> None:
    world = RunWorld()
    world.run()
    plan = world.restore().plan()
    done = RestoreResult(created=created, filled=filled, kept=0, skipped=0, differing=())
    tell(plan, done, "text")
    assert told in capsys.readouterr().out
