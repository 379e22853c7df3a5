"""A run gets no more than today's Config grants, whatever the compiled policy says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.runplan import NotGranted, NothingSelected, make_run_plan
from reconciler.model.grants import Grant
from reconciler.model.policy import NamespaceSelector, Selector
from tests.unit.engine.run_world import RunWorld, put_shop

EVERY = Selector(namespaces=NamespaceSelector(names=("*",)))


def world_with(*namespaces: str) -> RunWorld:
    """The policy selects everything and lies in ``policies``, which may have these."""
    world = RunWorld()
    put_shop(world.cluster, "mail")
    world.policy = replace(world.policy, selector=EVERY)
    grants = (Grant(path="policies", namespaces=namespaces), Grant(path="admin", admin=True))
    world.config = replace(world.config, grants=grants)
    return world


def test_a_grant_that_was_narrowed_holds_from_the_next_run_on() -> None:
    world = world_with("shop", "shop-*")
    plan = make_run_plan(world.request(), world.ports())
    assert plan.selection.names == ("shop",)
    passed = {found.name: found.why for found in plan.selection.passed_over}
    assert passed["mail"] == "not granted to folder policies"


def test_a_grant_that_was_taken_away_leaves_nothing() -> None:
    world = world_with()
    with pytest.raises(NothingSelected) as caught:
        make_run_plan(world.request(), world.ports())
    assert "shop: not granted to folder policies" in caught.value.message


@pytest.mark.parametrize("granted", [(), ("other", "mai")])
def test_a_repository_that_is_not_granted_any_more_is_not_written(granted: tuple[str, ...]) -> None:
    world = world_with("*")
    grants = (Grant(path="policies", repositories=granted), Grant(path="admin", admin=True))
    world.config = replace(world.config, grants=grants)
    with pytest.raises(NotGranted) as caught:
        make_run_plan(world.request(), world.ports())
    assert "Repository main is not granted to folder policies" in caught.value.message


@pytest.mark.parametrize("source", ["policies/shop.yaml#0", ""])
def test_a_repository_that_is_granted_is_written(source: str) -> None:
    world = world_with("*")
    grants = (Grant(path="policies", repositories=("ma*",)), Grant(path="admin", repositories=()))
    world.config = replace(world.config, grants=grants)
    request = world.request()
    request = replace(request, policy=replace(request.policy, source=source))
    assert "shop" in make_run_plan(request, world.ports()).selection.names
