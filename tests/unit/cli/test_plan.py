"""``backstay plan``: its exit codes, and what it says where it may not look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.plan import exit_code, with_coverage
from reconciler.engine.controller import make_plan
from reconciler.model.errors import Incomplete, Problem, Refused
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action, Change, Plan
from tests.fakes.faults import FaultyReader
from tests.unit.engine.controller_world import ControllerWorld, files

CHANGE = Change(
    action=Action.CREATED, object=ObjectRef(group="batch", kind="CronJob", name="x"), reason="new"
)
PROBLEM = Problem(file="a.yaml", line=1, column=1, message="no")


@pytest.mark.parametrize(
    ("changes", "problems", "plain", "detailed"),
    [
        ((), (), 0, 0),
        ((CHANGE,), (), 0, 2),
        ((), (PROBLEM,), 4, 1),
        ((CHANGE,), (PROBLEM,), 4, 1),
    ],
)
def test_exit_code(
    changes: tuple[Change, ...], problems: tuple[Problem, ...], plain: int, detailed: int
) -> None:
    plan = Plan(cluster="c", namespace="n", revision="r", changes=changes, problems=problems)
    assert exit_code(plan, detailed=False) == plain
    assert exit_code(plan, detailed=True) == detailed


def test_where_namespaces_may_not_be_listed_the_plan_says_so() -> None:
    world = ControllerWorld()
    world.source.push(files("shop"))
    cycle = make_plan(world.setting)
    seen = with_coverage(cycle, world.setting)
    assert [found.policy for found in seen.coverage or ()] == ["shop"]

    def blind(error: Refused | Incomplete) -> Plan:
        reader = FaultyReader(
            world.cluster, lambda resource, _: resource.kind == "Namespace", error=error
        )
        return with_coverage(cycle, replace(world.setting, reader=reader))

    told = blind(Refused("list namespace: HTTP 403"))
    assert told.coverage is None
    assert told.notes[-1] == "what policies protect is not shown: list namespace: HTTP 403"
    with pytest.raises(Incomplete):
        blind(Incomplete("list namespace: hung up"))


def test_a_finding_that_must_not_be() -> None:
    plan = Plan(cluster="c", namespace="n", revision="r", changes=(CHANGE,))
    assert exit_code(plan, failed=True, detailed=False) == 1
    assert exit_code(plan, failed=True, detailed=True) == 1
