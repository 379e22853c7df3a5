"""A plan's lines of hooks are in the order in which a run executes them."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.hooks import Phase
from reconciler.plan.hooklines import hook_lines, hook_misses
from tests.unit.plan.test_hooks import CACHE, DB, SYNC, planned, pod


def test_lines_are_in_the_order_of_execution_with_what_runs_once_outermost() -> None:
    once = replace(DB, name="primary", once=True)
    cache = pod("cache-0", labels={"app": "cache"}, containers=["redis"])
    pods = {"b": [pod("db-0"), pod("db-1"), cache], "c": [pod("db-0")]}
    lines = hook_lines(planned(pods, replace(CACHE, post=SYNC), DB, once))
    assert [(one.namespace, str(one.phase), one.hook, one.pods) for one in lines] == [
        ("b", "pre", "primary", (("db-0", "db"),)),
        ("b", "pre", "flush", (("cache-0", "redis"),)),
        ("b", "pre", "quiesce", (("db-0", "db"), ("db-1", "db"))),
        ("b", "post", "quiesce", (("db-1", "db"), ("db-0", "db"))),
        ("b", "post", "flush", (("cache-0", "redis"),)),
        ("b", "post", "primary", (("db-0", "db"),)),
        ("c", "pre", "quiesce", (("db-0", "db"),)),
        ("c", "post", "quiesce", (("db-0", "db"),)),
    ]
    assert [one.once for one in lines[:2]] == [True, False]
    assert lines[0].command == DB.command(Phase.PRE)


def test_reasons_say_whether_all_is_well() -> None:
    plan = planned({"a": [pod("db-0"), pod("db-1", phase="Pending")], "b": []})
    assert [(one.namespace, one.pod, one.well) for one in hook_misses(plan)] == [
        ("a", "db-1", False),
        ("b", "", True),
    ]
