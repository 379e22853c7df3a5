"""The comment of a pull request: one per cluster, short enough, free of users' markup."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.change import ChangePlan, DocumentAction, DocumentChange, FieldChange
from reconciler.model.errors import Problem
from reconciler.model.finding import Finding, Place, Severity
from reconciler.report.change import render_text
from reconciler.report.changecomment import LIMIT, marker, render_comment, render_github
from reconciler.report.markdown import escape
from tests.conftest import Golden
from tests.unit.report.test_change import everything, nothing

NASTY = (
    "a|b `c` <img src=x onerror=alert(1)> [x](https://evil.example) @octocat #12 GH-12 "
    "![y](z) <!-- --> </details> :tada: www.evil.example *b* \\| ~~s~~ a@b.example !7 $x$ &lt;"
)


def test_the_comment(golden: Golden) -> None:
    golden("report/change.md", render_comment(everything()))
    empty = render_comment(nothing())
    assert empty.startswith("<!-- backstay-plan prod-eu -->\n### Backstay: ")
    assert "**nothing changes for the backups**" in empty


def test_annotations(golden: Golden) -> None:
    golden("report/change.github.txt", render_github(everything()))
    gone = Finding(
        id="policy-removed",
        severity=Severity.WARNING,
        message="100% gone",
        place=Place("a,b.yaml", 7),
        facts={"side": "base"},
    )
    assert render_github(replace(nothing(), findings=(gone,))).startswith(
        "::warning file=a%2Cb.yaml,title=policy-removed::100%25 gone\n"
    )


def shown(markdown: str) -> str:
    """What a reader sees of escaped text."""
    return html.unescape(re.sub(r"\\([*_\[\]~$!])", r"\1", markdown)).replace("\u2060", "")


@given(st.text(max_size=80))
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    seen = "".join(sign if sign.isprintable() else " " for sign in text).replace("\u2060", "")
    assert shown(escape(text)) == seen


@given(st.text(alphabet="|`<>@#!a:/w.[]()*_\\&-1\n", max_size=60))
def test_escaped_text_marks_nothing_up(text: str) -> None:
    found = escape(text)
    assert not re.search(r"[|`<>\n]", found)
    assert not re.search(r"(?<!\\)[*_\[\]~]", found)
    # What GitHub and GitLab look for once Markdown was read:
    read = html.unescape(re.sub(r"\\([*_\[\]~$!])", r"\1", found))
    assert not re.search(r"[@#!]\w|:\/\/|www\.|gh-\d|:[\w+-]+:", read, re.IGNORECASE)


def nasty(count: int = 1) -> ChangePlan:
    findings = tuple(
        Finding(
            id="coverage-lost",
            severity=Severity.ERROR,
            message=f"{number} {NASTY}",
            hint=NASTY,
            place=Place(NASTY, 3),
            details=(NASTY, "line\nbreak"),
        )
        for number in range(count)
    )
    change = DocumentChange(
        kind="BackupPolicy",
        name=NASTY,
        action=DocumentAction.CHANGED,
        fields=(FieldChange(path="x", before=NASTY, after=NASTY, place=Place(NASTY, 1)),),
        note=NASTY,
    )
    return ChangePlan(
        cluster=NASTY,
        base=NASTY,
        head=NASTY,
        findings=findings,
        changes=(change,) * count,
        problems=(Problem(file=NASTY, line=1, column=1, message=NASTY, hint=NASTY),) * count,
        notes=(NASTY,),
    )


def test_nothing_that_a_user_wrote_is_markup() -> None:
    text = render_comment(nasty())
    assert text.count("\n<!--") == 0
    assert text.startswith("<!-- backstay-plan a-b-c-")
    assert text.splitlines()[0].count("--") == 2
    body = "\n".join(text.splitlines()[1:])
    assert set(re.findall(r"</?\w+", body)) == {
        "<br", "<details", "</details", "<summary", "</summary", "<sub", "</sub",
    }  # fmt: skip
    assert "](" not in body.replace("\\](", "")
    assert not re.search(r"[@#]\w|://|www\.", html.unescape(body))
    columns = {line.count("|") for line in body.splitlines() if line.startswith("|")}
    assert columns == {3, 4}


@pytest.mark.parametrize("count", [30, 300, 3000])
def test_a_long_comment_is_cut_and_says_so(count: int) -> None:
    text = render_comment(nasty(count))
    assert len(text.encode()) < LIMIT
    assert text.startswith("<!-- backstay-plan")
    assert "This is not all: `backstay plan -o text` shows all of it" in text
    assert "coverage-lost" in text
    for line in text.splitlines():
        assert not line.startswith("|") or line.endswith("|")


@settings(max_examples=20)
@given(st.integers(700, 20_000))
def test_any_limit_is_kept(limit: int) -> None:
    assert len(render_comment(nasty(20), limit=limit).encode()) < limit


def test_one_marker_per_cluster() -> None:
    assert marker("prod-eu") == "<!-- backstay-plan prod-eu -->"
    assert marker("") == "<!-- backstay-plan - -->"
    assert marker("a-->b") == "<!-- backstay-plan a-b -->"


def test_no_line_is_a_command_of_the_runner() -> None:
    said = Finding(
        id="coverage-lost",
        severity=Severity.ERROR,
        message="a ##[error]b",
        details=("::add-mask::x",),
    )
    problem = Problem(file="::error file=x::y.yaml", line=1, column=1, message="##[debug]")
    plan = replace(nothing(), findings=(said,), problems=(problem,))
    text = render_text(plan)
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    commands = [line for line in render_github(plan).splitlines() if line.startswith("::")]
    assert len(commands) == 2
    assert "##[error]" not in commands[1]
