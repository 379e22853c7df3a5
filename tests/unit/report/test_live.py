"""A plan against a cluster leads with what must not be missed, in every form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.cli.planlive import Led, show
from reconciler.model.errors import Problem
from reconciler.model.objects import ObjectRef
from reconciler.model.plan import Action, Change, ClaimLine, Coverage, HookMiss, Plan
from reconciler.plan.changelive import live_findings
from reconciler.report.changecomment import LIMIT
from reconciler.report.live import render_comment
from reconciler.report.markdown import escape
from tests.unit.report.test_changecomment import NASTY
from tests.unit.report.test_plan import COVERAGE


def job(action: Action, name: str, reason: str) -> Change:
    return Change(
        action=action,
        object=ObjectRef(group="batch", kind="CronJob", name=f"backstay-{name}"),
        reason=reason,
        policy=name,
        source="" if action is Action.DELETED else f"{name}.yaml#0",
    )


PLAN = Plan(
    cluster="prod-eu",
    namespace="backstay-system",
    revision="main@sha1:1234567890abcdef",
    changes=(
        job(Action.CREATED, "shop", "policy shop is new"),
        job(Action.DELETED, "crm", "no policy asks for it"),
        job(Action.SKIPPED, "lab", "somebody else's object"),
    ),
    problems=(Problem(file="wiki.yaml", line=3, column=1, message=NASTY),),
    brakes=("the revision does not descend from the last one",),
    coverage=(
        Coverage(policy="lab"),
        Coverage(
            policy="shop",
            namespaces=(("shop", "named"),),
            claims=(
                ClaimLine(namespace="shop", claim="a", method="Direct", why="rule 1"),
                ClaimLine(
                    namespace="shop", claim="b", method="Direct", why="no way", possible=False
                ),
                ClaimLine(
                    namespace="shop", claim="c", method="Direct", why="later", possible=False,
                    restoring=True,
                ),
            ),
            hooks_missed=(
                HookMiss(namespace="shop", hook="sync", pod="p", why="it is Pending", well=False),
                HookMiss(namespace="shop", hook="sync", pod="q", why="it has ended"),
            ),
        ),
    ),
    notes=("something to know",),
)  # fmt: skip


def said(output: str, capsys: pytest.CaptureFixture[str]) -> str:
    show(Led(PLAN, live_findings(PLAN)), output)
    return capsys.readouterr().out


def test_findings() -> None:
    found = [(str(one.severity), one.id, one.policy) for one in live_findings(PLAN)]
    assert found == [
        ("error", "selects-nothing", "lab"),
        ("warning", "change-skipped", "lab"),
        ("warning", "copy-impossible", "shop"),
        ("warning", "deletion-refused", ""),
        ("warning", "hook-not-run", "shop"),
        ("warning", "policy-removed", "crm"),
    ]


def test_text_begins_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("text", capsys)
    assert text.startswith("error   policy lab selects no namespace now: a run would fail\n")
    assert text.index("[policy-removed]") < text.index("Plan for prod-eu")


def test_comment(capsys: pytest.CaptureFixture[str]) -> None:
    text = said("markdown", capsys)
    assert text.startswith("<!-- backstay-plan prod-eu -->\n### Backstay: what the controller")
    assert (
        "| :warning: | **copy-impossible**: policy shop can't copy claim shop/b: no way<br>" in text
    )
    assert "| CronJob/backstay-crm | deleted | no policy asks for it |" in text
    assert "<img" not in text
    assert "| shop | claim shop/a | Direct | rule 1 |" in text
    assert "| shop | claim shop/b | Direct, not possible | no way |" in text
    assert "| shop | hook sync in shop/p | can't run | it is Pending |" in text


def test_the_comment_has_grants_commands_and_what_is_passed_over() -> None:
    text = render_comment(replace(PLAN, coverage=COVERAGE, approval="ab" * 16), ())
    command = escape('["mongosh", "--eval", "db.fsyncLock()"]')
    for row in (
        "| mail |  |  | allowed by the grant of folder teams/a: mail, mail-\\* |",
        "| wiki |  |  | allowed by the grant of folder platform: every namespace |",
        "| mail |  |  | leaves out kinds secret, \\*.apps (exclude) |",
        f"| mail | hook quiesce in mail, before the copy | {command} | in db-0/mongo, db-1/mongo; ",
        "| mail | hook mark in mail-eu | does not run | no pod has the labels |",
        "| mail | namespace mail-eu |  | matches mail-\\* |",
        "| mail | claim mail/cache | Skip | rule 1: rebuilt |",
        "| mail | not namespace mail-preview |  | excluded by \\*-preview |",
        f"- to approve exactly these deletions, in a commit: Backstay-Approve: {'ab' * 16}",
    ):
        assert f"\n{row}" in text
    assert "`id`" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("limit", [LIMIT, 20_000, 3_000])
def test_many_claims_are_cut_before_commands_and_findings(limit: int) -> None:
    mail, _ = COVERAGE
    many = tuple(
        ClaimLine(namespace="mail", claim=f"data-{number}", method="Direct", why="x" * 20)
        for number in range(5_000)
    )
    plan = replace(PLAN, problems=(), coverage=(replace(mail, claims=many),))
    text = render_comment(plan, live_findings(plan), limit=limit)
    assert len(text.encode()) < limit
    assert "| **deletion-refused**" in text
    assert "This is not all: " in text
    assert text.rstrip().endswith(".")
    if limit > 10_000:
        assert "hook quiesce in mail, before the copy" in text
        assert "allowed by the grant of folder teams/a" in text
        assert "</details>" in text


def test_annotations_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("github", capsys).splitlines()
    assert lines[0].startswith("::error file=wiki.yaml,line=3,")
    assert lines[1].startswith("::error title=selects-nothing::")
    assert lines[2].startswith("::warning file=lab.yaml,title=change-skipped::")
    assert "    claim a: Direct: rule 1" in lines
    assert "    hook sync can't run in p: it is Pending" in lines
    assert not any(line.startswith("::") for line in lines[7:])
    document = json.loads(said("json", capsys))
    assert document["kind"] == "Plan"
    assert next(one["id"] for one in document["findings"]) == "selects-nothing"


def test_what_a_grant_keeps_from_a_selector_is_one_note() -> None:
    passed = tuple((name, "not granted to folder team") for name in ("crm", "lab"))
    made = Coverage(
        policy="shop",
        namespaces=(("shop", "matches *"),),
        passed_over=(*passed, ("tmp", "excluded by tmp")),
        not_granted=("crm", "lab"),
        grant="team",
    )
    (found,) = live_findings(replace(PLAN, changes=(), brakes=(), coverage=(made,)))
    assert (str(found.severity), found.id, found.details) == (
        "note", "grant-excludes", ("crm, lab",)
    )  # fmt: skip
