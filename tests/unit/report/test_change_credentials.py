"""No form of a plan or of a validation shows a credential that somebody wrote into a URL (I3)."""

from __future__ import annotations

import json

import pytest

from reconciler.model.change import ChangePlan
from reconciler.policy import rendering, text
from reconciler.report import change, changecomment
from reconciler.report.annotations import github_problems
from tests.unit.plan.change_world import FILES, MAIN, edited, plan

CANARY = "hunter2"
OURS = "s3:https://s3.example.org/backups/{cluster}/{namespace}"
LEAKING = (
    f"s3:https://key:{CANARY}@s3.example.org/backups/{{cluster}}/{{namespace}}",
    f"s3:https://key:12/{CANARY}@s3.example.org/{{cluster}}/{{namespace}}",
    f"s3:https://{CANARY}@s3.example.org/{{cluster}}/{{namespace}}",
    f"s3:https://s3.example.org/{{cluster}}/{{namespace}}?key={CANARY}",
    f"s3:https://s3.example.org/{{cluster}}/{{namespace}}?{CANARY}",
    f"rest:https://ann:{CANARY}@rest.example.org/{{cluster}}/{{namespace}}",
    f"sftp://ann:{CANARY}@host.example.org/{{cluster}}/{{namespace}}",
    f"sftp:ann:{CANARY}@host.example.org:/{{cluster}}/{{namespace}}",
    f"sftp:ann:p/{CANARY}@host.example.org:/{{cluster}}/{{namespace}}",
    f"s3:https://key:{CANARY}'x@s3.example.org/{{cluster}}/{{namespace}}",
    f's3:https://key:x"{CANARY}"@s3.example.org/{{cluster}}/{{namespace}}',
    f"s3:https://key:x {CANARY} y@s3.example.org/{{cluster}}/{{namespace}}",
    f"sftp:ann:{CANARY}//x@host.example.org:/{{cluster}}/{{namespace}}",
    f"sftp:ann:a://{CANARY}@host.example.org:/{{cluster}}/{{namespace}}",
    f"sftp:ann:x {CANARY}@host.example.org:/{{cluster}}/{{namespace}}",
    f"sftp:ann:{CANARY}@pass@host.example.org:/{{cluster}}/{{namespace}}",
)


def forms(made: ChangePlan, files: dict[str, str]) -> dict[str, str]:
    """Everything that `backstay plan` and `backstay validate` can say of it."""
    problems = made.problems
    sources = {name: content.encode() for name, content in files.items()}
    return {
        "text": change.render_text(made),
        "markdown": changecomment.render_comment(made),
        "json": json.dumps(change.to_json(made)),
        "github": changecomment.render_github(made),
        "problems": rendering.render_problems(problems, sources),
        "problems as json": rendering.render_json(problems, {}),
        "problems on lines": github_problems(problems, str),
    }


@pytest.mark.parametrize("url", LEAKING)
@pytest.mark.parametrize("side", ["base", "head"])
def test_a_credential_in_a_url_is_refused_and_shown_nowhere(url: str, side: str) -> None:
    bad = edited(main=(json.dumps(OURS), json.dumps(url)))
    made = plan(bad, FILES) if side == "head" else plan(FILES, bad)
    if side == "head":
        assert made.problems
    shown = forms(made, bad)
    assert [name for name, said in shown.items() if CANARY in said] == []


def test_a_long_url_hides_it_too() -> None:
    url = OURS.replace("https://", f"https://{'k' * 1100}:{CANARY}@")
    files = {**FILES, "main.yaml": MAIN.replace(OURS, url)}
    shown = forms(plan(files), files)
    assert [name for name, said in shown.items() if CANARY in said] == []


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("url: https://ann:pass@host/x", "url: https://********@host/x"),
        ("url: https://token@host/x", "url: https://*****@host/x"),
        ('"sftp:ann:pass@host:/x"', '"*************@host:/x"'),
        ("on https://host:8080/x and to ann@host", "on https://host:8080/x and to ann@host"),
        ("see https://host/x and ann@host", "see https://host/x and ann@host"),
        ("https://host/x?key=1&y=2 more", "https://host/x?********* more"),
        ("mail to ann@host, at 12:30?", "mail to ann@host, at 12:30?"),
        ("image: shop/web@sha256:0123", "image: shop/web@sha256:0123"),
        ("why? because", "why? because"),
    ],
)
def test_what_is_hidden_keeps_its_length(given: str, shown: str) -> None:
    assert text.mask(given) == shown
    assert len(shown) == len(given)


@pytest.mark.parametrize("word", ["a", ":", "/", "?", "@", "//", "a:", "//a@", "://a:", "sftp:a "])
def test_hiding_is_linear(word: str) -> None:
    """The CPU time that a test of this tier may take is what fails it otherwise."""
    given = word * 200_000
    assert len(text.mask(given)) == len(given)
