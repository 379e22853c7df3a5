"""A plan as text and as JSON: golden, because people read one and scripts the other."""

from __future__ import annotations

import json
from dataclasses import replace

from reconciler.model.hooks import HookCommand, OnError, Phase
from reconciler.model.plan import ClaimLine, Coverage, HookLine, HookMiss, Plan
from reconciler.model.protection import Unprotected
from reconciler.model.store import Descends
from reconciler.report.plan import render_text, summary, to_json
from tests.conftest import Golden
from tests.unit.plan.schedules_world import (
    REV2,
    REV3,
    SmallCluster,
    broken,
    desired,
    good,
    history,
    policies,
    policy,
)

COVERAGE = (
    Coverage(
        policy="mail",
        namespaces=(("mail", "named"), ("mail-eu", "matches mail-*")),
        passed_over=(("mail-preview", "excluded by *-preview"),),
        grant="teams/a",
        within=("mail", "mail-*"),
        left_out=("kinds secret, *.apps (exclude)",),
        guards="guards: maxShrink 50%",
        claims=(
            ClaimLine(namespace="mail", claim="data", method="Direct", why="copyMethod Direct"),
            ClaimLine(namespace="mail", claim="cache", method="Skip", why="rule 1: rebuilt"),
            ClaimLine(
                namespace="mail-eu",
                claim="disk",
                method="Direct",
                why="copyMethod Direct; it is a raw block volume, and Direct copies files",
                possible=False,
            ),
        ),
        hooks=(
            HookLine(
                namespace="mail",
                hook="quiesce",
                phase=Phase.PRE,
                command=HookCommand(("mongosh", "--eval", "db.fsyncLock()"), 30),
                pods=(("db-0", "mongo"), ("db-1", "mongo")),
            ),
            HookLine(
                namespace="mail",
                hook="mark",
                phase=Phase.POST,
                command=HookCommand(("sh", "-c", "\u202e`id`\n"), 60, OnError.CONTINUE),
                pods=(("web-0", "web"),),
                once=True,
            ),
        ),
        hooks_missed=(
            HookMiss(namespace="mail", hook="quiesce", pod="db-2", why="it is Pending", well=False),
            HookMiss(namespace="mail", hook="mark", pod="web-1", why="it runs once, in mail/web-0"),
            HookMiss(namespace="mail-eu", hook="mark", why="no pod has the labels"),
        ),
    ),
    Coverage(policy="wiki", grant="platform"),
)


def everything() -> Plan:
    """One line of each kind: made, changed, kept, left alone and refused."""
    cluster = SmallCluster()
    cluster.apply(cluster.plan(policies("mail", "shop", "git", "old")))
    cluster.apply(cluster.plan(desired(*(good(policy(n)) for n in ("mail", "shop", "git", "old")))))
    wanted = desired(
        good(policy("mail", "5 5 * * *")), good(policy("git")), broken("shop"), good(policy("wiki"))
    )
    return replace(cluster.plan(wanted, history(REV3, descends=Descends.NO)), coverage=COVERAGE)


def nothing() -> Plan:
    cluster = SmallCluster()
    cluster.apply(cluster.plan(policies("shop")))
    return cluster.plan(policies("shop"))


def test_text(golden: Golden) -> None:
    golden("plan/plan.txt", render_text(everything()))
    golden("plan/plan-empty.txt", render_text(nothing()))


def test_json(golden: Golden) -> None:
    golden("plan/plan.json", json.dumps(to_json(everything()), indent=2) + "\n")


def test_summary() -> None:
    assert summary(nothing()) == "2 unchanged; nothing to do"
    empty = Plan(cluster="c", namespace="n", revision=REV2)
    assert summary(empty) == "no policies; nothing to do"


def test_i8_every_line_of_the_json_has_its_reason() -> None:
    assert all(change["reason"] for change in to_json(everything())["changes"])


def test_what_is_unprotected_is_counted_before_the_summary() -> None:
    plan = replace(everything(), unprotected=Unprotected(namespaces=1, claims=2))
    *_, counted, _ = render_text(plan).splitlines()
    assert counted == "unprotected: 1 namespace, 2 claims; `backstay coverage` names them"
    assert to_json(plan)["unprotected"] == {"namespaces": 1, "claims": 2}
    assert "unprotected" not in render_text(replace(plan, unprotected=Unprotected()))
    assert "unprotected" not in to_json(everything())
