"""Commits that somebody else pushes onto a policy's branch: told by name, and no run stops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.history import doubt_newest, read_record
from reconciler.model.errors import Refused, Transient
from reconciler.model.run import Outcome
from reconciler.report.restore import render_plan
from tests.fakes.gitstore import FakeManifestStore
from tests.unit.engine.run_world import BRANCH, RUN_IDS, RunWorld, manifest, put_shop

GARBAGE = b"garbage: [\n"
NO_RUN = "commit passed over, no run made it"


def push(world: RunWorld, data: bytes | None, message: str = "By hand\n") -> str:
    """Another ``_run.yaml`` on top of the branch, or none; returns the commit."""
    store = FakeManifestStore(world.remote)
    commit = store.begin(BRANCH, store.tip(BRANCH))
    if data is None:
        commit.delete("_run.yaml")
    else:
        commit.write("_run.yaml", data)
    made = commit.finish(message, when=world.clock.now())
    store.push({BRANCH: made})
    return made


def leave(world: RunWorld) -> None:
    """The policy is changed, and selects shop-two no more."""
    namespaces = replace(world.policy.selector.namespaces, names=("shop",))
    selector = replace(world.policy.selector, namespaces=namespaces)
    world.policy = replace(world.policy, selector=selector)
    world.digest = "sha256:" + "2" * 64


@pytest.mark.parametrize("data", [GARBAGE, b"", b"[]\n", b"\xff\xfe", b"kind: Run\n", None])
def test_a_record_that_cannot_be_read_stops_no_run(data: bytes | None) -> None:
    world = RunWorld()
    world.run()
    made = push(world, data)
    assert world.run(2).record.outcome is Outcome.COMPLETED
    assert world.record().name == RUN_IDS[1]
    (told,) = world.log.of(NO_RUN)
    assert told["commit"] == made
    assert made in str(told["why"])
    assert world.run(3).record.outcome is Outcome.COMPLETED
    assert len(world.log.of(NO_RUN)) == 1


def test_a_run_that_fails_on_top_of_garbage_is_recorded() -> None:
    world = RunWorld()
    world.run()
    push(world, GARBAGE)
    world.storage.failure = Transient("storage away")
    assert world.run(2).record.outcome is Outcome.FAILED
    assert world.record().name == RUN_IDS[1]


def test_a_namespace_that_leaves_above_a_forged_commit_is_no_success() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    made = push(world, GARBAGE, world.commits()[0].message)
    leave(world)
    record = world.run(2).record
    assert record.outcome is Outcome.PARTIALLY_FAILED
    assert [told["commit"] for told in world.log.of(NO_RUN)] == [made, made]


def test_a_copied_record_does_not_excuse_a_namespace_that_left() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    # The record tells of another policy, but it is not of the run that the trailers name.
    old = world.tree()["_run.yaml"].replace(b"sha256:1", b"sha256:3")
    push(world, old, world.commits()[0].message.replace(RUN_IDS[0], RUN_IDS[8]))
    world.cluster.remove(manifest("Namespace", "shop-two", ""))
    assert world.run(2).record.outcome is Outcome.PARTIALLY_FAILED


def test_a_commit_that_claims_to_be_this_run_does_not_end_it() -> None:
    world = RunWorld()
    world.run()
    forged = world.commits()[0].message.replace(RUN_IDS[0], RUN_IDS[1])
    made = push(world, GARBAGE, forged)
    result = world.run(2)
    assert result.commit != made
    assert result.record.outcome is Outcome.COMPLETED
    assert world.mover.begun["shop", "files"] == 2


def test_what_cannot_be_read_is_named_by_its_commit() -> None:
    world = RunWorld()
    world.run()
    made = push(world, GARBAGE)
    with pytest.raises(Refused, match=f"the record in commit {made} can't be read") as caught:
        read_record(FakeManifestStore(world.remote), made)
    assert "garbage" not in caught.value.message
    assert "git show" in caught.value.hint


def test_doubts_about_the_newest_commit() -> None:
    world = RunWorld()
    store = FakeManifestStore(world.remote)
    assert doubt_newest(store, BRANCH) == ""
    world.run()
    message = world.commits()[0].message
    assert doubt_newest(store, BRANCH) == ""
    for data, said in ((GARBAGE, "By hand\n"), (GARBAGE, message), (None, message)):
        made = push(world, data, said)
        assert made in doubt_newest(store, BRANCH)
    made = push(world, world.commits()[-1].files["_run.yaml"], message.replace("-0", "-1"))
    assert "its record is of" in doubt_newest(store, BRANCH)


def test_a_restore_goes_on_below_garbage_and_says_so() -> None:
    world = RunWorld()
    world.run()
    made = push(world, GARBAGE)
    plan = world.restore().plan()
    assert plan.run_id == RUN_IDS[0]
    (note,) = plan.notes
    assert made in note
    assert render_plan(plan).splitlines()[1] == f"  note     {note}"


def test_a_restore_tells_of_newer_points_that_it_passes_over() -> None:
    world = RunWorld()
    put_shop(world.cluster, "shop-two")
    world.run()
    world.cluster.remove(manifest("Namespace", "shop-two", ""))
    assert world.run(2).record.outcome is Outcome.PARTIALLY_FAILED
    plan = world.restore().plan()
    assert plan.run_id == RUN_IDS[0]
    assert plan.notes == (
        f"1 newer recovery point is PartiallyFailed ({RUN_IDS[1]}); --allow-partial takes it",
    )
    assert world.restore(allow_partial=True).plan().notes == ()
