"""docs/history.md tells the truth: its commands are typed, on a clone as it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from reconciler.cli import main
from tests.integration.git.history_world import HistoryWorld, make_history

TEXT = (Path(__file__).parents[3] / "docs" / "history.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if "git.example.org" not in line
]
DIFFERS = {"diff": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> HistoryWorld:
    return make_history(tmp_path_factory.mktemp("history"))


def test_the_commands_of_the_page(
    world: HistoryWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    assert len(COMMANDS) > 1
    for line in COMMANDS:
        program, *words = shlex.split(line, comments=True)
        if program == "backstay":
            code = main.run(words)
            out, err = capsys.readouterr()
        else:
            done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
            code, out, err = done.returncode, done.stdout, done.stderr
        assert (code, err) == (DIFFERS.get(words[0], 0), ""), line
        assert out, line


def test_what_a_difference_looks_like(
    world: HistoryWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    shown = re.findall(r"```text\n(from .*?)```", TEXT, re.DOTALL)[0]
    main.run(shlex.split(COMMANDS[0])[1:])
    assert _without_commits(capsys.readouterr().out) == _without_commits(shown)


def test_whose_fields_they_are(
    world: HistoryWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    shown = re.findall(r"```text\n(shop/.*?)```", TEXT, re.DOTALL)[0]
    main.run(shlex.split(next(line for line in COMMANDS if line.startswith("backstay blame")))[1:])
    printed = _without_commits(capsys.readouterr().out).splitlines()
    lines = _without_commits(shown).splitlines()
    assert [line for line in lines if line != " …" and line not in printed] == []


def test_what_a_report_looks_like(
    world: HistoryWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.folder)
    shown = re.findall(r"```text\n(policy .*?)```", TEXT, re.DOTALL)[0]
    main.run(shlex.split(next(line for line in COMMANDS if line.startswith("backstay verify")))[1:])
    assert _without_commits(shown) in _without_commits(capsys.readouterr().out)


def _without_commits(text: str) -> str:
    return re.sub(r"\b(?:[0-9a-f]{10}|[0-9a-f]{40})\b", "COMMIT", text)
