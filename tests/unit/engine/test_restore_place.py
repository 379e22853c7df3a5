"""A signature says who made a commit, not on which branch: a restore holds the place against it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from reconciler.engine.context import policy_branch
from reconciler.engine.history import read_points
from reconciler.engine.run import execute_run
from reconciler.model.errors import Refused
from tests.fakes.gitstore import FakeCommit
from tests.unit.engine.run_world import BRANCH, CLUSTER, RUN_IDS, RunWorld

WEB = policy_branch(CLUSTER, "web")


def run_as(world: RunWorld, number: int, name: str, former: str = "") -> str:
    """A run of the policy under another name; its commit."""
    world.policy = replace(world.policy, name=name, renamed_from=former)
    request = world.request(number)
    policy = replace(request.policy, renamed_from=former)
    run_id = RUN_IDS[number - 1].replace("shop", name, 1)
    execute_run(replace(request, policy=policy, run_id=run_id), world.ports())
    return world.remote.heads[policy_branch(CLUSTER, name)]


def signed_by_us(signed: Iterable[str]) -> Callable[[str], None]:
    """Vouches for these commits only."""
    known = frozenset(signed)

    def vouch(commit: str) -> None:
        if commit not in known:
            raise Refused(f"commit {commit} is not restored: it is not signed")

    return vouch


@pytest.fixture
def world() -> RunWorld:
    """A run of shop, and one of web, which has nothing to do with it."""
    made = RunWorld()
    made.run(1)
    run_as(made, 2, "web")
    return made


def test_a_signed_commit_of_another_policy_is_not_this_ones(world: RunWorld) -> None:
    signed = [world.remote.heads[BRANCH], world.remote.heads[WEB]]
    world.remote.heads[BRANCH] = world.remote.heads[WEB]
    for vouch in (signed_by_us(signed), signed.append):
        with pytest.raises(Refused, match=r"on the branch of policy shop.*record is of policy web"):
            world.restore(vouch=vouch).plan()
    assert world.restore(policy="web", vouch=signed_by_us(signed)).plan().policy == "web"


def test_an_unsigned_commit_leads_to_no_former_name(world: RunWorld) -> None:
    signed = [world.remote.heads[BRANCH], world.remote.heads[WEB]]
    tip = world.remote.commits[world.remote.heads[BRANCH]]
    lie = re.sub(r"(Backstay-Started: ).*", r"\g<1>2026-11-21T09:00:00Z", tip.message)
    lie = lie.replace(RUN_IDS[0], RUN_IDS[2]).rstrip() + "\nBackstay-Renamed-From: web\n"
    forged = _on_top(world, tip, lie)
    assert len(read_points(world.make_store(), BRANCH)) == 3, "its trailers are good enough to list"
    other = RUN_IDS[1].replace("shop", "web", 1)
    with pytest.raises(Refused, match="nobody vouches for the former name web"):
        world.restore(other, vouch=signed_by_us(signed)).plan()
    plan = world.restore(RUN_IDS[0], vouch=signed_by_us(signed)).plan()
    assert "nobody vouches for the former name web" in " ".join(plan.notes)
    assert forged not in signed


def test_a_signed_commit_says_the_former_name_of_its_own_policy_only(world: RunWorld) -> None:
    heir = run_as(world, 3, "store", "web")
    signed = [*world.remote.heads.values(), world.remote.heads[WEB]]
    old = RUN_IDS[1].replace("shop", "web", 1)
    vouch = signed_by_us(signed)
    assert world.restore(old, policy="store", vouch=vouch).plan().run_id == old
    world.remote.heads[BRANCH] = heir
    with pytest.raises(Refused, match="nobody vouches for the former name web"):
        world.restore(old, vouch=vouch).plan()


def _on_top(world: RunWorld, tip: FakeCommit, message: str) -> str:
    forged = replace(tip, sha="f" * 40, parent=tip.sha, message=message)
    world.remote.commits[forged.sha] = forged
    world.remote.heads[BRANCH] = forged.sha
    return forged.sha
