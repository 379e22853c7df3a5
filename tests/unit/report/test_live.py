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
from tests.unit.report.test_changecomment import NASTY


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


def test_annotations_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said("github", capsys).splitlines()
    assert lines[0].startswith("::error file=wiki.yaml,line=3,")
    assert lines[1].startswith("::error title=selects-nothing::")
    assert lines[2].startswith("::warning file=lab.yaml,title=change-skipped::")
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
