"""`backstay doctor` as a command: its options, its exit codes, its one document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli import main
from reconciler.cli.doctor import show
from reconciler.model.doctor import Checkup, Finding, Level

CONFIG = """\
apiVersion: backstay.dev/v1alpha1
kind: Config
cluster: {name: prod-eu}
policySource: {url: "ssh://git@git.example.org/p.git"}
manifestStore: {url: "ssh://git@git.example.org/c.git"}
image: backstay:1
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the path of a Config; no cluster is to be found from here."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "backstay.yaml"
    path.write_text(CONFIG)
    return str(path)


def test_without_a_cluster_it_says_so_and_exits_1(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["doctor", "--config", config, "--only", "cluster", "-o", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["formatVersion"] == 1
    levels = {found["id"]: found["level"] for found in document["findings"]}
    assert levels == {"cluster/api": "problem", "cluster/clock": "unknown"}
    assert document["findings"][0]["hint"] == "give --kubeconfig"


def test_a_group_that_does_not_exist_is_wrong_usage(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["doctor", "--config", config, "--only", "cluster,lungs"]) == 2
    said = capsys.readouterr().err
    assert "--only lungs: no such group" in said
    assert "leftovers" in said


def test_without_config_it_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["doctor", "--config", "/nowhere.yaml"]) == 2
    assert "can't be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("levels", "code", "last"),
    [
        ([], 0, "Nothing is wrong: 0 answers."),
        ([Level.OK, Level.INFO], 0, "Nothing is wrong: 2 answers."),
        ([Level.OK, Level.WARNING], 0, "1 warning in 2 answers."),
        ([Level.UNKNOWN, Level.WARNING], 3, "1 warning, 1 could not be asked in 2 answers."),
        (
            [Level.PROBLEM] * 2 + [Level.UNKNOWN],
            1,
            "2 problems, 1 could not be asked in 3 answers.",
        ),
    ],
)
def test_the_exit_code_goes_by_the_worst(
    levels: list[Level], code: int, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = tuple(Finding(id="cluster/api", level=level, message="m") for level in levels)
    made = Checkup(cluster="prod-eu", findings=findings)
    assert made.exit_code == code
    show(made, "text")
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_many_good_answers_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    good = [
        Finding(id="repositories/open", level=Level.OK, where=f"main/n{n}", message="opens")
        for n in range(5)
    ]
    bad = Finding(
        id="repositories/open", level=Level.PROBLEM, where="main/x", message="gone", hint="look"
    )
    show(Checkup(cluster="c", findings=(*good, bad)), "text")
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:6] == [
        "  ok       open: 5 times",
        "  problem  open: main/x: gone",
        "           → look",
    ]
