"""After a rename the recovery points of before are found under the new name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.context import policy_branch
from reconciler.engine.formername import check_former_name
from reconciler.engine.history import read_points, read_record
from reconciler.engine.run import execute_run
from reconciler.model.grants import Grant
from reconciler.model.run import Outcome
from reconciler.model.store import Write
from tests.unit.engine.run_world import CLUSTER, RUN_IDS, RunWorld


def run_as(world: RunWorld, number: int, name: str, former: str = "") -> str:
    """A run of the policy under a new name; its id."""
    world.policy = replace(world.policy, name=name, renamed_from=former)
    request = world.request(number)
    run_id = RUN_IDS[number - 1].replace("shop", name, 1)
    policy = replace(request.policy, renamed_from=former)
    done = execute_run(replace(request, policy=policy, run_id=run_id), world.ports())
    assert done.record.outcome is Outcome.COMPLETED
    return run_id


@pytest.fixture
def world() -> RunWorld:
    """One run as shop, one as web, one as store."""
    made = RunWorld()
    made.run(1)
    made.data["shop", "files"] = b"what came later"
    run_as(made, 2, "web", "shop")
    run_as(made, 3, "store", "web")
    return made


def test_the_points_of_every_name_are_listed_newest_first(world: RunWorld) -> None:
    ids = ["store-20261121-031703-00003", "web-20261121-021703-00002", RUN_IDS[0]]
    for name, seen in (("store", ids), ("web", ids[1:]), ("shop", ids[2:])):
        points = read_points(world.make_store(), policy_branch(CLUSTER, name))
        assert [point.run_id for point in points] == seen


def test_the_record_says_the_former_name(world: RunWorld) -> None:
    store = world.make_store()
    tip = store.tip(policy_branch(CLUSTER, "web"))
    assert tip is not None
    assert read_record(store, tip).policy.renamed_from == "shop"


@pytest.mark.parametrize("name", ["store", "web"])
def test_a_restore_under_the_new_name_reaches_what_was_before(world: RunWorld, name: str) -> None:
    world.lose_shop()
    world.data.clear()
    world.restored(RUN_IDS[0], policy=name)
    assert world.data["shop", "files"] == b"a thousand files"


def test_names_that_go_in_a_circle_end(world: RunWorld) -> None:
    run_as(world, 4, "shop", "store")
    points = read_points(world.make_store(), policy_branch(CLUSTER, "shop"))
    assert len(points) == 4


def test_a_former_name_without_runs_is_no_error() -> None:
    world = RunWorld()
    run_as(world, 1, "web", "never")
    assert len(read_points(world.make_store(), policy_branch(CLUSTER, "web"))) == 1


def test_the_points_of_before_stay_when_the_word_is_removed(world: RunWorld) -> None:
    before = ids_of(world, "store")
    last = run_as(world, 4, "store")
    assert ids_of(world, "store") == [last, *before]
    world.lose_shop()
    world.data.clear()
    world.restored(RUN_IDS[0], policy="store")
    assert world.data["shop", "files"] == b"a thousand files"


def test_a_second_former_name_adds_to_the_first(world: RunWorld) -> None:
    before = ids_of(world, "store")
    other = run_as(world, 4, "other")
    last = run_as(world, 5, "store", "other")
    assert ids_of(world, "store") == [last, other, *before]


def test_another_policy_under_a_former_name_is_not_the_heirs(world: RunWorld) -> None:
    before = ids_of(world, "store")
    own = run_as(world, 4, "web")
    oldest = run_as(world, 5, "shop")
    assert ids_of(world, "store") == before
    assert ids_of(world, "web")[0] == own
    assert oldest not in ids_of(world, "web")


def test_a_name_that_is_reached_twice_counts_until_its_last_heir(world: RunWorld) -> None:
    later = run_as(world, 4, "shop")
    run_as(world, 5, "store", "shop")
    assert later in ids_of(world, "store")
    assert len(ids_of(world, "store")) == 5


def ids_of(world: RunWorld, name: str) -> list[str]:
    points = read_points(world.make_store(), policy_branch(CLUSTER, name))
    return [point.run_id for point in points]


GRANTS = (Grant(path="policies", admin=True), Grant(path="teams/b"))


def asked(world: RunWorld, source: str, former: str = "store") -> str:
    """The former name that a run of a policy of ``source`` would say."""
    request = replace(world.request(4), config=replace(world.config, grants=GRANTS))
    policy = replace(request.policy, name="heir", source=source, renamed_from=former)
    request = replace(request, policy=policy)
    return check_former_name(request, world.make_store(), world.log).policy.renamed_from


def test_another_folders_policy_is_no_former_name_also_once_its_schedule_is_gone(
    world: RunWorld,
) -> None:
    assert asked(world, "policies/x/heir.yaml#0") == "store"
    assert world.log.of("not taken as this policy's former name") == []
    assert asked(world, "teams/b/heir.yaml#0") == ""
    (told,) = world.log.of("not taken as this policy's former name")
    assert told["why"] == "store was last of policies/shop.yaml#0, which has another grant"


def test_a_former_name_that_nobody_can_read_is_not_taken_and_one_without_runs_leads_nowhere(
    world: RunWorld,
) -> None:
    assert asked(world, "teams/b/heir.yaml#0", "never") == "never"
    assert asked(world, "teams/b/heir.yaml#0", "") == ""
    store = world.make_store()
    tip = store.tip(policy_branch(CLUSTER, "store"))
    broken = store.commit(
        policy_branch(CLUSTER, "store"), tip, (Write("_run.yaml", b"["),), "Break it\n",
        when=world.clock.now(),
    )  # fmt: skip
    store.push({policy_branch(CLUSTER, "store"): broken})
    assert asked(world, "policies/heir.yaml#0") == ""


def test_without_grants_nothing_is_asked(world: RunWorld) -> None:
    request = replace(world.request(4))
    policy = replace(request.policy, renamed_from="store", source="teams/b/heir.yaml#0")
    request = replace(request, policy=policy)
    assert check_former_name(request, world.make_store(), world.log) is request
