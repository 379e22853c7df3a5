"""``backstay plan``: its exit codes."""

from __future__ import annotations

import pytest

from reconciler.cli.plan import exit_code
from reconciler.model.errors import Problem
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action, Change, Plan

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


def test_a_finding_that_must_not_be() -> None:
    plan = Plan(cluster="c", namespace="n", revision="r", changes=(CHANGE,))
    assert exit_code(plan, failed=True, detailed=False) == 1
    assert exit_code(plan, failed=True, detailed=True) == 1
