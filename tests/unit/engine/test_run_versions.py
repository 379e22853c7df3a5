"""Runs of two versions of a policy: each does what its own version says, and records that."""

from __future__ import annotations

from dataclasses import replace

from reconciler.engine.run import execute_run
from reconciler.model.policy import Compiled
from reconciler.model.run import Outcome, RunRecord
from tests.unit.engine.run_world import REPOSITORY, RunWorld, put_shop

OLD, NEW = ("main@sha1:" + digit * 40 for digit in "4a")


def run_version(world: RunWorld, number: int, *names: str, new: bool = False) -> RunRecord:
    """A run of the version that selects these namespaces."""
    request = world.request(number)
    policy = replace(
        world.policy,
        selector=replace(
            world.policy.selector, namespaces=replace(world.policy.selector.namespaces, names=names)
        ),
    )
    ref = replace(
        request.policy,
        revision=NEW if new else OLD,
        digest="sha256:" + ("2" if new else "1") * 64,
    )
    made = replace(request, compiled=Compiled(policy, (REPOSITORY,)), policy=ref)
    return execute_run(made, world.ports()).record


def test_an_older_version_that_runs_after_a_newer_one_keeps_to_its_own() -> None:
    world = RunWorld()
    put_shop(world.cluster, "blog")
    first = run_version(world, 1, "shop", "blog")
    newer = run_version(world, 3, "shop", new=True)
    # The second Job was made before the policy changed, and its pod came late.
    older = run_version(world, 2, "shop", "blog")
    assert [made.policy.revision for made in (first, newer, older)] == [OLD, NEW, OLD]
    assert {made.outcome for made in (first, newer, older)} == {Outcome.COMPLETED}
    assert [part.name for part in older.namespaces] == ["blog", "shop"]
    assert any(path.startswith("blog/") for path in world.tree())
    assert older.warnings == ()


def test_the_newer_version_then_leaves_on_purpose_what_the_older_one_brought_back() -> None:
    world = RunWorld()
    put_shop(world.cluster, "blog")
    run_version(world, 1, "shop", new=True)
    run_version(world, 2, "shop", "blog")
    last = run_version(world, 3, "shop", new=True)
    assert last.outcome is Outcome.COMPLETED
    (left,) = [part for part in last.namespaces if part.name == "blog"]
    assert left.outcome is Outcome.SKIPPED, "by a changed policy, and so no fault"
    assert not any(path.startswith("blog/") for path in world.tree())
