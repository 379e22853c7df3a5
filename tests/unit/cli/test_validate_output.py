"""`validate` for machines: JSON, GitHub's annotations, SARIF, standard input, pre-commit."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler.cli import main, validate
from reconciler.model.errors import Problem
from reconciler.report.changecomment import LIMIT, render_problems
from reconciler.report.markdown import escape
from tests.unit.policy.yamltexts import CONFIG, MAIN, SHOP

WRONG = SHOP.replace("keepDaily", "keepDaly")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a Repository and a policy with a problem."""
    (tmp_path / "main.yaml").write_text(MAIN)
    (tmp_path / "shop.yaml").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and stdout."""
    code = main.run(["validate", *arguments])
    return code, capsys.readouterr().out


def test_annotations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = run(capsys, "-o", "github")
    assert (code, output) == (
        4,
        """\
::error file=shop.yaml,line=8,col=15,title=Backstay::unknown field `keepDaly` in retention\
%0Adid you mean `keepDaily`?
1 problem in 1 file
""",
    )


def test_annotations_name_files_from_the_root_of_the_checkout(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    code, output = run(capsys, "-o", "github", ".")
    assert code == 4
    assert output.startswith(f"::error file={folder.name}/shop.yaml,line=8,")


def test_annotations_escape_what_has_a_meaning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shop.yaml").rename(folder / "a,b:c%d\n::error::e.yaml")
    (folder / "a:b,c%.yaml").write_text(WRONG.replace("keepDaly", '"100%,\\n::debug::"'))
    code, output = run(capsys, "-o", "github")
    assert code == 4
    lines = output.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("::error file=a%3Ab%2Cc%25.yaml,line=8,col=15,title=Backstay::")
    assert "100%25,�::debug::" in lines[1]
    assert lines[0].startswith("::error file=a%2Cb%3Ac%25d\\n%3A%3Aerror%3A%3Ae.yaml,line=1,")


def test_nothing_wrong_as_annotations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "shop.yaml").write_text(SHOP)
    assert run(capsys, "-o", "github") == (0, "1 policy, 1 repository: valid\n")


def test_markdown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "shop.yaml").write_text(WRONG.replace("keepDaly", '"<b>@octocat"'))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    code, output = run(capsys, "-o", "markdown")
    assert code == 4
    lines = output.splitlines()
    assert lines[:4] == [
        "### Backstay: 1 problem in 1 file", "", "| Line | Problem |", "|---|---|",
    ]  # fmt: skip
    assert lines[4].startswith(f"| {escape(folder.name)}/shop.yaml:8 | unknown field ")
    assert "<b>" not in output
    assert "@octocat" not in output
    (folder / "shop.yaml").write_text(SHOP)
    assert run(capsys, "-o", "markdown") == (0, "### Backstay: 1 policy, 1 repository: valid\n")


@pytest.mark.parametrize("limit", [LIMIT, 2_000])
def test_a_long_list_is_cut_for_a_comment_and_says_so(limit: int) -> None:
    problem = Problem(file="a.yaml", line=1, column=1, message="x" * 200)
    text = render_problems([problem] * 1_000, "1000 problems in 1 file", str, limit=limit)
    assert len(text.encode()) < limit
    assert text.startswith("### Backstay: 1000 problems in 1 file\n")
    assert "`backstay validate` names all of them" in text


def test_sarif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "shop.yaml").rename(folder / "my shop.yaml")
    code, output = run(capsys, "-o", "sarif")
    document = json.loads(output)
    (found,) = document["runs"]
    (result,) = found["results"]
    assert (code, document["version"], found["tool"]["driver"]["name"]) == (4, "2.1.0", "backstay")
    assert result["message"]["text"].startswith("unknown field `keepDaly`")
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "my%20shop.yaml"
    assert place["region"] == {"startLine": 8, "startColumn": 15}


@pytest.mark.parametrize("output", ["text", "markdown", "json", "github", "sarif"])
def test_no_name_reaches_a_terminal_raw(
    folder: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    names = [b"\x1b]0;x\x07.yaml", b"a\nb.yaml", "\u202eb.yaml".encode(), b"\xff.yaml"]
    for name in names:
        (folder / os.fsdecode(name)).write_text(SHOP)
        (folder / os.fsdecode(b"link" + name)).symlink_to("x")
    code, text = run(capsys, "-o", output)
    assert code == 4
    assert all(character.isprintable() for character in text.replace("\n", ""))
    text.encode()


def test_standard_input(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stdin(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    stdin(f"{MAIN}---\n{SHOP}")
    assert run(capsys, "-") == (0, "1 policy, 1 repository: valid\n")
    stdin(WRONG)
    code, output = run(capsys, "main.yaml", "-", "--stdin-name", "team/shop.yaml")
    assert code == 4
    assert output.startswith("team/shop.yaml:8:15: error: unknown field `keepDaly`")
    stdin("a" * 300_000)
    code, output = run(capsys, "-")
    assert (code, output.splitlines()[0]) == (
        4,
        "stdin.yaml:1:1: error: larger than 256 KiB and not read",
    )


def test_a_config_that_is_a_link_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "shop.yaml").write_text(SHOP)
    (folder / "real.yaml.d").mkdir()
    (folder / "real.yaml.d" / "conf").write_text(CONFIG)
    (folder.parent / "link.yaml").unlink(missing_ok=True)
    link = folder.parent / "link.yaml"
    link.symlink_to(folder / "real.yaml.d" / "conf")
    code, output = run(capsys, ".", "--config", str(link))
    assert (code, output.count("sharedKeyInTenants")) == (4, 1)


def test_colours_are_for_terminals_that_want_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(*, color: bool) -> str:
        result = CliRunner().invoke(validate.command, ["."], color=color, standalone_mode=False)
        return result.stdout

    plain = shown(color=False)
    coloured = shown(color=True)
    assert "\x1b" not in plain
    assert "\x1b[31m^^^^^^^^\x1b[0m \x1b[36mdid you mean" in coloured
    assert click.unstyle(coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(color=True) == plain
